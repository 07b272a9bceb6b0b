"""The content that a .csv and an .h5 file of DeepLabCut have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.formats.instances import Instance, checked_points
from cairn.errors import LabelError

UNIQUE = "single"  # the individual of body parts that occur once in an image with several animals
AXES = ("x", "y", "likelihood")
TOLERANCE = 1e-3  # in pixels, between a .csv and an .h5 of the same labels

Column = tuple[str, str, str]


@dataclass(frozen=True, eq=False)
class Sheet:
    """The labels or predictions of one video.

    Attributes:
        scorer: Name of the person or of the network.
        columns: (individual, body part, x or y or likelihood) of each column; the individual is empty where there is
            one animal.
        names: Names of the N images, or frame numbers.
        values: (N, columns) pixels or confidences; NaN where not labeled.
    """

    scorer: str
    columns: tuple[Column, ...]
    names: tuple[str, ...]
    values: NDArray[np.float64]

    @property
    def predicted(self) -> bool:
        """Whether it has confidences."""
        return any(axis == "likelihood" for _, _, axis in self.columns)

    def points(self, minimum: float) -> Sheet:
        """Returns the coordinates alone; those below a confidence become NaN, those without one are kept."""
        confidence = {column[:2]: i for i, column in enumerate(self.columns) if column[2] == "likelihood"}
        keep = [i for i, column in enumerate(self.columns) if column[2] != "likelihood"]
        values = self.values.copy()
        for i in keep:
            if (likelihood := confidence.get(self.columns[i][:2])) is not None:
                values[self.values[:, likelihood] < minimum, i] = np.nan
        return replace(self, columns=tuple(self.columns[i] for i in keep), values=values[:, keep])

    def rows(self, keep: Sequence[int]) -> Sheet:
        """Returns some of the images."""
        return replace(self, names=tuple(self.names[i] for i in keep), values=self.values[list(keep)])

    def same_as(self, other: Sheet) -> bool:
        """Whether another sheet has the same images, body parts and coordinates, in any order of the columns."""
        if self.names != other.names or set(self.columns) != set(other.columns):
            return False
        order = [other.columns.index(column) for column in self.columns]
        return bool(np.allclose(self.values, other.values[:, order], rtol=0, atol=TOLERANCE, equal_nan=True))

    def instances(
        self, row: int, individuals: Sequence[str], joints: Sequence[str], tracked: bool, record: str
    ) -> list[Instance]:
        """Returns the labeled instances of an image.

        Args:
            row: Index of the image.
            individuals: All individuals of the project; the index is the track ID.
            joints: Body parts to read.
            tracked: Whether individuals are the same animals in all images.
            record: Name of the image in messages.

        Raises:
            LabelError: A coordinate is infinite.
        """
        slots = {name: i for i, name in enumerate(individuals)}
        index = {joint: i for i, joint in enumerate(joints)}
        points = np.full((len(individuals), len(joints), 2), np.nan)
        for (individual, part, axis), value in zip(self.columns, self.values[row].tolist(), strict=True):
            if part in index:
                points[slots[individual], index[part], AXES.index(axis)] = value
        occluded = np.zeros(len(joints), bool)
        checked = [checked_points(keypoints, record) for keypoints in points]
        return [
            Instance(self.names[row], keypoints, occluded, track=i if tracked and name not in ("", UNIQUE) else -1)
            for i, (name, keypoints) in enumerate(zip(individuals, checked, strict=True))
            if np.isfinite(keypoints).any()
        ]


def make_sheet(
    columns: Sequence[Sequence[str]],
    names: Sequence[str],
    values: NDArray[np.float64],
    path: Path,
    scorers: Sequence[str],
) -> Sheet:
    """Returns the content of a file.

    Args:
        columns: (scorer, [individual,] body part, x or y or likelihood) of each column.
        names: Names of the N images.
        values: (N, columns).
        path: The file.
        scorers: Scorers whose columns are read, where the file has those of several.

    Raises:
        LabelError: The columns are others, or occur twice.
    """
    if any(len(column) not in (3, 4) or column[-1] not in AXES for column in columns):
        raise LabelError(f"{path}: columns must be scorer, optionally individual, body part, and x, y or likelihood")
    present = list(dict.fromkeys(column[0] for column in columns))
    wanted = [scorer for scorer in present if scorer in scorers] if len(present) > 1 else present
    keep = [i for i, column in enumerate(columns) if column[0] in wanted]
    named = tuple((columns[i][1] if len(columns[i]) == 4 else "", columns[i][-2], columns[i][-1]) for i in keep)
    if len(present) > 1 and len(wanted) != 1:
        raise LabelError(f"{path} has columns of the scorers {', '.join(present)}: keep those of one")
    if len(set(named)) != len(named):
        raise LabelError(f"{path}: a body part occurs twice in its header")
    return Sheet(wanted[0] if wanted else "", named, tuple(names), values[:, keep])
