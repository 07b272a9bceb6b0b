"""Video by OpenCV: webcams, and files where PyAV is not installed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from cairn.errors import VideoError
from cairn.media.orientation import mp4_orientation, oriented, swaps_axes
from cairn.media.video.frames import SQUARE, VideoFrame, sane_aspect, sane_rate
from cairn.structures.geometry import Size


class Cv2Video:
    """A video file or a webcam; see `cairn.media.video.open_video` and `open_camera`."""

    def __init__(self, source: Path | int) -> None:
        import cv2

        self._live = isinstance(source, int)
        self._name = f"webcam {source}" if self._live else str(source)
        self._capture = cv2.VideoCapture(source if isinstance(source, int) else str(source))
        if not self._capture.isOpened():
            self._capture.release()
            raise VideoError(
                f"no {self._name}, or it is in use or not permitted; webcams are numbered from 0"
                if self._live
                else f"{self._name} cannot be opened as a video: it has another format, its start or index is missing, "
                "or OpenCV lacks its codec"
            )
        self.rate = sane_rate(self._capture.get(cv2.CAP_PROP_FPS))
        count = 0 if self._live else self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        self.frames = int(count) if count > 0 else None
        self._orientation = None if isinstance(source, int) else mp4_orientation(source)
        self.pixel_aspect = SQUARE
        if not self._live:
            self._read_display(self._orientation)
        self.size: Size = (
            int(self._capture.get(cv2.CAP_PROP_FRAME_HEIGHT)),
            int(self._capture.get(cv2.CAP_PROP_FRAME_WIDTH)),
        )

    def _read_display(self, orientation: int | None) -> None:
        """Reads the pixel aspect ratio. OpenCV rotates and never mirrors: where the matrix is known, it must not."""
        import cv2

        across, down = (int(self._capture.get(each)) for each in (cv2.CAP_PROP_SAR_NUM, cv2.CAP_PROP_SAR_DEN))
        stored = sane_aspect(Fraction(across, down) if across > 0 and down > 0 else None)
        quarter = self._capture.get(cv2.CAP_PROP_ORIENTATION_META) % 180 == 90
        swapped = quarter if orientation is None else swaps_axes(orientation)
        self.pixel_aspect = 1 / stored if swapped else stored
        if orientation is not None:
            self._capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *ended: object) -> None:
        self._capture.release()

    def __iter__(self) -> Iterator[VideoFrame]:
        import cv2

        index, first, seconds = 0, 0.0, 0.0
        while True:
            read, image = self._capture.read()
            if not read:
                break
            at = time.monotonic() if self._live else self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            first = first if index else at
            seconds = max(seconds, at - first)
            pixels = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)
            if self._orientation is not None:
                pixels = np.ascontiguousarray(oriented(pixels, self._orientation))
            self.size = pixels.shape[0], pixels.shape[1]
            yield VideoFrame(index, seconds, pixels)
            index += 1
        if self._live:
            raise VideoError(f"{self._name} stopped after {index} frames")
        if not index:
            raise VideoError(f"{self._name} has no frame that can be decoded")


class Cv2Encoder:
    """VP9 in WebM at a constant frame rate: frames are repeated or dropped to keep time."""

    def __init__(self, rate: float) -> None:
        self._rate = sane_rate(rate)
        self._written = 0

    def open(self, path: Path, size: Size) -> None:
        """Opens the file; see `Encoder`."""
        import cv2

        self._path = path
        self._writer = cv2.VideoWriter(
            str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"VP90"), self._rate, size[::-1]
        )
        if not self._writer.isOpened():
            raise OSError("this OpenCV cannot encode VP9; pip install 'cairn-pose[video]'")

    def write(self, image: NDArray[np.uint8], seconds: float | None) -> None:
        """Encodes a frame; see `Encoder`."""
        import cv2

        turned = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        until = self._written if seconds is None else round(seconds * self._rate)
        for _ in range(until + 1 - self._written):
            self._writer.write(turned)
            self._written += 1

    def finish(self) -> None:
        """Completes the file."""
        self._writer.release()
        if not self._path.is_file() or self._path.stat().st_size == 0:  # OpenCV does not report a full disk
            raise OSError("OpenCV wrote nothing")

    def close(self) -> None:
        """Releases the file."""
        self._writer.release()
