"""Tracks of a video as files hold them: the frames, and the instances of each with their track IDs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from cairn.errors import LabelError
from cairn.structures.annotation import MAX_VALUE

FrameKey: TypeAlias = tuple[str, int]
"""Name of the video, "" where a file is of one, and number of the frame."""


@dataclass(frozen=True, eq=False)
class TrackedFrame:
    """The instances of one frame.

    Attributes:
        ids: (N,) int64 track IDs, at least 0.
        boxes: (N, 4) x, y, width, height in pixels.
        keypoints: (N, K, 3) x, y and visibility or confidence, 0 where unknown; K = 0 in a file of boxes.
        areas: (N,) square pixels, the scale of OKS; NaN where the file has none.
        regions: (R, 4) boxes of regions to ignore: predictions in them that match nothing do not count.
        distractors: (D, 4) boxes of what looks like an instance and is none, of MOT: predictions that match one do
            not count.
    """

    ids: NDArray[np.int64]
    boxes: NDArray[np.float64]
    keypoints: NDArray[np.float64]
    areas: NDArray[np.float64]
    regions: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 4)))
    distractors: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 4)))


@dataclass(frozen=True, eq=False)
class TrackFile:
    """The tracks of a file.

    Attributes:
        path: The file.
        frames: The frames that the file lists, in order.
        joints: Names of the K keypoints; None where the file has keypoints without names, empty where it has none.
        base: Number of the first frame of a video: 0 or 1; None where the file does not tell.
    """

    path: Path
    frames: Mapping[FrameKey, TrackedFrame]
    joints: tuple[str, ...] | None = ()
    base: int | None = None


@dataclass
class Rows:
    """The instances of a frame while they are read."""

    ids: list[int] = field(default_factory=list)
    boxes: list[NDArray[np.float64]] = field(default_factory=list)
    keypoints: list[NDArray[np.float64]] = field(default_factory=list)
    areas: list[float] = field(default_factory=list)
    regions: list[NDArray[np.float64]] = field(default_factory=list)
    distractors: list[NDArray[np.float64]] = field(default_factory=list)

    def add(self, number: int, box: Any, points: NDArray[np.float64] | None, area: Any, record: str) -> None:
        """Adds an instance.

        Args:
            number: Its track ID.
            box: x, y, width, height; None for the bounding box of its keypoints.
            points: (K, 3) x, y and visibility or confidence; None in a file of boxes.
            area: Square pixels, or None.
            record: The record, for messages.

        Raises:
            LabelError: The box is invalid, or there is neither box nor keypoint.
        """
        points = np.zeros((0, 3)) if points is None else points
        known = points[:, 2] > 0
        if box is not None:
            place = numbers(box, 4, f"{record}: bbox")
        elif known.any():
            low, high = points[known, :2].min(axis=0), points[known, :2].max(axis=0)
            place = np.concatenate([low, high - low])
        else:
            raise LabelError(f"{record} has neither a box nor a keypoint")
        if (place[2:] < 0).any():
            raise LabelError(f"{record}: a box has a width and a height of at least 0, got {place[2:].tolist()}")
        self.ids.append(number)
        self.boxes.append(place)
        self.keypoints.append(points)
        self.areas.append(float(area) if type(area) in (int, float) and 0 < area <= MAX_VALUE else float("nan"))

    def frame(self, joints: int, record: str) -> TrackedFrame:
        """Returns the frame. Raises LabelError where it has a track ID twice, or keypoints of several numbers."""
        repeated = [number for number in self.ids if self.ids.count(number) > 1]
        if repeated:
            raise LabelError(f"{record} has track ID {repeated[0]} twice: expected one instance per track ID")
        points = [each if len(each) else np.zeros((joints, 3)) for each in self.keypoints]
        if wrong := [len(each) for each in points if len(each) != joints]:
            raise LabelError(f"{record} has an instance of {wrong[0]} keypoints: expected {joints}")
        return TrackedFrame(
            np.array(self.ids, np.int64),
            np.array(self.boxes, np.float64).reshape(-1, 4),
            np.array(points, np.float64).reshape(len(points), joints, 3),
            np.array(self.areas, np.float64),
            np.array(self.regions, np.float64).reshape(-1, 4),
            np.array(self.distractors, np.float64).reshape(-1, 4),
        )


def numbers(values: Any, count: int, record: str) -> NDArray[np.float64]:
    """Returns a list of `count` finite numbers as an array. Raises LabelError where it is something else."""
    plain = isinstance(values, list) and all(type(v) in (int, float) and abs(v) <= MAX_VALUE for v in values)
    if not plain or len(values) != count:
        raise LabelError(f"{record} must be {count} finite numbers, got {values!r:.60}")
    return np.array(values, np.float64)
