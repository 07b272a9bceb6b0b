"""Frames of image files that OpenCV decodes: pages of TIFF files, and animated WebP and AVIF."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.errors import VideoError
from cairn.media.depth import highest_value, to_8_bits
from cairn.media.images import EncodedImage, bgr_to_rgb
from cairn.media.orientation import oriented
from cairn.media.video.frames import VideoFrame

CHUNK = 16
"""Frames of an animation that are decoded together."""


class Stack:
    """Frames of an image file, in order; see `Header.frames`.

    Attributes:
        frames: Number of frames; None where it is unknown.
        note: What was done to the range of its values, in words, after the first frame; or "".
    """

    def __init__(self, path: Path, encoded: EncodedImage, rate: float) -> None:
        self._path = path
        self._encoded = encoded
        self._rate = rate
        self.frames = len(encoded.header.pages) or None
        self.note = ""

    def __iter__(self) -> Iterator[VideoFrame]:
        """Yields the frames. Raises VideoError after the last good frame, where a later one is damaged."""
        return self._pages() if self._encoded.header.pages else self._animation()

    def _pages(self) -> Iterator[VideoFrame]:
        import cv2

        data, header, peak = np.frombuffer(self._encoded.data, np.uint8), self._encoded.header, 0
        for index, page in enumerate(header.pages):
            try:
                _, decoded = cv2.imdecodemulti(data, cv2.IMREAD_UNCHANGED, range=(page, page + 1))
            except cv2.error:
                decoded = ()
            if not decoded:
                raise VideoError(f"{self._path} is damaged or truncated at page {page}: {index} pages were read")
            pixels = decoded[0]
            if pixels.dtype == np.uint16 and pixels.any():  # a page may be darker than the one before
                peak = max(peak, highest_value(pixels, header.peak))
            yield VideoFrame(index, index / self._rate, self._image(pixels, peak or None))

    def _animation(self) -> Iterator[VideoFrame]:
        import cv2

        if not hasattr(cv2, "imdecodeanimation"):
            raise VideoError(f"{self._path} is an animation, which needs opencv-python-headless 4.11 or newer")
        data, index, seconds = np.frombuffer(self._encoded.data, np.uint8), 0, 0.0
        while True:
            read, animation = cv2.imdecodeanimation(data, start=index, count=CHUNK)
            frames, durations = (list(animation.frames), list(animation.durations)) if read else ([], [])
            for frame, duration in zip(frames, durations, strict=True):
                yield VideoFrame(index, seconds, self._image(frame, self._encoded.header.peak))
                index += 1
                seconds += int(duration) / 1000
            if len(frames) < CHUNK:
                break
        if not index:
            raise VideoError(f"{self._path} has no frame that can be decoded")

    def _image(self, pixels: NDArray[Any], peak: int | None) -> NDArray[np.uint8]:
        eight, note = to_8_bits(pixels, peak)
        self.note = self.note or note
        return np.ascontiguousarray(oriented(bgr_to_rgb(eight), self._encoded.header.orientation))
