"""Frames of a video, and the interface of its readers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

DEFAULT_RATE = 25.0
"""Frames per second of files and webcams that do not state a rate."""

SLOWEST, FASTEST = 0.01, 1000.0  # frames per second: headers beyond these are wrong


@dataclass(frozen=True, eq=False)
class VideoFrame:
    """One frame of a video.

    Attributes:
        index: Number of the frame, from 0.
        seconds: Time since the first frame in seconds; never decreases.
        image: (H, W, 3) uint8 RGB, rotated as the metadata states.
    """

    index: int
    seconds: float
    image: NDArray[np.uint8]


class Video(Protocol):
    """An open file or webcam, used in a with block; its frames can be iterated over once.

    Attributes:
        rate: Average number of frames per second.
        frames: Approximate number of frames; None where it is unknown.
    """

    rate: float
    frames: int | None

    def __iter__(self) -> Iterator[VideoFrame]:
        """Yields the frames.

        Raises:
            VideoError: After the last good frame, where the video is truncated or damaged.
        """
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *ended: object) -> None: ...


def sane_rate(rate: Any) -> float:
    """Returns the rate of a header, or the default where the header is missing or wrong."""
    value = float(rate or 0)
    return value if SLOWEST <= value <= FASTEST else DEFAULT_RATE
