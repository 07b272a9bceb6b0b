"""A run of `cairn detect`: read, look, decode, draw and write, each while the others are at other images.

What cannot be read is said and passed over. The first Ctrl-C, or the first request to end, stops the reading: what
was read before is finished, and the files hold all that was done. The second one is an interrupt.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import TYPE_CHECKING

from cairn.errors import CairnError, ImageError, LabelError
from cairn.inference.pipeline import AHEAD, Parallel, overlap
from cairn.media.sources import Frame, Source, frames
from cairn.results import Detections, Writer
from cairn.structures.poses import Poses
from cairn.tracking.tracker import Tracker
from cairn.visualization.overlay import By, draw

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cairn.api.finders import Finder
    from cairn.api.outputs import Drawings
    from cairn.inference.network import Maps
    from cairn.structures.geometry import Affine

STOPPING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Ctrl-C, a request to end, and a terminal that was closed, which Windows has not."""

MAX_PARALLEL = 4
"""Images at the same time: each takes the memory of a network's layers."""


@dataclass(frozen=True)
class Plan:
    """What is to be done with every image.

    threshold   keypoints less sure are left out
    tracker     makes what follows the objects of one clip; None follows nobody
    drawings    None draws nothing
    draw_from   keypoints less sure are not drawn
    draw_by     what colors tell
    keep_maps   the writers want the network's maps
    threads     cores to use; 0 is all
    parallel     images that the network is at, at the same time
    rate        frames per second of image sequences
    """

    finder: Finder
    writers: Sequence[Writer]
    threshold: float
    tracker: Callable[[], Tracker] | None
    drawings: Drawings | None
    draw_from: float
    draw_by: By
    keep_maps: bool
    threads: int
    parallel: int
    rate: float


@dataclass
class Done:
    """How a run went. faults: what could not be read, or not to its end; stopped: by which signal, if by one."""

    images: int = 0
    frames: int = 0
    people: int = 0
    identities: set[tuple[PurePath | None, int]] = field(default_factory=set)
    faults: list[CairnError] = field(default_factory=list)
    stopped: int | None = None


@dataclass
class _Work:
    """An image on its way, and what is known of it so far."""

    frame: Frame
    fault: CairnError | None = None
    looked: tuple[Maps, Affine] | Poses | None = None
    poses: Poses | None = None
    drawn: NDArray[np.uint8] | None = None


def run(
    sources: Sequence[Source],
    plan: Plan,
    fault: Callable[[CairnError], None],
    advance: Callable[[int, int | None], None],
) -> Done:
    """Detect in all sources; the writers and drawings are open.

    fault    is told what could not be read
    advance  is told how many images are done, and of how many, where that is known
    """
    done = Done()
    expected = _Expected(len(sources))
    with _first_signal(done), closing(_overlapped(_works(sources, plan, done), _stages(plan), plan.threads)) as works:
        for work in works:
            name = work.frame.name
            if work.fault is not None:
                done.faults.append(work.fault)
                fault(work.fault)
            elif work.poses is not None and work.frame.image is not None:
                maps = work.looked if plan.keep_maps and isinstance(work.looked, tuple) else None
                found = Detections(name, work.frame.image.shape[:2], work.poses, maps)
                for writer in plan.writers:
                    writer.write(found)
                if plan.drawings is not None and work.drawn is not None:
                    plan.drawings.write(name, work.frame.rate, work.drawn)
                done.people += len(work.poses)
                done.images += name.clip is None
                done.frames += name.clip is not None
                if work.poses.ids is not None:
                    done.identities |= {(name.clip, i) for i in work.poses.ids.tolist() if i >= 0}
            advance(done.images + done.frames + len(done.faults), expected.after(work.frame))
            del work, name  # while the next is waited for
    return done


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def shared_out(threads: int) -> tuple[int, int]:
    """Images that the network is at, at the same time, and the cores that it has for each.

    threads  cores to use; 0 is all
    """
    used = threads or cores()
    parallel = min(used, MAX_PARALLEL)
    return parallel, used // parallel


def _overlapped(
    works: Iterator[_Work], stages: list[Callable[[_Work], _Work]], threads: int
) -> Generator[_Work, None, None]:
    """On one core nothing can be done at the same time: waiting for one another would only cost."""
    alone = threads == 1 or cores() == 1
    return overlap(works, *stages, ahead=0 if alone else AHEAD)


def _works(sources: Iterable[Source], plan: Plan, done: Done) -> Iterator[_Work]:
    for source in sources:
        with closing(frames(source, plan.threads, plan.rate)) as reading:
            for frame in reading:
                if done.stopped is not None:
                    return
                yield _Work(frame, frame.fault)
                del frame
        if done.stopped is not None:
            return


def _stages(plan: Plan) -> list[Callable[[_Work], _Work]]:
    tracker: Tracker | None = None
    clip: PurePath | None = None

    def look(work: _Work) -> _Work:
        if work.frame.image is not None:
            path = work.frame.name.path
            try:
                work.looked = plan.finder.look(path, work.frame.image)
            except (ImageError, LabelError) as error:  # what is wrong is said with the image's name
                work.fault = type(error)(f"{path}: {error}")
        return work

    def decode(work: _Work) -> _Work:
        nonlocal tracker, clip
        if work.looked is None:
            return work
        work.poses = plan.finder.poses(work.looked).above(plan.threshold)
        if plan.tracker is not None:
            name = work.frame.name
            if tracker is None or name.clip != clip:
                tracker, clip = plan.tracker(), name.clip
            work.poses = tracker(work.poses, name.seconds)
        return work

    def drawn(work: _Work) -> _Work:
        if work.poses is not None and work.frame.image is not None:
            work.drawn = draw(work.frame.image, work.poses, plan.draw_from, plan.draw_by)
        return work

    looking = Parallel(look, plan.parallel)
    return [looking, decode] if plan.drawings is None else [looking, decode, drawn]


class _Expected:
    """How many images there will be: one for each source, until a clip says how many it has."""

    def __init__(self, sources: int) -> None:
        self._total: int | None = sources
        self._clip: PurePath | None = None

    def after(self, frame: Frame) -> int | None:
        clip = frame.name.clip
        if clip is not None and clip != self._clip and self._total is not None:
            self._total = None if frame.count is None else self._total + frame.count - 1
        self._clip = clip
        return self._total


@contextmanager
def _first_signal(done: Done) -> Iterator[None]:
    """In the block the first of `STOPPING` is only noted; from the second on they are what they were.

    What is ignored stays so, as SIGHUP under nohup, and SIGINT of a shell's background job.
    """
    if threading.current_thread() is not threading.main_thread():  # others get no signals
        yield
        return
    handlers = {number: signal.getsignal(number) for number in STOPPING}
    before = {number: handler for number, handler in handlers.items() if handler != signal.SIG_IGN}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def note(number: int, _: object) -> None:
        done.stopped = number
        restore()

    for number in before:
        signal.signal(number, note)
    try:
        yield
    finally:
        restore()
