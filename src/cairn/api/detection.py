"""Execution of `detect`: consumes the stream of a predictor, draws and writes.

Drawing overlaps with inference of later frames. What cannot be read or written is reported and skipped.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, cast

from cairn.api.output_files import OutputFiles
from cairn.errors import CairnError, DamagedVideo, ImageError, OutputError
from cairn.inference.pipeline import overlap
from cairn.inference.stream import Frame, StreamOptions, predictor_of, queue_length
from cairn.media.folders import SkippedFiles
from cairn.media.reading import ReadOptions, SourceFrame, read_sources
from cairn.results import Detections, Writer
from cairn.visualization.overlay import By, draw
from cairn.wording import counted, joined

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cairn.inference.predictor import Predictor
    from cairn.media.sources import Source
    from cairn.results.overlays import Drawings
    from cairn.results.ownership import Claims

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Hooks:
    """How a run reports, and whether it should stop.

    Attributes:
        notice: Gets one line about what could not be read.
        advance: Gets the number of images done, and the total where it is known.
        stopped: Whether to stop reading. What was read before is still finished.
    """

    notice: Callable[[str], None] = log.warning
    advance: Callable[[int, int | None], None] = lambda done, total: None
    stopped: Callable[[], bool] = lambda: False


@dataclass(frozen=True)
class DetectionJob:
    """What to run on which sources, and where results go.

    Attributes:
        sources: Images and clips.
        predictor: The predictor.
        stream: Options of the stream.
        writers: Writers, not yet opened.
        drawings: Writer of drawings; None draws nothing.
        draw_threshold: Minimum keypoint confidence to draw; None is the model's own.
        draw_by: What colors distinguish.
        single: The one source that was named, if there is one: its error is the error of the run.
        results: Files or folder with the results.
        claims: Keeps the results of other sources from being replaced; None where no file is written.
        skipped: Files in the folders that are not read.
    """

    sources: Sequence[Source]
    predictor: Predictor
    stream: StreamOptions
    writers: Sequence[Writer]
    drawings: Drawings | None
    draw_threshold: float | None = None
    draw_by: By = "limb"
    single: Source | None = None
    results: tuple[Path, ...] = ()
    claims: Claims | None = None
    skipped: SkippedFiles = field(default_factory=SkippedFiles)


@dataclass
class DetectionRun:
    """Result of `cairn.detect`.

    Attributes:
        images: Number of images that are not part of a clip.
        frames: Number of frames of clips, damaged ones included.
        damaged: Number of damaged frames, which have no detections.
        people: Number of detected instances.
        tracks: Number of track IDs; None without tracking.
        errors: What could not be read, or not to its end, and results that could not be written (`OutputError`).
        seconds: Seconds per image or frame.
        results: Files with the results where they are few, else the output folder.
        interrupted: Whether the run was stopped before its end.
        skipped: Files in the folders that are neither an image nor a video that can be read, by type.
    """

    images: int = 0
    frames: int = 0
    damaged: int = 0
    people: int = 0
    tracks: int | None = None
    errors: list[CairnError] = field(default_factory=list)
    seconds: float = 0.0
    results: tuple[Path, ...] = ()
    interrupted: bool = False
    skipped: SkippedFiles = field(default_factory=SkippedFiles)

    @property
    def unread(self) -> int:
        """Number of sources that could not be read, or not to their end; damaged frames are counted apart."""
        return sum(not isinstance(error, OutputError | DamagedVideo) for error in self.errors)

    def __repr__(self) -> str:
        """One line: counts, errors and where the results are."""
        where = joined(self.results) or "no files"
        counts = [counted(self.images, "image"), counted(self.frames, "frame")]
        counts += [counted(self.people, "person", "people")]
        counts += [] if self.tracks is None else [counted(self.tracks, "track")]
        return f"DetectionRun({', '.join(counts)}, {counted(len(self.errors), 'error')} -> {where})"


@dataclass
class _Item:
    """A frame, and its drawing."""

    frame: Frame
    drawn: NDArray[np.uint8] | None = None


def run_detection(job: DetectionJob, hooks: Hooks) -> DetectionRun:
    """Runs a job: the writers are opened, and closed at the end or at an error.

    Raises:
        CairnError: A file has the results of other sources, nothing could be read, or nothing could be written.
    """
    run = DetectionRun(tracks=0 if job.stream.track else None, results=job.results, skipped=job.skipped)
    started = time.perf_counter()
    deferred = job.single is not None and job.single.kind != "sequence"  # has few errors

    def report(error: CairnError) -> None:
        run.errors.append(error)
        if not deferred:
            hooks.notice(str(error))

    writers = job.writers if job.drawings is None else [*job.writers, job.drawings]
    with job.claims or nullcontext(), OutputFiles(writers, report) as outputs:
        _consume(job, hooks, run, outputs, report)
    read = run.images + run.frames
    if run.errors and not (read and outputs.written):
        if deferred:
            raise run.errors[0]
        raise OutputError("nothing could be written") if read else ImageError("nothing could be read")
    if deferred:
        for error in run.errors:
            hooks.notice(str(error))
    run.seconds = (time.perf_counter() - started) / max(read + run.unread, 1)
    run.interrupted = hooks.stopped()
    return run


def _consume(
    job: DetectionJob, hooks: Hooks, run: DetectionRun, outputs: OutputFiles, report: Callable[[CairnError], None]
) -> None:
    """Writes every frame of the stream, and counts."""
    expected = _Expected(len(job.sources))
    tracks: set[tuple[PurePath | None, int]] = set()
    noted: set[str] = set()
    with closing(_items(job, hooks)) as items:
        for item in items:
            frame = item.frame
            if frame.error is not None:
                report(frame.error)
            else:
                if frame.note and frame.note not in noted:  # each kind once
                    noted.add(frame.note)
                    hooks.notice(f"{frame.name.text} {frame.note}")
                outputs.write(_detections(item))
                run.damaged += frame.is_damaged
                run.people += len(frame.poses)
                run.images += frame.name.clip is None
                run.frames += frame.name.clip is not None
                if frame.poses.ids is not None:
                    tracks |= {(frame.name.clip, i) for i in frame.poses.ids.tolist() if i >= 0}
                    run.tracks = len(tracks)
            hooks.advance(run.images + run.frames + run.unread, expected.after(frame))
            del item, frame  # while the next one is awaited


def _detections(item: _Item) -> Detections:
    frame = item.frame
    size = frame.size or (0, 0)
    return Detections(
        frame.name, size, frame.poses, frame.maps, item.drawn, frame.rate, frame.pixel_aspect, frame.is_damaged
    )


def _items(job: DetectionJob, hooks: Hooks) -> Generator[_Item, None, None]:
    """Yields frames with their drawings."""
    options = {name: getattr(job.stream, name) for name in job.stream.__dataclass_fields__}
    frames = cast("Generator[Frame, None, None]", job.predictor.stream(_reading(job, hooks), **options))
    if job.drawings is None:
        with closing(frames):
            for frame in frames:
                yield _Item(frame)
                del frame
        return

    previous = _Previous()

    def threshold(frame: Frame) -> float:
        if job.draw_threshold is not None:
            return job.draw_threshold
        return predictor_of(job.predictor, frame.name, job.stream).spec.draw_threshold

    def drawn(item: _Item) -> _Item:
        if item.frame.image is not None:
            item.drawn = draw(item.frame.image, item.frame.poses, threshold(item.frame), job.draw_by)
        elif item.frame.is_damaged:
            item.drawn = previous.image_for(item.frame)
        previous.keep(item.frame)
        return item

    def wrapped() -> Generator[_Item, None, None]:
        with closing(frames):
            for frame in frames:
                yield _Item(frame)
                del frame

    with closing(overlap(wrapped(), drawn, ahead=queue_length(job.stream.threads))) as items:
        yield from items


def _reading(job: DetectionJob, hooks: Hooks) -> Iterator[SourceFrame]:
    options = ReadOptions(job.stream.threads, job.stream.rate, job.stream.reconnect)
    with closing(read_sources(job.sources, options)) as frames:
        for frame in frames:
            if hooks.stopped():
                return
            yield frame
            del frame


class _Previous:
    """The last good frame of a clip, which is drawn in place of damaged ones, without poses."""

    def __init__(self) -> None:
        self._clip: PurePath | None = None
        self._image: NDArray[np.uint8] | None = None

    def keep(self, frame: Frame) -> None:
        """Keeps the image of a frame, if it has one and is part of a clip."""
        if frame.name.clip is not None and frame.image is not None:
            self._clip, self._image = frame.name.clip, frame.image

    def image_for(self, frame: Frame) -> NDArray[np.uint8]:
        """Returns the image before a damaged frame; black at the start of a clip."""
        import numpy as np

        if self._image is not None and self._clip == frame.name.clip:
            return self._image
        return np.zeros((*(frame.size or (2, 2)), 3), np.uint8)


class _Expected:
    """Expected number of images: one per source, until a clip states its number of frames."""

    def __init__(self, sources: int) -> None:
        self._total: int | None = sources
        self._clip: PurePath | None = None

    def after(self, frame: Frame) -> int | None:
        clip = frame.name.clip
        if clip is not None and clip != self._clip and self._total is not None:
            self._total = None if frame.count is None else self._total + frame.count - 1
        self._clip = clip
        return self._total
