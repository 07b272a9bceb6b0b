"""Progress bars on stderr, and the summary of a run of `cairn detect`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from cairn.errors import DamagedVideo, OutputError, VideoError
from cairn.wording import counted, joined

if TYPE_CHECKING:
    from cairn.api.detection import DetectionRun
    from cairn.api.progress import Progress


class ProgressBar:
    """A bar on stderr, in terminals only. It appears with the first step, unless there is only one.

    Attributes:
        label: Text before the bar.
        enabled: Whether the bar may appear.
    """

    def __init__(self, label: str, enabled: bool = True) -> None:
        self.label = label
        self.enabled = enabled and sys.stderr.isatty()
        self._open = ExitStack()
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.__exit__(kind, error, trace)

    def advance(self, done: int, total: int | None) -> None:
        """Shows the number of steps done, and the total where it is known."""
        if not self.enabled or total == 1:
            return
        if self._bar is None:
            self._start()
        self._bar.update(self._task, completed=done, total=total)

    def notice(self, line: str) -> None:
        """Prints a line above the bar."""
        if self._bar is None:
            print(line, file=sys.stderr)
        else:
            self._bar.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _start(self) -> None:
        bar = _new_bar()
        self._bar = self._open.enter_context(bar)
        self._task = bar.add_task(self.label, total=None)


@contextmanager
def bars() -> Iterator[Progress | None]:
    """Yields a callback that draws a bar on stderr for each task; None where stderr is no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    tasks: dict[str, Any] = {}
    with _new_bar() as drawn:

        def update(name: str, done: int, total: int) -> None:
            if name not in tasks:
                tasks[name] = drawn.add_task(name, total=total)
            drawn.update(tasks[name], completed=done)

        yield update


def _new_bar() -> Any:
    """Returns a bar of rich on stderr, which is imported only where a bar is drawn."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    # rich would redirect stdout to its own console.
    return Progress(*columns, console=Console(stderr=True), redirect_stdout=False, transient=True)


def summary(run: DetectionRun) -> str:
    """Returns a run in one line."""
    parts = [counted(run.images, "image")] if run.images or not run.frames else []
    parts += [counted(run.frames, "frame")] if run.frames else []
    parts += [f"{run.damaged} damaged"] if run.damaged else []
    parts.append(counted(run.people, "person", "people"))
    if run.tracks is not None:
        parts.append(counted(run.tracks, "track"))
    parts.append(f"{1000 * run.seconds:.0f} ms per {'image' if run.images else 'frame'}")
    if run.unread:
        unread = [error for error in run.errors if not isinstance(error, OutputError | DamagedVideo)]
        truncated = run.frames and all(isinstance(error, VideoError) for error in unread)
        parts.append(f"{run.unread} could not be read" + (" to the end" if truncated else ""))
    if unwritten := sum(isinstance(error, OutputError) for error in run.errors):
        parts.append(f"{unwritten} could not be written")
    if run.skipped:
        parts.append(str(run.skipped))
    results = joined(run.results)
    return ", ".join(parts) + (f" -> {results}" if results else "") + (", interrupted" if run.interrupted else "")
