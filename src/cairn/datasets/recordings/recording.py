"""The poses of every frame of one camera."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cairn.errors import LabelError
from cairn.structures.geometry import Size
from cairn.structures.poses import Poses
from cairn.structures.skeleton import Skeleton
from cairn.wording import counted

MAX_FRAMES = 10**7
"""Frames of the longest recording: a larger frame number is an error of the file."""

NUMBER = re.compile(r"(\d{1,18})\D*$", re.ASCII)

Person = tuple[NDArray[np.float64], int]
"""Keypoints (K, 3) x, y, confidence, and a track ID; -1 for none."""


@dataclass(frozen=True, eq=False, repr=False)
class Recording:
    """The poses of every frame of one camera.

    Attributes:
        frames: Poses of each frame; empty for a frame without detections.
        skeleton: Their skeleton.
        start: Number of the first frame.
        rate: Frames per second; None where unknown.
        size: (height, width) of the images in pixels; None where unknown.
    """

    frames: tuple[Poses, ...]
    skeleton: Skeleton
    start: int = 0
    rate: float | None = None
    size: Size | None = None

    def __len__(self) -> int:
        return len(self.frames)

    def __repr__(self) -> str:
        rate = f" at {self.rate:g} Hz" if self.rate else ""
        return f"Recording({counted(len(self), 'frame')} of {self.skeleton.name}{rate})"


def recording_of(
    people: Mapping[int, Sequence[Person]],
    skeleton: Skeleton,
    source: str,
    rate: float | None = None,
    size: Size | None = None,
) -> Recording:
    """Returns the recording of people by frame number; the frames between the numbers are empty.

    A first frame of 1 is the first one, too: some tools count from 1.

    Raises:
        LabelError: There is no frame, a number is impossible, or a person has another number of keypoints.
    """
    if not people:
        raise LabelError(f"{source} has no frames")
    first, last = min(people), max(people)
    if first < 0 or last - first >= MAX_FRAMES:
        raise LabelError(f"{source}: frame numbers must be from 0 to {MAX_FRAMES}, got {first} to {last}")
    frames = tuple(_poses(people.get(number, ()), skeleton, source) for number in range(first, last + 1))
    return Recording(frames, skeleton, 0 if first == 1 else first, rate, size)


def numbered(names: Iterable[str]) -> list[int]:
    """Returns the frame number of each name without suffix: its last number, or its place where not all differ."""
    names = list(names)
    found = [NUMBER.search(name) for name in names]
    numbers = [int(match[1]) if match else -1 for match in found]
    return numbers if -1 not in numbers and len(set(numbers)) == len(numbers) else list(range(len(names)))


def rate_of(frames: Sequence[int], seconds: Sequence[float]) -> float | None:
    """Returns frames per second from the times of frames; None where they tell nothing."""
    span = seconds[-1] - seconds[0] if seconds else 0
    return (frames[-1] - frames[0]) / span if span > 0 and frames[-1] > frames[0] else None


def _poses(people: Sequence[Person], skeleton: Skeleton, source: str) -> Poses:
    if any(len(points) != len(skeleton) for points, _ in people):
        raise LabelError(f"{source} has a person with other than {len(skeleton)} keypoints ({skeleton.name})")
    points = np.array([points for points, _ in people], np.float64).reshape(len(people), len(skeleton), 3)
    there = np.isfinite(points).all(axis=-1) & (points[..., 2] > 0)
    confidence = np.where(there, np.clip(points[..., 2], 0, 1), 0).astype(np.float32)
    keypoints = np.where(there[..., None], points[..., :2], np.nan).astype(np.float32)
    scores = confidence.mean(axis=1, dtype=np.float32) if len(skeleton) else np.zeros(len(people), np.float32)
    ids = np.array([track for _, track in people], np.int64)
    return Poses(keypoints, confidence, scores, skeleton, ids if (ids >= 0).any() else None)
