"""Keypoints in 3D: the instances of one moment, and the tracks of a recording."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cairn.errors import SkeletonError
from cairn.structures.skeleton import Skeleton
from cairn.wording import counted


@dataclass(frozen=True, eq=False, repr=False)
class Poses3D:
    """The instances of one moment in 3D.

    Attributes:
        keypoints: (P, K, 3) float64, in meters in the world of the rig, or, where they were lifted from one view, in
            the camera's frame relative to the root; NaN where unknown.
        confidence: (P, K) float32 in [0, 1]; 0 where unknown.
        skeleton: Names and limbs of the K keypoints.
        errors: (P, K) float32, reprojection error in pixels, the root mean square over the views used; NaN where
            unknown. None where there are no views.
        views: (P, K) int64, number of views that a keypoint was triangulated from; None where there are none.
        ids: (P,) int64, track IDs from 1; None without tracking.

    Raises:
        SkeletonError: If the shapes contradict one another or the skeleton.
    """

    keypoints: NDArray[np.float64]
    confidence: NDArray[np.float32]
    skeleton: Skeleton
    errors: NDArray[np.float32] | None = None
    views: NDArray[np.int64] | None = None
    ids: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        shape = (len(self.confidence), len(self.skeleton))
        if self.keypoints.shape != (*shape, 3):
            raise SkeletonError(f"keypoints of {self.skeleton.name} must be {(*shape, 3)}, got {self.keypoints.shape}")
        for name, values in (("confidence", self.confidence), ("errors", self.errors), ("views", self.views)):
            if values is not None and values.shape != shape:
                raise SkeletonError(f"{name} must be {shape}, got {values.shape}")
        if self.ids is not None and self.ids.shape != shape[:1]:
            raise SkeletonError(f"ids must be one track ID for each of {shape[0]} instances, got {self.ids.shape}")

    @classmethod
    def empty(cls, skeleton: Skeleton) -> Poses3D:
        """Returns no instances of a skeleton."""
        joints = len(skeleton)
        return cls(np.zeros((0, joints, 3)), np.zeros((0, joints), np.float32), skeleton)

    def __len__(self) -> int:
        return len(self.confidence)

    def __getitem__(self, joint: str) -> NDArray[np.float64]:
        """Returns one keypoint of all instances, (P, 4) x, y, z, confidence.

        Raises:
            SkeletonError: If the skeleton has no joint of this name.
        """
        index = self.skeleton.index(joint)
        return np.column_stack([self.keypoints[:, index], self.confidence[:, index]])

    def __repr__(self) -> str:
        known = int((self.confidence > 0).sum())
        instances = f"{counted(len(self), 'instance')} of {self.skeleton.name}"
        return f"Poses3D({instances}, {known} of {self.confidence.size} keypoints)"


@dataclass(frozen=True, eq=False, repr=False)
class Trajectories:
    """3D tracks of a recording: every instance in every frame.

    Iteration and integer indices give the `Poses3D` of a frame, with those instances that are in it.

    Attributes:
        keypoints: (F, P, K, 3) float64, in meters; NaN where unknown.
        confidence: (F, P, K) float32 in [0, 1]; 0 where unknown.
        skeleton: Names and limbs of the K keypoints.
        ids: (P,) int64, track IDs from 1.
        rate: Frames per second.
        errors: (F, P, K) float32, reprojection error in pixels; NaN where unknown, None without views.
        views: (F, P, K) int64, number of views that a keypoint was triangulated from; None without views.
        interpolated: (F, P, K) bool, which keypoints were filled in between two frames; None if none was.
        start: Number of the first frame in the recording.

    Raises:
        SkeletonError: If the shapes contradict one another or the skeleton.
    """

    keypoints: NDArray[np.float64]
    confidence: NDArray[np.float32]
    skeleton: Skeleton
    ids: NDArray[np.int64]
    rate: float
    errors: NDArray[np.float32] | None = None
    views: NDArray[np.int64] | None = None
    interpolated: NDArray[np.bool_] | None = None
    start: int = 0

    def __post_init__(self) -> None:
        shape = (len(self.confidence), len(self.ids), len(self.skeleton))
        if self.keypoints.shape != (*shape, 3):
            raise SkeletonError(f"keypoints of {self.skeleton.name} must be {(*shape, 3)}, got {self.keypoints.shape}")
        optional = (("errors", self.errors), ("views", self.views), ("interpolated", self.interpolated))
        for name, values in (("confidence", self.confidence), *optional):
            if values is not None and values.shape != shape:
                raise SkeletonError(f"{name} must be {shape}, got {values.shape}")
        if not self.rate > 0:
            raise SkeletonError(f"rate must be a positive number of frames per second, got {self.rate}")

    @property
    def known(self) -> NDArray[np.bool_]:
        """(F, P, K): which keypoints are known."""
        return np.asarray(np.isfinite(self.keypoints).all(axis=-1))

    @property
    def times(self) -> NDArray[np.float64]:
        """(F,): seconds since the start of the recording."""
        return (self.start + np.arange(len(self))) / self.rate

    def __len__(self) -> int:
        return len(self.confidence)

    def __getitem__(self, frame: int) -> Poses3D:
        if not -len(self) <= frame < len(self):
            raise IndexError(f"there are {len(self)} frames, got index {frame}")
        present = self.known[frame].any(axis=-1)
        return Poses3D(
            self.keypoints[frame, present],
            self.confidence[frame, present],
            self.skeleton,
            None if self.errors is None else self.errors[frame, present],
            None if self.views is None else self.views[frame, present],
            self.ids[present],
        )

    def __iter__(self) -> Iterator[Poses3D]:
        return (self[frame] for frame in range(len(self)))

    def __repr__(self) -> str:
        instances = f"{counted(len(self.ids), 'instance')} of {self.skeleton.name}"
        return f"Trajectories({counted(len(self), 'frame')} at {self.rate:g} Hz, {instances})"

    def person(self, row: int) -> Trajectories:
        """Returns the track of one instance, by its row."""
        rows = [row]
        return replace(
            self,
            keypoints=self.keypoints[:, rows],
            confidence=self.confidence[:, rows],
            ids=self.ids[rows],
            errors=None if self.errors is None else self.errors[:, rows],
            views=None if self.views is None else self.views[:, rows],
            interpolated=None if self.interpolated is None else self.interpolated[:, rows],
        )
