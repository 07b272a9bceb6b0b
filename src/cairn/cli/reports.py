"""What verbs that write a report of labeled images have in common: a folder for it, and a bar meanwhile."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def kept_if_used(folder: Path) -> Iterator[None]:
    """No empty folder stays behind where something went wrong."""
    try:
        yield
    except BaseException:
        with suppress(OSError):  # not empty: then it was there before
            folder.rmdir()
        raise


@contextmanager
def bar(name: str, count: int) -> Iterator[Callable[[int], None] | None]:
    """Something to call with the number of images done; a bar on stderr, only for people."""
    if not sys.stderr.isatty():
        yield None
        return

    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), redirect_stdout=False, transient=True) as shown:
        task = shown.add_task(name, total=count)
        yield lambda done: shown.update(task, completed=done)
