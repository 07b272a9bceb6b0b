"""How far a run is, for a person who watches it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress(count: int, to_stdout: bool) -> Iterator[tuple[Callable[[str], None], Callable[[], None]]]:
    """Two functions: one shows a line on stderr, one says that a picture is done. A bar only for people."""
    watched = sys.stderr.isatty() and not (to_stdout and sys.stdout.isatty())
    if count == 1 or not watched:
        yield lambda line: print(line, file=sys.stderr), lambda: None
        return

    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    # rich would send our stdout to its own console.
    with Progress(*columns, console=console, redirect_stdout=False, transient=True) as bar:
        task = bar.add_task("detecting", total=count)
        yield (
            lambda line: console.print(line, markup=False, highlight=False, soft_wrap=True),
            lambda: bar.advance(task),
        )
