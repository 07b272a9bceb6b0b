"""The detections of all cameras in one table, in the coordinates that association works in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cairn.structures.camera import Rig
from cairn.structures.poses import Poses

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class DetectionTable:
    """N detections, sorted by frame; K keypoints each.

    Attributes:
        frames: (N,) frame of each detection.
        views: (N,) camera of each detection.
        pixels: (N, K, 2); NaN where not detected.
        confidence: (N, K); 0 where not detected.
        normalized: (N, K, 2) undistorted, at depth 1; 0 where not detected.
        rays: (N, K, 3) unit directions in the world; 0 where not detected.
        sizes: (N,) longer side of the keypoints in normalized coordinates: the size of an instance over its depth.
    """

    frames: NDArray[np.int64]
    views: NDArray[np.int64]
    pixels: Array
    confidence: Array
    normalized: Array
    rays: Array
    sizes: Array

    @classmethod
    def of(cls, rig: Rig, recordings: Sequence[Sequence[Poses]], min_confidence: float) -> DetectionTable:
        """Returns the detections of V cameras; the f-th poses of each camera are of one moment.

        A detection without a keypoint of that confidence is left out.

        Args:
            rig: V cameras.
            recordings: V sequences of poses that share a skeleton.
            min_confidence: Minimum confidence of a keypoint.
        """
        joints = next((len(poses.skeleton) for frames in recordings for poses in frames), 0)
        parts = []
        for view, (camera, frames) in enumerate(zip(rig, recordings, strict=True)):
            counts = [len(poses) for poses in frames]
            pixels = np.concatenate([poses.keypoints for poses in frames] or [np.zeros((0, joints, 2))])
            confidence = np.concatenate([poses.confidence for poses in frames] or [np.zeros((0, joints))])
            pixels, confidence = pixels.astype(np.float64), confidence.astype(np.float64)
            normalized = camera.undistort(pixels)
            there = (confidence >= min_confidence) & (confidence > 0) & np.isfinite(normalized).all(axis=-1)
            kept = there.any(axis=1)
            parts.append(
                (
                    np.repeat(np.arange(len(frames)), counts)[kept],
                    np.full(int(kept.sum()), view),
                    np.where(there[..., None], pixels, np.nan)[kept],
                    np.where(there, confidence, 0)[kept],
                    np.where(there[..., None], normalized, 0)[kept],
                    np.where(there[..., None], camera.rays(pixels), 0)[kept],
                    _sizes(normalized[kept], there[kept]),
                )
            )
        columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
        order = np.argsort(columns[0], kind="stable")
        return cls(*(column[order] for column in columns))

    def __len__(self) -> int:
        return len(self.frames)

    def at(self, rows: NDArray[np.intp] | slice) -> DetectionTable:
        """Returns those of some rows."""
        return DetectionTable(
            self.frames[rows],
            self.views[rows],
            self.pixels[rows],
            self.confidence[rows],
            self.normalized[rows],
            self.rays[rows],
            self.sizes[rows],
        )

    def by_frame(self, frames: int) -> list[slice]:
        """Returns the rows of each frame."""
        starts = np.searchsorted(self.frames, np.arange(frames + 1)).tolist()
        return [slice(a, b) for a, b in zip(starts[:-1], starts[1:], strict=True)]


def _sizes(normalized: Array, there: NDArray[np.bool_]) -> Array:
    """(N,): the longer side of the box around the keypoints."""
    if not len(normalized):
        return np.zeros(0)
    high = np.where(there[..., None], normalized, -np.inf).max(axis=1)
    low = np.where(there[..., None], normalized, np.inf).min(axis=1)
    return np.asarray((high - low).max(axis=1), np.float64)
