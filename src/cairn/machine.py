"""The machine that the program runs on."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

MAX_READERS = 8
"""Maximum number of threads that read and write images."""


def available_cores() -> int:
    """Returns the number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_threads(run: Callable[[T], R], items: Iterable[T]) -> Generator[R, None, None]:
    """Yields the results of a function for each item, in order; it runs in threads, one per core, up to `MAX_READERS`.

    For images: decoding and encoding run outside of Python. What has not begun is canceled where the caller stops.
    """
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(min(MAX_READERS, available_cores())) as pool:
        try:
            yield from pool.map(run, items)
        finally:
            pool.shutdown(cancel_futures=True)
