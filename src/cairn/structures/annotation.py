"""Ground truth of one image: a struct of arrays, one row per labeled instance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import pairwise, repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

AREA_PER_BOX = 0.53
"""Share of a bounding box that a person covers: the area where none is annotated, as in xtcocotools."""

MAX_VALUE = float(np.finfo(np.float32).max)
"""Largest number of a column: a larger one becomes infinite in single precision."""


@dataclass(frozen=True, eq=False)
class Annotation:
    """The labeled instances of one image.

    Attributes:
        keypoints: (P, K, 2) float32, (x, y) in pixels; NaN where not labeled.
        visibility: (P, K) uint8, COCO's v: 0 not labeled, 1 labeled but occluded, 2 visible.
        boxes: (P, 4) float32, bounding boxes as x, y, width, height in pixels.
        areas: (P,) float32, segment area in square pixels, the scale of OKS.
        crowd: (P,) bool: the row is a region of many instances without individual labels.
        heads: (P,) float32, diagonal of the head box in pixels, the scale of PCKh; NaN where an instance has no head
            box, None where the data set has none at all.
        tracks: (P,) int64, track IDs of the label file, unique within a video; -1 where an instance has none, None
            where the data set has none at all.
        classes: (P,) int64, index of each instance's category in `Labels.classes`, -1 where it is unknown; None where
            there is one category.
        outlines: (P,) of `Outline` or None, the regions of instances without individual labels (crowds, and instances
            without labeled keypoints); None where the data set has none at all.
    """

    keypoints: NDArray[np.float32]
    visibility: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    areas: NDArray[np.float32]
    crowd: NDArray[np.bool_]
    heads: NDArray[np.float32] | None = None
    tracks: NDArray[np.int64] | None = None
    classes: NDArray[np.int64] | None = None
    outlines: NDArray[np.object_] | None = None

    @classmethod
    def concatenate(cls, items: Sequence[Annotation]) -> Annotation:
        """Returns the rows of several annotations, in order.

        Args:
            items: At least one annotation, all with the same number of keypoints.

        Returns:
            One annotation. An optional column is None where any of the items lacks it.
        """
        columns: dict[str, Any] = {}
        for name in (field.name for field in fields(cls)):
            values = [getattr(item, name) for item in items]
            columns[name] = None if any(value is None for value in values) else np.concatenate(values)
        return cls(**columns)

    def __len__(self) -> int:
        return len(self.areas)

    def __getitem__(self, rows: slice | Sequence[int] | NDArray[Any]) -> Annotation:
        """Returns the instances of a slice, of an array of indices, or of a boolean mask (P,)."""
        columns: list[Any] = [None if column is None else column[rows] for column in vars(self).values()]
        return Annotation(*columns)

    def split(self, cuts: Sequence[int]) -> list[Annotation]:
        """Returns the rows from each cut to the next; much faster than one by one.

        Args:
            cuts: Indices of rows, increasing.
        """
        pairs = list(pairwise(cuts))
        columns: list[Any] = [
            repeat(None, len(pairs)) if column is None else [column[start:end] for start, end in pairs]
            for column in vars(self).values()
        ]
        return list(map(Annotation, *columns))

    @property
    def labeled(self) -> NDArray[np.bool_]:
        """(P,): instances with at least one labeled keypoint that are no crowd region."""
        labeled: NDArray[np.bool_] = (self.visibility > 0).any(axis=1) & ~self.crowd
        return labeled
