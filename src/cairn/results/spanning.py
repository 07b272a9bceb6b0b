"""Files that hold the results of several images: one for each clip, and one for the images outside clips."""

from __future__ import annotations

from abc import abstractmethod
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path, PurePath
from types import TracebackType
from typing import Generic, TypeVar

from cairn.errors import CairnError, OutputError
from cairn.media.names import ImageName
from cairn.results.writer import Detections, Writer

T = TypeVar("T")


class SpanningWriter(Writer, Generic[T]):
    """Opens each file with its first image, and completes that of a clip at the end of the clip.

    A file that cannot be written raises once; it is given up, and later images for it are ignored.
    """

    def __init__(self) -> None:
        self._clip: PurePath | None = None
        self._files: dict[PurePath | None, tuple[T, ExitStack] | None] = {}  # None: given up

    @abstractmethod
    def _opened(self, detections: Detections) -> AbstractContextManager[T]:
        """Returns the file for the results of an image: it is complete at the end, or removed after an exception."""

    @abstractmethod
    def _add(self, file: T, detections: Detections) -> None:
        """Writes the results of an image to its file."""

    def write(self, detections: Detections) -> None:
        """Adds the results of an image to their file. Raises OutputError."""
        clip = detections.name.clip
        if clip != self._clip:
            self.end_clip()
            self._clip = clip
        if clip not in self._files:
            self._files[clip] = None
            opening = ExitStack()
            self._files[clip] = opening.enter_context(self._opened(detections)), opening
        if file := self._files[clip]:
            try:
                self._add(file[0], detections)
            except (OSError, CairnError) as error:
                self._files[clip] = None
                file[1].__exit__(type(error), error, error.__traceback__)  # raises an error that names the file
                raise

    def end_clip(self) -> None:
        """Completes the file of the current clip. Raises OutputError."""
        clip, self._clip = self._clip, None
        if clip is not None and (file := self._files.pop(clip, None)):
            file[1].close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        files, self._files = [file for file in self._files.values() if file], {}
        failed = None
        for _, opened in files:
            try:
                opened.__exit__(kind, error, trace)
            except OutputError as reason:  # the others are completed
                failed = reason
        if failed is not None:
            raise failed


def table_path(folder: Path, name: ImageName, ending: str, single: bool) -> Path:
    """Returns the table that the results of an image go into: that of its clip, its own, or that of the run.

    Args:
        folder: The output folder.
        name: Name of the image.
        ending: Ending of the name, such as `.cairn.csv`; the table of a run has it as its name.
        single: Whether the run is of one image or clip, whose name its tables get.
    """
    return name.beside_clip(folder, ending) if single or name.clip else folder / ending[1:]
