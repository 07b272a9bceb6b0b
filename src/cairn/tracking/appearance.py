"""Appearance of instances: color and texture along their limbs, for re-identification without a network.

Each limb is a cell, and a limb and its mirror image are one, so that a person who turns around stays alike. People have
the diagonals of their torso as a cell too. A cell is the mean color of the pixels along its lines, as lightness and two
opponent colors, and their standard deviation. The similarity of two instances has the form of OKS: the mean over the
cells of both of exp(-d²/2), with d² the mean over the four values.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from cairn.structures.skeleton import Skeleton

ALONG = np.linspace(0.15, 0.85, 6)
"""Places of the pixels along each line, as shares of it."""

SPREADS = (40.0, 14.0, 14.0, 24.0)
"""Standard deviation, in gray levels, of lightness, red - green, yellow - blue and texture of the same instance."""

PRIOR = 1.0
"""Cells of unknown similarity, added to each comparison: what is shared by few cells says little."""

TORSO = (("left_shoulder", "right_hip"), ("right_shoulder", "left_hip"))


@dataclass(frozen=True, eq=False)
class Cells:
    """The cells of a skeleton.

    Attributes:
        lines: (S, 2) joints of the lines.
        cell: (S,) index of the cell of each line.
        count: C, number of cells.
    """

    lines: NDArray[np.intp]
    cell: NDArray[np.intp]
    count: int

    @cached_property
    def member(self) -> NDArray[np.float64]:
        """(C, S) 1 where a line is of a cell."""
        result: NDArray[np.float64] = (self.cell == np.arange(self.count)[:, None]).astype(np.float64)
        return result

    @classmethod
    def of(cls, skeleton: Skeleton) -> Cells:
        """Returns the cells of a skeleton; of one without limbs none."""
        flip = skeleton.flip_order
        lines, cell, known = [], [], dict[frozenset[int], int]()
        torso = [tuple(skeleton.index(j) for j in pair) for pair in TORSO if all(j in skeleton.joints for j in pair)]
        for a, b in [*skeleton.limbs, *torso]:
            pair, mirrored = frozenset((a, b)), frozenset((flip[a], flip[b]))
            number = known.get(mirrored, known.get(pair, len(set(known.values()))))
            known[pair] = known[mirrored] = number
            lines.append((a, b))
            cell.append(number)
        return cls(np.array(lines, np.intp).reshape(-1, 2), np.array(cell, np.intp), len(set(cell)))

    def describe(self, image: NDArray[np.uint8], keypoints: NDArray[np.float64]) -> NDArray[np.float64]:
        """Returns the appearance of instances.

        Args:
            image: (H, W, 3) uint8 RGB.
            keypoints: (N, K, 2) pixels; NaN where not detected.

        Returns:
            (N, C, 4) lightness, red - green, yellow - blue and texture over `SPREADS`; NaN where a cell is not seen.
        """
        if not len(keypoints) or not self.count:
            return np.full((len(keypoints), self.count, 4), np.nan)
        height, width = image.shape[:2]
        ends = keypoints[:, self.lines].transpose(3, 0, 1, 2)  # (2, N, S, 2): x and y of both ends
        seen = ~np.isnan(ends[0]).any(axis=2)
        start, step = ends[..., :1], ends[..., 1:] - ends[..., :1]
        x, y = np.where(seen[..., None], start + ALONG * step, 0).round().astype(np.intp)  # (N, S, 6)
        places = np.clip(y, 0, height - 1) * width + np.clip(x, 0, width - 1)
        red, green, blue = image.reshape(-1, 3)[places].transpose(3, 0, 1, 2).astype(np.float64)
        light = (red + green + blue) / 3
        values = np.stack([light, red - green, (red + green) / 2 - blue, light * light]).mean(axis=-1)
        values[3] = np.sqrt(np.maximum(values[3] - values[0] ** 2, 0))
        values = np.where(seen, values, 0) @ self.member.T  # (4, N, C)
        counts = seen @ self.member.T
        means: NDArray[np.float64] = values.transpose(1, 2, 0) / np.maximum(counts, 1)[..., None] / SPREADS
        return np.where(counts[..., None] > 0, means, np.nan)


def appearance_similarity(
    first: NDArray[np.float64], second: NDArray[np.float64], usual: float = 0.0
) -> NDArray[np.float64]:
    """Returns the similarity (...) from 0 to 1 of appearances (..., C, 4), which broadcast.

    Args:
        first: Appearances; NaN where a cell is not seen.
        second: Appearances.
        usual: The similarity of two that share no cell: `PRIOR` cells of it are added to those that they share.
    """
    squared = ((first - second) ** 2).sum(axis=-1)
    both = ~np.isnan(squared)
    near = np.exp(-np.where(both, squared, np.inf) / 8).sum(axis=-1)
    result: NDArray[np.float64] = (near + PRIOR * usual) / (both.sum(axis=-1) + PRIOR)
    return result


def blended(
    before: NDArray[np.float64], now: NDArray[np.float64], weight: NDArray[np.float64] | float
) -> NDArray[np.float64]:
    """Returns the appearance `before` moved toward `now`, both (T, C, 4), by a weight (T, C) or one for all cells."""
    mixed = before + np.asarray(weight)[..., None] * (now - before)
    return np.where(np.isnan(mixed), np.where(np.isnan(before), now, before), mixed)
