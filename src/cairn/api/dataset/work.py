"""Work on one shard: its items are read, the model runs on them, and the results are written."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from cairn.api.load import load
from cairn.media.items import Item, read_items
from cairn.media.reading import ReadOptions, SourceFrame
from cairn.results import Detections
from cairn.results.shards import ShardRecord, item_hash, open_shard

if TYPE_CHECKING:
    from cairn.inference.resolution import Resolution
    from cairn.inference.stream import Frame


class Interrupted(Exception):
    """The run was stopped within a shard, which is therefore absent."""


LOST_WORKER = "the worker process ended while it read this: memory may not suffice for it"
"""Fault of an item that ends every process that reads it."""


@dataclass(frozen=True)
class Aside:
    """What happens beside the work on a shard.

    Attributes:
        stopped: Whether the run should stop.
        advance: Called after each image.
        skip: Numbers of items that are not read, and are faults.
        begin: Called with the number of each item before it is read; None reads ahead.
    """

    stopped: Callable[[], bool] = lambda: False
    advance: Callable[[], None] = lambda: None
    skip: Sequence[int] = ()
    begin: Callable[[int], None] | None = None

    def is_begun(self, at: int) -> bool:
        """Begins an item; returns False for one that is skipped."""
        if at in self.skip:
            return False
        if self.begin is not None:
            self.begin(at)
        return True


@dataclass(frozen=True)
class Work:
    """All that a worker needs to know; it can be sent to another machine.

    Attributes:
        folder: The output folder, absolute.
        model: Name or path of the model; see `cairn.load`.
        refine: See `cairn.load`.
        hands: See `cairn.load`.
        face: See `cairn.load`.
        size: Input size; see `cairn.load`.
        device: Device; see `cairn.load`.
        threads: Number of CPU cores of this worker; 0 is all.
        track: Whether to assign track IDs in videos.
        smooth: Strength of temporal smoothing.
        min_confidence: Minimum keypoint confidence to keep.
        empty: Whether an image without detections has a row.
        rate: Frames per second of numbered images.
        place: The folder that relative paths start at.
    """

    folder: Path
    model: str | Path
    refine: bool | str | Path | None = None
    hands: str | Path | None = None
    face: str | Path | None = None
    size: int | Resolution | None = None
    device: str = "auto"
    threads: int = 0
    track: bool = False
    smooth: float = 0.0
    min_confidence: float = 0.0
    empty: bool = False
    rate: float = 25.0
    place: str = ""


class ShardWorker:
    """Loads the model once, and computes shards.

    Args:
        work: The work.
    """

    def __init__(self, work: Work) -> None:
        from cairn.inference.stream import share_cores

        if work.threads:
            import cv2

            cv2.setNumThreads(work.threads)
        self.work = work
        self._predictor = load(
            work.model,
            device=work.device,
            threads=share_cores(work.threads)[1],
            size=work.size,
            refine=work.refine,
            hands=work.hands,
            face=work.face,
        )

    def __call__(self, number: int, items: Sequence[Item], aside: Aside | None = None) -> ShardRecord:
        """Computes a shard and returns its record.

        Args:
            number: Number of the shard.
            items: Its items.
            aside: What happens beside the work; None is nothing.

        Raises:
            OutputError: The shard cannot be written.
            Interrupted: The run was stopped.
        """
        started, used = time.perf_counter(), time.process_time()
        aside = aside or Aside()
        record = ShardRecord([*items[0].order], [*items[-1].order]) if items else ShardRecord()
        record.items = [item_hash(item.text) for item in items]
        record.faults = [(items[at].text, LOST_WORKER) for at in aside.skip]
        work, classes = self.work, self._predictor.spec.classes
        with open_shard(work.folder, number, record, classes, work.empty) as table:
            with closing(self._frames(items, aside)) as frames:
                for frame in frames:
                    if frame.error is not None:
                        record.faults.append((frame.name.text, str(frame.error)))
                    else:
                        table.add(Detections(frame.name, frame.size or (0, 0), frame.poses))
                        record.images += frame.name.clip is None
                        record.frames += frame.name.clip is not None
                        record.damaged += frame.is_damaged
                        record.people += len(frame.poses)
                    aside.advance()
                    del frame
            if aside.stopped():
                raise Interrupted
            record.seconds = round(time.perf_counter() - started, 3)
            record.processor_seconds = round(time.process_time() - used, 3)
        return record

    def _frames(self, items: Sequence[Item], aside: Aside) -> Generator[Frame, None, None]:
        """Returns the stream of the items."""
        work = self.work
        threads = work.threads if aside.begin is None else 1  # in turn
        frames = self._predictor.stream(
            _reading(items, ReadOptions(threads, work.rate), aside),
            track=work.track,
            smooth=work.smooth,
            min_confidence=work.min_confidence,
            threads=threads,
            rate=work.rate,
            on_error="yield",
        )
        return cast("Generator[Frame, None, None]", frames)


def _reading(items: Sequence[Item], options: ReadOptions, aside: Aside) -> Generator[SourceFrame, None, None]:
    """Yields the frames of the items until the run is stopped."""
    if aside.begin is None:
        parts = iter([read_items(items, options)])
    else:
        parts = (read_items([item], options) for at, item in enumerate(items) if aside.is_begun(at))
    for part in parts:
        with closing(part) as frames:
            for frame in frames:
                if aside.stopped():
                    return
                yield frame
                del frame


def enter_place(place: str) -> None:
    """Makes relative paths of a worker process start at the folder of the run, where it exists on this machine."""
    if place and Path(place).is_dir():
        os.chdir(place)
