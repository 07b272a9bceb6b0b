"""Repeatability of keypoints: how many of one scan are found again in another of the same object."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cairn.structures.cloud import move


@dataclass(frozen=True)
class PairRepeatability:
    """Keypoints of two scans, in both directions.

    Attributes:
        in_overlap: Number of keypoints that have a point of the other scan near.
        repeated: Number of them that have a keypoint of the other scan within each threshold.
    """

    in_overlap: int
    repeated: tuple[int, ...]

    @property
    def shares(self) -> tuple[float, ...]:
        """Relative repeatability at each threshold; NaN where no keypoint is in the overlap."""
        return tuple(count / self.in_overlap if self.in_overlap else float("nan") for count in self.repeated)

    def __add__(self, other: PairRepeatability) -> PairRepeatability:
        repeated = tuple(a + b for a, b in zip(self.repeated, other.repeated, strict=True))
        return PairRepeatability(self.in_overlap + other.in_overlap, repeated)


def repeatability(
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    overlap: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    thresholds: Sequence[float],
) -> PairRepeatability:
    """Measures keypoints of two scans in the same coordinates.

    Args:
        first: (K, 3) keypoints of one scan.
        second: (L, 3) keypoints of the other.
        overlap: (K,) and (L,), which keypoints the other scan covers.
        thresholds: Distances within which a keypoint is repeated.
    """
    from scipy.spatial import cKDTree

    result = PairRepeatability(0, (0,) * len(thresholds))
    for own, other, inside in ((first, second, overlap[0]), (second, first, overlap[1])):
        own = own[inside]
        distances = cKDTree(other).query(own)[0] if len(own) and len(other) else np.full(len(own), np.inf)
        repeated = tuple(int((distances <= threshold).sum()) for threshold in thresholds)
        result += PairRepeatability(len(own), repeated)
    return result


def covered(
    points: NDArray[np.float64], transform: NDArray[np.float64], other: NDArray[np.float64], distance: float
) -> NDArray[np.bool_]:
    """Returns (K,): which points, after a motion (4, 4), have a point of another cloud (N, 3) within a distance."""
    from scipy.spatial import cKDTree

    return np.asarray(cKDTree(other).query(move(transform, points), distance_upper_bound=distance)[0] <= distance)
