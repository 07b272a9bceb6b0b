"""The machine that the program runs on."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

MAX_READERS = 8
"""Maximum number of threads that read and write images."""


def available_cores() -> int:
    """Returns the number of CPU cores that this process may use: those of its affinity, at most its container's quota.

    A quota of 2.5 cores counts as 2: threads that wait for one another would all wait for one without time.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, int(min(cores, cpu_quota())))


def cpu_quota(groups: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")) -> float:
    """Returns the CPU cores that the control groups (cgroups) of this process may use; infinite without a limit.

    Args:
        groups: Lists the control groups of the process, "hierarchy:controllers:path" in each line.
        root: Folder where they are mounted: version 2 itself, or a folder for each controller of version 1.
    """
    quotas = [float("inf")]
    with suppress(OSError):
        for line in groups.read_text(encoding="utf-8").splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers and "cpu" not in controllers.split(","):
                continue
            top = root / controllers
            folder = top / path.lstrip("/")
            # In a container the path may be that outside of it: then only the top is there.
            quotas += [_quota_of(each) for each in (folder, *folder.parents) if each == top or top in each.parents]
    return min(quotas)


def _quota_of(folder: Path) -> float:
    """The quota of one control group in cores; infinite without a limit."""
    with suppress(OSError, ValueError):
        if (folder / "cpu.max").is_file():
            quota, period = (folder / "cpu.max").read_text(encoding="utf-8").split()
        else:
            quota, period = (
                (folder / name).read_text(encoding="utf-8") for name in ("cpu.cfs_quota_us", "cpu.cfs_period_us")
            )
        if float(quota) > 0 and float(period) > 0:  # "max" and -1 are no limit
            return float(quota) / float(period)
    return float("inf")


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
