"""How far a run is, for a person who watches it, and how it ended."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from cairn.errors import CairnError, VideoError


@contextmanager
def progress(shown: bool, to_stdout: bool) -> Iterator[tuple[Callable[[str], None], Callable[[int, int | None], None]]]:
    """Two functions: one shows a line on stderr, one says how many images are done, of how many if that is known.

    shown  whether there is enough to do for a bar; only people get one
    """
    watched = sys.stderr.isatty() and not (to_stdout and sys.stdout.isatty())
    if not shown or not watched:
        yield lambda line: print(line, file=sys.stderr), lambda done, total: None
        return

    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    # rich would send our stdout to its own console.
    with Progress(*columns, console=console, redirect_stdout=False, transient=True) as bar:
        task = bar.add_task("detecting", total=None)
        yield (
            lambda line: console.print(line, markup=False, highlight=False, soft_wrap=True),
            lambda done, total: bar.update(task, completed=done, total=total),
        )


def summary(
    images: int,
    frames: int,
    people: int,
    identities: int | None,
    seconds: float,
    faults: Sequence[CairnError],
    results: str,
) -> str:
    """One line. seconds: of one image or frame; identities: of objects that were followed; None without tracking."""

    def count(number: int, one: str, more: str) -> str:
        return f"{number} {one if number == 1 else more}"

    parts = [count(images, "image", "images")] if images or not frames else []
    parts += [count(frames, "frame", "frames")] if frames else []
    parts.append(count(people, "person", "people"))
    if identities is not None:
        parts.append(count(identities, "identity", "identities"))
    parts.append(f"{1000 * seconds:.0f} ms a {'image' if images else 'frame'}")
    if faults:
        cut = frames and all(isinstance(fault, VideoError) for fault in faults)
        parts.append(f"{len(faults)} could not be read" + (" to the end" if cut else ""))
    return ", ".join(parts) + (f" -> {results}" if results else "")
