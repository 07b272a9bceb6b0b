"""Encoding of video by PyAV, the Python binding of FFmpeg."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.media.video.frames import SQUARE, sane_rate
from cairn.media.video.pyav import import_av, reason
from cairn.structures.geometry import Size

CLOCK = 90_000
"""Ticks per second of written files: as in MPEG, a multiple of the common frame rates."""

CODECS = {
    ".mp4": ("libx264", {"preset": "veryfast", "crf": "20"}),  # visually lossless, a few milliseconds per frame
    ".webm": ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "8", "row-mt": "1", "crf": "30", "b": "0"}),
}


class AvEncoder:
    """H.264 in MP4 or VP9 in WebM, with variable frame rate."""

    def __init__(self, suffix: str, rate: float, threads: int, pixel_aspect: Fraction = SQUARE) -> None:
        self._suffix = suffix
        self._rate = sane_rate(rate)
        self._threads = threads
        self._aspect = pixel_aspect
        self._last = -1  # time of the last frame in ticks

    def open(self, path: Path, size: Size) -> None:
        """Opens the file; see `Encoder`."""
        av = import_av()
        codec, options = CODECS[self._suffix]
        if codec not in av.codecs_available:
            raise OSError(f"this FFmpeg has no {codec}")
        movflags = {"movflags": "+faststart"} if self._suffix == ".mp4" else {}
        self._container = av.open(str(path), "w", options=movflags)
        self._stream = self._container.add_stream(
            codec, rate=Fraction(self._rate).limit_denominator(1001), options=options
        )
        self._stream.height, self._stream.width = size
        self._stream.pix_fmt = "yuv420p"
        self._stream.codec_context.thread_count = self._threads
        self._stream.codec_context.sample_aspect_ratio = self._aspect
        self._stream.codec_context.time_base = Fraction(1, CLOCK)

    def write(self, image: NDArray[np.uint8], seconds: float | None) -> None:
        """Encodes a frame; see `Encoder`."""
        frame = import_av().VideoFrame.from_ndarray(image, format="rgb24")
        step = round(CLOCK / self._rate)
        due = round(seconds * CLOCK) if seconds is not None else self._last + step if self._last >= 0 else 0
        self._last = max(self._last + 1, due)  # players want every frame later than the one before
        frame.pts, frame.duration, frame.time_base = self._last, step, Fraction(1, CLOCK)
        self._mux(frame)

    def finish(self) -> None:
        """Completes the file."""
        self._mux(None)

    def close(self) -> None:
        """Releases the file."""
        try:
            self._container.close()
        except import_av().error.FFmpegError as error:
            raise OSError(reason(error)) from None

    def _mux(self, frame: Any) -> None:
        try:
            for packet in self._stream.encode(frame):
                self._container.mux(packet)
        except import_av().error.FFmpegError as error:
            raise OSError(reason(error)) from None
