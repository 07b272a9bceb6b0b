"""Writing of video files, atomically."""

from __future__ import annotations

from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from cairn.errors import OutputError
from cairn.files import atomic_write
from cairn.media.video.frames import SQUARE
from cairn.structures.geometry import Affine, Size


class Encoder(Protocol):
    """Encoder of one file: opened once, finished on success, closed in any case.

    Its methods raise OSError where the file cannot be written.
    """

    def open(self, path: Path, size: Size) -> None:
        """Opens the file for frames of (height, width) `size`, both even."""
        ...

    def write(self, image: NDArray[np.uint8], seconds: float | None) -> None:
        """Encodes a frame, at its time in seconds; None is one frame after the last one."""
        ...

    def finish(self) -> None:
        """Completes the file."""
        ...

    def close(self) -> None:
        """Releases the file."""
        ...


class VideoWriter:
    """Writes a video, used in a with block; the file appears when the block succeeds, else nothing is left.

    Attributes:
        path: The file.
        size: (height, width) of the frames.
        frames: Number of frames written.
    """

    def __init__(self, path: Path, size: Size, encoder: Encoder, stretch: Fraction = SQUARE) -> None:
        self.path = path
        self.size = size
        self.frames = 0
        self._encoder = encoder
        self._stretch = stretch
        self._open = ExitStack()

    def __enter__(self) -> Self:
        height, width = (side + side % 2 for side in _stretched(self.size, self._stretch))  # 4:2:0 needs even sides
        with ExitStack() as opening:
            beside = opening.enter_context(atomic_write(self.path))
            self._encoder.open(beside, (height, width))
            opening.callback(self._encoder.close)
            self._open = opening.pop_all()
        return self

    def write(self, image: NDArray[np.uint8], seconds: float | None = None) -> None:
        """Writes the next frame; one of another size is fitted into that of the video.

        Args:
            image: (H, W, 3) uint8 RGB.
            seconds: Time of the frame in seconds; None is one frame after the last one.

        Raises:
            OutputError: The file cannot be written.
        """
        try:
            image = _fitted(image, self.size)
            if self._stretch != SQUARE:
                image = _resized(image, _stretched(self.size, self._stretch))
            self._encoder.write(_evened(image), seconds)
        except OSError as error:
            raise OutputError(f"cannot write {self.path}: {error.strerror or error}") from None
        self.frames += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._open.__exit__(kind, error, trace)
            return
        with self._open:
            if not self.frames:
                raise OutputError(f"cannot write {self.path}: a video needs at least one frame")
            self._encoder.finish()


def _fitted(image: NDArray[np.uint8], size: Size) -> NDArray[np.uint8]:
    """Returns the image letterboxed on black to `size`; unchanged where it has that size."""
    height, width = image.shape[:2]
    if (height, width) == size:
        return image
    onto = (
        Affine.translation(-(width - 1) / 2, -(height - 1) / 2)
        .then(Affine.scaling(min(size[0] / height, size[1] / width)))
        .then(Affine.translation((size[1] - 1) / 2, (size[0] - 1) / 2))
    )
    return onto.warp(image, size, border=0)


def _stretched(size: Size, pixel_aspect: Fraction) -> Size:
    """Returns the size with square pixels; one side grows, none shrinks."""
    height, width = size
    return (height, round(width * pixel_aspect)) if pixel_aspect >= 1 else (round(height / pixel_aspect), width)


def _resized(image: NDArray[np.uint8], size: Size) -> NDArray[np.uint8]:
    import cv2

    return np.asarray(cv2.resize(image, size[::-1], interpolation=cv2.INTER_LINEAR), np.uint8)


def _evened(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Returns the image with even sides: the last row or column is repeated."""
    height, width = image.shape[:2]
    if height % 2 or width % 2:
        image = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    return np.ascontiguousarray(image)
