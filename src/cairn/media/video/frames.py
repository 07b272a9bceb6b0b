"""What reading a video gives, whoever reads it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

DEFAULT_RATE = 25.0
"""Frames per second where a file or a camera does not say."""

SLOWEST, FASTEST = 0.01, 1000.0  # frames per second: beyond these headers say something else


@dataclass(frozen=True, eq=False)
class VideoFrame:
    """One image of a video.

    index    counted from 0
    seconds  since the first frame, never less than the frame's before
    image    (H, W, 3) uint8 RGB, turned as it is meant to be seen
    """

    index: int
    seconds: float
    image: NDArray[np.uint8]


class Video(Protocol):
    """An open file or camera, for a with block, whose frames can be gone through once.

    rate    frames per second, on the average
    frames  how many there should be, about; None where nobody knows
    """

    rate: float
    frames: int | None

    def __iter__(self) -> Iterator[VideoFrame]:
        """Raises VideoError, after the last good frame, where it should have gone on or frames had to be left out."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *ended: object) -> None: ...


def sane_rate(rate: Any) -> float:
    """What a header says, or the usual rate where it says nothing that can be."""
    value = float(rate or 0)
    return value if SLOWEST <= value <= FASTEST else DEFAULT_RATE
