"""Drawn copies of images and clips."""

from __future__ import annotations

from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path, PurePath
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from cairn.media.images import write_image
from cairn.media.names import ImageName
from cairn.media.video import write_video
from cairn.media.video.frames import SQUARE

FORMATS = ("mp4", "webm", "jpg")
"""Formats of drawn clips. Images are drawn as .jpg."""


class Drawings:
    """Writes a drawn copy of each image, and one drawn video, or images, for each clip. Used in a with block.

    Attributes:
        folder: The output folder.
        format: One of `FORMATS`, for clips.
        threads: Number of CPU cores for encoding video; 0 is all.
    """

    def __init__(self, folder: Path, format: str, threads: int) -> None:
        self.folder = folder
        self.format = format
        self.threads = threads
        self._clip: PurePath | None = None
        self._open = ExitStack()

    def __enter__(self) -> Self:
        return self

    def write(self, name: ImageName, rate: float, drawn: NDArray[np.uint8], pixel_aspect: Fraction = SQUARE) -> None:
        """Writes the next image.

        Args:
            name: Name of the image.
            rate: Frames per second of its clip.
            drawn: (H, W, 3) uint8 RGB.
            pixel_aspect: Width of a pixel of its clip divided by its height.

        Raises:
            OutputError: The file cannot be written.
        """
        if name.clip != self._clip:
            self._open.close()  # the previous clip has ended
            self._open, self._clip = ExitStack(), name.clip
            if name.clip and self.format != "jpg":
                path = name.beside_clip(self.folder, f".cairn.{self.format}")
                size = drawn.shape[0], drawn.shape[1]
                self._video = self._open.enter_context(write_video(path, size, rate, self.threads, pixel_aspect))
        if name.clip and self.format != "jpg":
            self._video.write(drawn, name.seconds)
        else:
            write_image(name.beside(self.folder, ".cairn.jpg"), drawn)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.__exit__(kind, error, trace)
