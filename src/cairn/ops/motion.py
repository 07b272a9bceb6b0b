"""What moves in front of a static camera: the median of many frames is the background, and the rest has moved.

Images are compared at `SIDE` pixels, so that memory and time do not grow with their size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

SIDE = 400
"""Longest side in pixels at which images are compared; smaller images are not enlarged."""

MAX_FRAMES = 101
"""Maximum number of frames of which the background is the median: at most 48 MB."""

ROWS = 64
"""Rows of the background that are computed together."""

SMOOTH = 5
"""Side in pixels of the box filter that removes noise of single pixels."""

MIN_CHANGE = 12.0
"""Least change of a color channel, of 255, that counts: coding changes still pixels by less."""

DEVIATIONS = 6.0
"""Deviations of the changes of an image, estimated from their median, that a change must exceed."""

SAMPLED = 3
"""Medians over an image are those of every third row and column."""

SHADE = 0.3
"""Share of the largest change of an image that a change must reach: shadows and reflections change less."""

MIN_AREA = 2e-4
"""Least share of the image that moves together."""

MIN_PIXELS = 4
"""Least number of compared pixels that move together."""

MIN_SIDE = 16.0
"""Least side of a box in pixels of a frame."""

GAP = 0.01
"""Share of the longer side up to which gaps in a region are closed."""

MAX_MOVING = 0.5
"""Share of changed pixels above which the camera itself has moved."""


@dataclass(frozen=True, eq=False)
class Background:
    """What a static camera sees where nothing moves.

    Attributes:
        pixels: (h, w, 3) float32, the smoothed median of frames at `SIDE` pixels.
        size: (height, width) of the frames in pixels.
    """

    pixels: NDArray[np.float32]
    size: tuple[int, int]

    def box(self, image: NDArray[np.uint8]) -> NDArray[np.float64] | None:
        """Returns the (4,) square x, y, width, height, in pixels of a frame, around the largest region that moves.

        Its center is that of the region, and its side the major axis of the ellipse with the same second moments: it
        neither depends on the direction of an animal nor much on its tail.

        Args:
            image: (H, W, 3) uint8, a frame of the same size.

        Returns:
            The box; None where nothing moves.
        """
        change = self.change(image)
        some = change[::SAMPLED, ::SAMPLED]
        middle = float(np.median(some))
        deviation = 1.4826 * float(np.median(np.abs(some - middle)))  # of a normal distribution
        threshold = max(MIN_CHANGE, middle + DEVIATIONS * deviation, SHADE * float(change.max()))
        moving = (change > threshold).astype(np.uint8)
        reach = 2 * round(GAP * max(moving.shape)) + 1
        moving = cv2.morphologyEx(moving, cv2.MORPH_CLOSE, np.ones((reach, reach), np.uint8))
        _, numbers, regions, _ = cv2.connectedComponentsWithStats(moving)
        areas = regions[1:, cv2.CC_STAT_AREA]  # the first is the background
        if not len(areas) or areas.max() < max(MIN_PIXELS, MIN_AREA * moving.size):
            return None
        y, x = np.nonzero(numbers == 1 + int(areas.argmax()))
        scale = max(self.size) / max(moving.shape)
        center = scale * (np.array([x.mean(), y.mean()]) + 0.5) - 0.5
        side = max(MIN_SIDE, scale * 4 * float(np.sqrt(np.linalg.eigvalsh(np.cov(x, y))[-1])))
        return np.concatenate([center - side / 2, [side, side]])

    def changed(self, image: NDArray[np.uint8]) -> float:
        """Returns the share of the pixels of a frame (H, W, 3) that differ from the background."""
        return float((self.change(image) > MIN_CHANGE).mean())

    def change(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Returns the (h, w) largest change of a color channel; a change of brightness of all pixels is none."""
        difference = smoothed(reduced(image)) - self.pixels
        difference -= np.median(difference[::SAMPLED, ::SAMPLED], axis=(0, 1))
        changes: NDArray[np.float32] = np.abs(difference).max(axis=2)
        return changes


def background_of(frames: Sequence[NDArray[np.uint8]], size: tuple[int, int]) -> Background:
    """Returns the background of a camera.

    Args:
        frames: Frames as `reduced` returns them, `MAX_FRAMES` at most.
        size: (height, width) of the frames before that.
    """
    median = np.empty(frames[0].shape, np.uint8)
    for start in range(0, len(median), ROWS):
        rows = np.stack([frame[start : start + ROWS] for frame in frames])
        rows.partition(len(frames) // 2, axis=0)
        median[start : start + ROWS] = rows[len(frames) // 2]
    return Background(smoothed(median), size)


def reduced(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Returns an image (H, W, 3) at `SIDE` pixels."""
    height, width = image.shape[:2]
    scale = min(1.0, SIDE / max(height, width))
    if scale == 1:
        return image
    target = (max(1, round(scale * width)), max(1, round(scale * height)))
    small: NDArray[Any] = cv2.resize(image, target, interpolation=cv2.INTER_AREA)
    return small.astype(np.uint8, copy=False)


def smoothed(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Returns an image (h, w, 3) without the noise of single pixels."""
    result: NDArray[Any] = cv2.blur(image, (SMOOTH, SMOOTH))
    return result.astype(np.float32)


class Sampler:
    """Keeps at most `MAX_FRAMES` frames of a sequence of unknown length, evenly."""

    def __init__(self) -> None:
        self.frames: list[NDArray[np.uint8]] = []
        self._step = 1
        self._count = 0

    def add(self, image: NDArray[np.uint8]) -> None:
        """Takes the next frame (H, W, 3)."""
        if self._count % self._step == 0:
            if len(self.frames) == MAX_FRAMES:
                self.frames = self.frames[::2]
                self._step *= 2
            if self._count % self._step == 0:
                self.frames.append(reduced(image).copy())
        self._count += 1
