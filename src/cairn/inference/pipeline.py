"""Steps of work on a stream of items, at the same time: while one item is drawn, the next is looked at.

Each stage has a thread of its own. That pays because what takes long (decoding images and video, networks,
drawing, encoding) is done in libraries that let go of Python's lock; on a single core it costs little.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")

AHEAD = 2
"""Items that wait before each stage: enough that a slow one among quick ones stops nobody, few to hold in memory."""

PATIENCE = 5.0
"""Seconds that leaving waits for a stage that is at work, as a camera that shows nothing; it is then left behind."""

_WAIT = 0.2  # seconds after which a thread that waits looks whether it is still wanted
_END = object()


@dataclass(frozen=True)
class Parallel:
    """A stage that keeps nothing from one item to the next, so that `count` items may be in it at the same time.

    Each of several cores at an item of its own does more than all of them at one.
    """

    stage: Callable[[Any], Any]
    count: int

    def __call__(self, item: Any) -> Any:
        return self.stage(item)


def overlap(items: Iterable[T], *stages: Callable[[T], T], ahead: int = AHEAD) -> Generator[T, None, None]:
    """Every item, in order, after each stage in turn has been at it.

    One thread draws the items, and each stage has one: a stage sees one item at a time, in order, so it may keep
    state, unless it is said to be `Parallel`. No more than `ahead` items wait between two stages, so that memory does
    not grow with their number, and the items are drawn only as fast as the slowest stage and the caller take them.

    With `ahead` 0 there are no threads: all is done one after another, by the caller's.

    An exception of the items or of a stage is raised here, after all items before it. When the caller stops, all
    threads stop; the items, where they are a generator, are closed.
    """
    if ahead == 0:
        yield from _in_turn(items, stages)
        return
    with ExitStack() as pools:
        yield from _threaded(items, [step for stage in stages for step in _steps(stage, pools)], ahead)


def _steps(stage: Callable[[Any], Any], pools: ExitStack) -> list[Callable[[Any], Any]]:
    """An item goes into a pool of threads, and the next step waits for it."""
    if not isinstance(stage, Parallel) or stage.count == 1:
        return [stage]
    pool = ThreadPoolExecutor(stage.count, "parallel")
    pools.callback(pool.shutdown, wait=False, cancel_futures=True)
    return [lambda item: pool.submit(stage.stage, item), lambda future: future.result()]


def _threaded(items: Iterable[Any], stages: list[Callable[[Any], Any]], ahead: int) -> Generator[Any, None, None]:
    stopped = threading.Event()
    queues: list[queue.Queue] = [queue.Queue(ahead) for _ in range(len(stages) + 1)]
    work: list[Callable[[], None]] = [lambda: _draw(items, queues[0], stopped)]
    for stage, source, sink in zip(stages, queues, queues[1:], strict=False):
        work.append(lambda stage=stage, source=source, sink=sink: _run(stage, source, sink, stopped))  # type: ignore[misc]
    threads = [threading.Thread(target=each, daemon=True, name=f"overlap-{i}") for i, each in enumerate(work)]
    for thread in threads:
        thread.start()
    try:
        while True:
            item, error = queues[-1].get()
            if error is not None:
                raise error
            if item is _END:
                return
            yield item
            del item  # the caller may be done with it, and waiting for the next would keep it
    finally:
        stopped.set()
        until = time.monotonic() + PATIENCE
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))


def _in_turn(items: Iterable[T], stages: tuple[Callable[[T], T], ...]) -> Iterator[T]:
    for item in items:
        for stage in stages:
            item = stage(item)
        yield item
        del item


def _draw(items: Iterable[Any], sink: queue.Queue, stopped: threading.Event) -> None:
    iterator = iter(items)
    try:
        for item in iterator:
            if not _put(sink, (item, None), stopped):
                return
            del item
        _put(sink, (_END, None), stopped)
    except BaseException as error:  # an interrupt too is for the caller to see
        _put(sink, (None, error), stopped)
    finally:
        if isinstance(iterator, Iterator) and hasattr(iterator, "close"):
            iterator.close()


def _run(stage: Callable[[Any], Any], source: queue.Queue, sink: queue.Queue, stopped: threading.Event) -> None:
    while not stopped.is_set():
        try:
            item, error = source.get(timeout=_WAIT)
        except queue.Empty:
            continue
        if error is None and item is not _END:
            try:
                item = stage(item)
            except BaseException as raised:  # as above
                item, error = None, raised
        if not _put(sink, (item, error), stopped) or error is not None or item is _END:
            return
        del item


def _put(sink: queue.Queue, entry: tuple[Any, BaseException | None], stopped: threading.Event) -> bool:
    """Whether anybody still wanted it."""
    while not stopped.is_set():
        try:
            sink.put(entry, timeout=_WAIT)
            return True
        except queue.Full:
            continue
    return False
