"""The lock of an output: one run at a time writes its shards."""

from __future__ import annotations

import os
import platform
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cairn.errors import OutputError
from cairn.files import atomic_write
from cairn.results.ownership import LOCK, is_running, locked

RUN_LOCK = ".cairn.run.lock"
"""Exists while a run writes shards: host, process and a random number."""

BEAT = 20.0
"""Seconds after which a run touches its lock again."""

STALE = 300.0
"""Seconds without a touch after which the run of a lock has ended, wherever it ran."""


@contextmanager
def only_run(folder: Path) -> Iterator[None]:
    """Holds the lock of an output folder.

    The lock of a run that was killed does not count: its process is gone, or it was not touched for `STALE` seconds.

    Raises:
        OutputError: Another run holds it.
    """
    path = folder / RUN_LOCK
    own = f"{platform.node()}:{os.getpid()}:{secrets.token_hex(4)}"
    with locked(folder / LOCK):
        _check(path)
        with atomic_write(path) as beside:
            beside.write_text(own, encoding="utf-8")
        _HELD.add(own)
    ended = threading.Event()
    threading.Thread(target=_touch, args=(path, ended), daemon=True, name="lock").start()
    try:
        yield
    finally:
        ended.set()
        _HELD.discard(own)
        with suppress(OSError, OutputError), locked(folder / LOCK):
            if path.read_text(encoding="utf-8") == own:
                path.unlink()


def _check(path: Path) -> None:
    """Raises OutputError where a run holds the lock."""
    try:
        owner = path.read_text(encoding="utf-8")
        age = time.time() - path.stat().st_mtime
    except (OSError, ValueError):
        return
    host, process = [*owner.rsplit(":", 2), "", ""][:2]
    mine = host == platform.node() and process == str(os.getpid())  # of a process that had this number before
    if process and age < STALE and is_running(owner) and not (mine and owner not in _HELD):
        raise OutputError(
            f"another run writes into {path.parent} (process {process} on {host}): wait for its end, or choose "
            f"another folder with --out; if it has ended, delete {path}"
        )


_HELD: set[str] = set()
"""Locks that this process holds."""


def _touch(path: Path, ended: threading.Event) -> None:
    while not ended.wait(BEAT):
        with suppress(OSError):
            os.utime(path)
