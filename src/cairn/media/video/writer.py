"""Images into a video file, whole or not at all."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from cairn.errors import OutputError
from cairn.files import atomic_write
from cairn.structures.geometry import Affine, Size


class Encoder(Protocol):
    """What makes a file of frames. Opened once; finished when all went well; closed in any case, at the end.

    Raises OSError where the file cannot be written.
    """

    def open(self, path: Path, size: Size) -> None: ...

    def write(self, image: NDArray[np.uint8], seconds: float | None) -> None: ...

    def finish(self) -> None: ...

    def close(self) -> None: ...


class VideoWriter:
    """Writes beside the file, which is there when the with block has ended well; else nothing is left."""

    def __init__(self, path: Path, size: Size, encoder: Encoder) -> None:
        self.path = path
        self.size = size
        self.frames = 0
        self._encoder = encoder
        self._open = ExitStack()

    def __enter__(self) -> Self:
        height, width = (side + side % 2 for side in self.size)  # 4:2:0 wants even sides
        with ExitStack() as opening:
            beside = opening.enter_context(atomic_write(self.path))
            self._encoder.open(beside, (height, width))
            opening.callback(self._encoder.close)
            self._open = opening.pop_all()
        return self

    def write(self, image: NDArray[np.uint8], seconds: float | None = None) -> None:
        """The next frame, (H, W, 3) uint8 RGB, shown from then until the next one is.

        One of another size is fitted into the video's. Raises OutputError where it cannot be written.
        """
        try:
            self._encoder.write(_evened(_fitted(image, self.size)), seconds)
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
                raise OutputError(f"cannot write {self.path}: a video has one frame at least")
            self._encoder.finish()


def _fitted(image: NDArray[np.uint8], size: Size) -> NDArray[np.uint8]:
    """In the middle of a black image of `size`, as large as it will go; as it is where it fits already."""
    height, width = image.shape[:2]
    if (height, width) == size:
        return image
    onto = (
        Affine.translation(-(width - 1) / 2, -(height - 1) / 2)
        .then(Affine.scaling(min(size[0] / height, size[1] / width)))
        .then(Affine.translation((size[1] - 1) / 2, (size[0] - 1) / 2))
    )
    return onto.warp(image, size, border=0)


def _evened(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """With the last row and column once more where their number is odd."""
    height, width = image.shape[:2]
    if height % 2 or width % 2:
        image = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    return np.ascontiguousarray(image)
