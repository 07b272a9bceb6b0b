"""What was found, and what was labeled: structs of arrays, one row for each object."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.errors import SkeletonError
from cairn.structures.geometry import Affine
from cairn.structures.skeleton import Skeleton


@dataclass(frozen=True, eq=False)
class Poses:
    """The objects found in one image.

    keypoints   (P, K, 2) float32, (x, y) in pixels; NaN where not found
    confidence  (P, K) float32 in [0, 1]; 0 where not found
    scores      (P,) float32, an object's overall score; larger is surer
    ids         (P,) int64, who each object is over time: one number in all images of a source, counted from 1
                and never given to another; -1 for one of whom it is not known (yet); None without tracking
    """

    keypoints: NDArray[np.float32]
    confidence: NDArray[np.float32]
    scores: NDArray[np.float32]
    skeleton: Skeleton
    ids: NDArray[np.int64] | None = None
    image: NDArray[np.uint8] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        people, joints = len(self.scores), len(self.skeleton)
        if self.keypoints.shape != (people, joints, 2) or self.confidence.shape != (people, joints):
            raise SkeletonError(
                f"keypoints must be ({people}, {joints}, 2) and confidence ({people}, {joints}) for "
                f"{people} objects of {self.skeleton.name}, got {self.keypoints.shape} and {self.confidence.shape}"
            )
        if self.ids is not None and self.ids.shape != (people,):
            raise SkeletonError(f"ids must be one number for each of {people} objects, got {self.ids.shape}")

    @classmethod
    def empty(cls, skeleton: Skeleton) -> Poses:
        joints = len(skeleton)
        return cls(
            np.zeros((0, joints, 2), np.float32), np.zeros((0, joints), np.float32), np.zeros(0, np.float32), skeleton
        )

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, rows: slice | NDArray) -> Poses:
        """The objects of a slice, of an array of indices, or of a boolean mask (P,)."""
        return replace(
            self,
            keypoints=self.keypoints[rows],
            confidence=self.confidence[rows],
            scores=self.scores[rows],
            ids=None if self.ids is None else self.ids[rows],
        )

    @property
    def detected(self) -> NDArray[np.bool_]:
        """(P, K): which keypoints were found."""
        return self.confidence > 0

    @property
    def boxes(self) -> NDArray[np.float32]:
        """(P, 4) x, y, width, height around the found keypoints; NaN where none was found."""
        hidden = ~self.detected[..., None]
        low = np.where(hidden, np.inf, self.keypoints).min(axis=1)
        high = np.where(hidden, -np.inf, self.keypoints).max(axis=1)
        boxes = np.concatenate([low, high - low], axis=1)
        return np.where(np.isfinite(boxes), boxes, np.nan).astype(np.float32)

    def transformed(self, affine: Affine) -> Poses:
        return replace(self, keypoints=affine.apply(self.keypoints))

    def above(self, threshold: float) -> Poses:
        """Without the keypoints less sure than `threshold`, and without the objects of which none is left."""
        kept: NDArray[np.bool_] = self.detected & (self.confidence >= threshold)
        keypoints = np.where(kept[..., None], self.keypoints, np.float32(np.nan))
        confidence = np.where(kept, self.confidence, np.float32(0))
        return replace(self, keypoints=keypoints, confidence=confidence)[np.flatnonzero(kept.any(axis=1))]

    def mapped(self, skeleton: Skeleton) -> Poses:
        """The same objects in the joints of another skeleton, matched by name; joints new to them are not found.

        A joint that is the mean of others (`Skeleton.means`) is found where all of them are, as sure as the least sure.
        """
        parts = skeleton.parts_in(self.skeleton)
        there = np.array([bool(joints) for joints in parts])
        confidence = np.where(there, gathered(self.confidence, parts, np.min), np.float32(0))
        keypoints = gathered(self.keypoints, parts, np.mean)
        keypoints = np.where(confidence[..., None] > 0, keypoints, np.float32(np.nan))
        return Poses(keypoints, confidence, self.scores, skeleton, self.ids)


@dataclass(frozen=True, eq=False)
class Annotation:
    """The labeled objects of one image.

    keypoints   (P, K, 2) float32, (x, y) in pixels; NaN where not labeled
    visibility  (P, K) uint8, COCO's v: 0 not labeled, 1 labeled but hidden, 2 visible
    boxes       (P, 4) float32 x, y, width, height
    areas       (P,) float32 in square pixels, as OKS uses it
    crowd       (P,) bool: a region of many objects that are not labeled one by one
    heads       (P,) float32, diagonals of head boxes in pixels, as PCKh uses them; NaN where there is
                none, None where the source has none at all
    tracks      (P,) int64, the label file's own number for who an object is in all images of a video; -1 where
                it has none, None where the source has none at all
    """

    keypoints: NDArray[np.float32]
    visibility: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    areas: NDArray[np.float32]
    crowd: NDArray[np.bool_]
    heads: NDArray[np.float32] | None = None
    tracks: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.areas)

    def __getitem__(self, rows: slice | NDArray) -> Annotation:
        values: dict[str, Any] = {name: getattr(self, name) for name in self.__dataclass_fields__}
        chosen: dict[str, Any] = {name: None if value is None else value[rows] for name, value in values.items()}
        return Annotation(**chosen)

    @property
    def labeled(self) -> NDArray[np.bool_]:
        """(P,): objects of which at least one joint is labeled and that are no crowd."""
        return (self.visibility > 0).any(axis=1) & ~self.crowd


def gathered(values: NDArray, parts: Sequence[Sequence[int]], of_several: Callable[..., NDArray]) -> NDArray:
    """(P, K, ...) from (P, J, ...): for each of K joints the value of its one part of J, or `of_several` of its parts.

    What stands for a joint without parts says nothing.
    """
    result = values[:, [joints[0] if joints else 0 for joints in parts]]
    for i, joints in enumerate(parts):
        if len(joints) > 1:
            result[:, i] = of_several(values[:, list(joints)], axis=1)
    return result
