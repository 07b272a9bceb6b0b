"""Frames of a video, and the interface of its readers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from cairn.structures.geometry import Size

SQUARE = Fraction(1)
"""Aspect ratio of square pixels."""

DEFAULT_RATE = 25.0
"""Frames per second of files and webcams that do not state a rate."""

SLOWEST, FASTEST = 0.01, 1000.0  # frames per second: headers beyond these are wrong


@dataclass(frozen=True, eq=False)
class VideoFrame:
    """One frame of a video.

    Attributes:
        index: Number of the frame, from 0.
        seconds: Time since the first frame in seconds; never decreases.
        image: (H, W, 3) uint8 RGB, rotated and mirrored as the metadata states; None where the frame is damaged.
    """

    index: int
    seconds: float
    image: NDArray[np.uint8] | None


class Video(Protocol):
    """An open file, stream or webcam, used in a with block; its frames can be iterated over once."""

    @property
    def rate(self) -> float:
        """Average number of frames per second."""
        ...

    @property
    def frames(self) -> int | None:
        """Approximate number of frames; None where it is unknown."""
        ...

    @property
    def size(self) -> Size:
        """(height, width) of the frames in pixels."""
        ...

    @property
    def pixel_aspect(self) -> Fraction:
        """Width of a pixel of the frames divided by its height, as a player shows it."""
        ...

    def __iter__(self) -> Iterator[VideoFrame]:
        """Yields the frames; a damaged one is counted and has no image.

        Raises:
            VideoError: After the last good frame, where the video is truncated.
            DamagedVideo: After the last frame, where some are damaged.
        """
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *ended: object) -> None: ...


def sane_rate(rate: Any) -> float:
    """Returns the rate of a header, or the default where the header is missing or wrong."""
    value = float(rate or 0)
    return value if SLOWEST <= value <= FASTEST else DEFAULT_RATE


def sane_aspect(ratio: Any) -> Fraction:
    """Returns the pixel aspect ratio of a header, or that of square pixels where it is missing or wrong."""
    aspect = Fraction(ratio or 1)
    return aspect if Fraction(1, 8) <= aspect <= 8 else SQUARE
