"""Streams and webcams that break off: opened again, with frame numbers and times that go on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Self

from cairn.errors import VideoError
from cairn.media.video.frames import Video, VideoFrame
from cairn.structures.geometry import Size

PAUSE = 1.0
"""Seconds before the first attempt to open a stream again; each further attempt waits for as long as all before it."""

MAX_PAUSE = 30.0


class Reconnecting:
    """A stream that is opened again where it breaks off; see `Video`.

    A video on a server that ends where it should is not opened again.
    """

    def __init__(self, opener: Callable[[], Video], attempts: int) -> None:
        self._opener = opener
        self._attempts = attempts
        self._video: Video | None = opener()

    @property
    def rate(self) -> float:
        """Frames per second of the stream as it is now."""
        return self._open.rate

    @property
    def frames(self) -> int | None:
        """Number of frames of a video on a server; None for a stream."""
        return self._open.frames

    @property
    def size(self) -> Size:
        """(height, width) of the frames."""
        return self._open.size

    @property
    def pixel_aspect(self) -> Fraction:
        """Width of a pixel divided by its height."""
        return self._open.pixel_aspect

    @property
    def _open(self) -> Video:
        assert self._video is not None
        return self._video

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *ended: object) -> None:
        if self._video is not None:
            self._video.__exit__(*ended)

    def __iter__(self) -> Iterator[VideoFrame]:
        """Yields the frames. Raises VideoError when the attempts are used up; a frame that comes restores them."""
        started, index, seconds, failed = time.monotonic(), 0, 0.0, 0
        error: VideoError | None = None
        while True:
            begin = seconds
            try:
                if self._video is None:
                    self._video = self._opener()
                for frame in self._video:
                    failed = 0
                    seconds = max(seconds, begin + frame.seconds)
                    yield VideoFrame(index, seconds, frame.image)
                    index += 1
                error = None
            except VideoError as raised:
                error = raised
            if self._video is not None and self._video.frames is not None:  # it would start from its beginning
                if error is not None:
                    raise error
                return
            failed += 1
            if failed > self._attempts:
                ended = error or f"the stream ended after {index} frames"
                raise VideoError(f"{ended}; {_times(self._attempts)} to open it again")
            self._close()
            time.sleep(min(PAUSE * 2 ** (failed - 1), MAX_PAUSE))
            seconds = max(seconds, time.monotonic() - started)

    def _close(self) -> None:
        if self._video is not None:
            self._video.__exit__(None, None, None)
            self._video = None


def _times(attempts: int) -> str:
    return "it was tried once" if attempts == 1 else f"it was tried {attempts} times"
