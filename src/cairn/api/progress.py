"""Progress of a long task, and the folders that a task creates."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

Progress = Callable[[str, int, int], None]
"""Called with the name of a task, the number of images done, and their total."""


def counter(progress: Progress | None, task: str, total: int) -> Callable[[int], None] | None:
    """Returns a function of the number of images done alone, or None where nothing is reported."""
    if progress is None:
        return None
    report = progress
    return lambda done: report(task, done, total)


@contextmanager
def output_folder(folder: Path, prepare: Callable[[Path], Path]) -> Iterator[None]:
    """Prepares a folder, and removes it again if it is new and the block fails before anything is written into it."""
    is_new = not folder.exists()
    prepare(folder)
    try:
        yield
    except BaseException:
        if is_new:
            with suppress(OSError):  # not empty, or it is not there
                folder.rmdir()
        raise
