"""A lock that a process holds on a file until it ends, however it ends."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

ATTEMPTS, PAUSE = 20, 0.05
"""Times that a process tries to get the lock, and seconds between them."""


@contextmanager
def held(path: Path) -> Iterator[bool]:
    """Holds the lock in the block; yields whether it was free, and does nothing where it was not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        for _ in range(ATTEMPTS):  # `is_held` has it for a moment
            if free := _lock(file):
                break
            time.sleep(PAUSE)
        yield free


def is_held(path: Path) -> bool:
    """Whether a process holds the lock."""
    if not path.is_file():
        return False
    with path.open("a+b") as file:
        return not _lock(file)


def _lock(file: IO[bytes]) -> bool:
    """Locks an open file until it is closed; False where another process has locked it."""
    try:
        if os.name == "nt":
            import msvcrt

            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
