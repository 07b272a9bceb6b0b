"""The content that a .csv and an .h5 file of DeepLabCut have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.formats.instances import Instance, checked_points
from cairn.errors import LabelError

UNIQUE = "single"  # the individual of body parts that occur once in an image with several animals

Column = tuple[str, str, str]


@dataclass(frozen=True, eq=False)
class Sheet:
    """The labels of one video.

    Attributes:
        columns: (individual, body part, x or y) of each column; the individual is empty where there is one animal.
        names: Names of the N images.
        values: (N, columns) pixels; NaN where not labeled.
    """

    columns: tuple[Column, ...]
    names: tuple[str, ...]
    values: NDArray[np.float64]

    def instances(self, row: int, individuals: list[str], joints: list[str], record: str) -> list[Instance]:
        """Returns the labeled instances of an image.

        Args:
            row: Index of the image.
            individuals: All individuals of the project; the index is the track ID.
            joints: All body parts of the project.
            record: Name of the image in messages.

        Raises:
            LabelError: A coordinate is infinite.
        """
        points = np.full((len(individuals), len(joints), 2), np.nan)
        for (individual, part, axis), value in zip(self.columns, self.values[row].tolist(), strict=True):
            points[individuals.index(individual), joints.index(part), "xy".index(axis)] = value
        occluded = np.zeros(len(joints), bool)
        checked = [checked_points(keypoints, record) for keypoints in points]
        return [
            Instance(self.names[row], keypoints, occluded, track=i if individual not in ("", UNIQUE) else -1)
            for i, (individual, keypoints) in enumerate(zip(individuals, checked, strict=True))
            if np.isfinite(keypoints).any()
        ]


def columns_of(columns: Sequence[Sequence[str]], path: Path) -> tuple[Column, ...]:
    """Returns the columns (scorer, [individual,] body part, x or y) without the scorer.

    Raises:
        LabelError: The columns are others, or occur twice.
    """
    if any(column[-1] == "likelihood" for column in columns):
        raise LabelError(f"{path} has predictions of DeepLabCut (likelihoods), not labels")
    if any(len(column) not in (3, 4) or column[-1] not in ("x", "y") for column in columns):
        raise LabelError(f"{path}: columns must be scorer, optionally individual, body part, and x or y")
    named = tuple((column[1] if len(column) == 4 else "", column[-2], column[-1]) for column in columns)
    if len(set(named)) != len(named):
        raise LabelError(f"{path}: a body part occurs twice in its header")
    return named
