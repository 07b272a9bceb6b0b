"""The files that a run of `detect` writes: one that fails is one fault, and the others are written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePath
from types import TracebackType
from typing import TYPE_CHECKING, Self

from cairn.errors import CairnError, OutputError
from cairn.media.address import is_url, without_credentials
from cairn.media.names import ImageName
from cairn.media.reading import first_name
from cairn.results import Detections, Writer
from cairn.results.ownership import SourceIds

if TYPE_CHECKING:
    from cairn.media.sources import Source

ANY = ImageName(Path("/"), PurePath("?"))
"""Name of no image: a file of a writer that has the results of this one too is that of the whole run."""


class OutputFiles:
    """Writes each image in all formats. Used as a context manager, which opens the writers and completes their files.

    Attributes:
        written: Whether a result was written.
    """

    def __init__(self, writers: Sequence[Writer], on_fault: Callable[[CairnError], None]) -> None:
        """Takes writers that are not yet opened, and what to do with the first error of a format for each source."""
        self.written = False
        self._writers = writers
        self._on_fault = on_fault
        self._source: PurePath | None = None
        self._failed: set[Writer] = set()  # for the current source

    def __enter__(self) -> Self:
        for writer in self._writers:
            writer.__enter__()
        return self

    def write(self, detections: Detections) -> None:
        """Writes the results for the next image."""
        source = detections.name.clip or detections.name.output
        if source != self._source:
            self._end_source()
            self._source = source
            self._failed.clear()
        for writer in self._writers:
            with self._faults(writer):
                writer.write(detections)
                self.written = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            with ExitStack() as closing:
                for writer in self._writers:
                    closing.push(writer)
                closing.__exit__(kind, error, trace)
            return
        self._end_source()
        self._failed.clear()
        for writer in self._writers:
            with self._faults(writer):
                writer.__exit__(None, None, None)

    def _end_source(self) -> None:
        for writer in self._writers:
            with self._faults(writer):
                writer.end_clip()

    @contextmanager
    def _faults(self, writer: Writer) -> Iterator[None]:
        """Reports an error of a writer, unless it has failed for this source before."""
        try:
            yield
        except OutputError as error:
            if writer not in self._failed:
                self._failed.add(writer)
                self._on_fault(error)


def claimed_files(
    writers: Sequence[Writer], found: Sequence[Source], named: Sequence[str], folder: Path
) -> Mapping[Path, set[str]]:
    """Returns the files that a run writes, and the sources whose results each one holds.

    Args:
        writers: The writers.
        found: The images and clips.
        named: The sources as the user named them: those of a file with the results of all images.
        folder: The output folder.
    """
    clips = {source.name.path for source in found if source.is_clip}
    ids = SourceIds(folder)
    of_run = {ids.of(without_credentials(name), not is_url(name)) for name in named if Path(name) not in clips}
    shared = {path for writer in writers for path in writer.paths(ANY)}
    files: dict[Path, set[str]] = {}
    for source in found:
        local = source.kind != "camera" and source.name.address is None
        own, name = {ids.of(source.name.path, local)}, first_name(source)
        files |= {path: of_run if path in shared else own for writer in writers for path in writer.paths(name)}
    return files
