"""Pipelines: stages that process different items of a stream at the same time.

Each stage has its own thread. The slow work (decoding images and video, networks, drawing, encoding) happens in
libraries that release the global interpreter lock.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias, TypeVar

T = TypeVar("T")

Queue: TypeAlias = "queue.Queue[tuple[Any, BaseException | None]]"

AHEAD = 2
"""Number of items that wait before each stage: enough to hide a slow item, few enough to keep memory small."""

PATIENCE = 5.0
"""Seconds to wait at the end for a busy stage, such as a webcam without frames; its thread is then abandoned."""

_WAIT = 0.2  # seconds between two checks of a waiting thread whether the pipeline has stopped
_END = object()


@dataclass(frozen=True)
class Parallel:
    """A stateless stage that processes `count` items at the same time.

    Several cores with one item each have a higher throughput than all of them with one item.

    Attributes:
        stage: Function of an item.
        count: Number of items at the same time.
    """

    stage: Callable[[Any], Any]
    count: int

    def __call__(self, item: Any) -> Any:
        """Processes one item."""
        return self.stage(item)


def overlap(items: Iterable[T], *stages: Callable[[T], T], ahead: int = AHEAD) -> Generator[T, None, None]:
    """Yields every item, in order, after all stages have processed it.

    One thread iterates over the items, and each stage has a thread. A stage gets one item at a time, in order, so that
    it may keep state, unless it is `Parallel`. Items are drawn only as fast as the slowest stage and the caller
    consume them, so that memory stays constant.

    When the caller stops early, all threads stop, and the items, where they are a generator, are closed.

    Args:
        items: The items.
        *stages: Functions of an item that return an item.
        ahead: Maximum number of items that wait between two stages; 0 runs everything in the caller's thread.

    Raises:
        Exception: An exception of the items or of a stage, after all items before it.
    """
    if ahead == 0:
        yield from _in_turn(items, stages)
        return
    with ExitStack() as pools:
        yield from _threaded(items, [step for stage in stages for step in _steps(stage, pools)], ahead)


def _steps(stage: Callable[[Any], Any], pools: ExitStack) -> list[Callable[[Any], Any]]:
    """Returns a stage as steps: a parallel one submits the item to a thread pool, and the next step awaits it."""
    if not isinstance(stage, Parallel) or stage.count == 1:
        return [stage]
    pool = ThreadPoolExecutor(stage.count, "parallel")
    pools.callback(pool.shutdown, wait=False, cancel_futures=True)
    return [lambda item: pool.submit(stage.stage, item), lambda future: future.result()]


def _threaded(items: Iterable[Any], stages: list[Callable[[Any], Any]], ahead: int) -> Generator[Any, None, None]:
    stopped = threading.Event()
    queues: list[Queue] = [queue.Queue(ahead) for _ in range(len(stages) + 1)]
    work: list[Callable[[], None]] = [partial(_draw, items, queues[0], stopped)]
    for stage, source, sink in zip(stages, queues, queues[1:], strict=False):
        work.append(partial(_run, stage, source, sink, stopped))
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
            del item  # else waiting for the next one would keep it alive
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


def _draw(items: Iterable[Any], sink: Queue, stopped: threading.Event) -> None:
    iterator = iter(items)
    try:
        for item in iterator:
            if not _put(sink, (item, None), stopped):
                return
            del item
        _put(sink, (_END, None), stopped)
    except BaseException as error:  # an interrupt too is raised in the caller
        _put(sink, (None, error), stopped)
    finally:
        if isinstance(iterator, Generator):
            iterator.close()


def _run(stage: Callable[[Any], Any], source: Queue, sink: Queue, stopped: threading.Event) -> None:
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


def _put(sink: Queue, entry: tuple[Any, BaseException | None], stopped: threading.Event) -> bool:
    """Puts an entry; returns False where the pipeline has stopped."""
    while not stopped.is_set():
        try:
            sink.put(entry, timeout=_WAIT)
            return True
        except queue.Full:
            continue
    return False
