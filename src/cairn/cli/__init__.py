"""The door for the shell: `cairn VERB`. One module for each verb; only this floor prints.

A verb's module imports typer and errors when it is loaded, and all else inside its function: asking for
help must not cost numpy.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer

from cairn.cli.check import check
from cairn.cli.convert import convert
from cairn.cli.detect import detect
from cairn.cli.discover import discover
from cairn.cli.evaluate import evaluate
from cairn.cli.export import export
from cairn.cli.import_ import import_
from cairn.cli.split import split
from cairn.cli.teach import teach
from cairn.cli.train import train
from cairn.errors import CairnError

# Plain help: rich would double the time that it takes to appear.
app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
app.command()(check)
app.command()(convert)
app.command()(detect)
app.command()(discover)
app.command()(evaluate)
app.command()(export)
app.command()(split)
app.command()(teach)
app.command()(train)
app.command("import")(import_)


def _print_version(asked: bool) -> None:
    if asked:
        from cairn import __version__

        print(f"cairn {__version__}")
        raise typer.Exit


@app.callback()
def cairn(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Find keypoints in images: of people out of the box, of your own objects from your labels."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit: 0 done, 1 partly done, 2 a mistake of the user's, 130 interrupted, 143 ended."""
    for level in ("OPENCV_LOG_LEVEL", "SILENT"), ("OPENCV_FFMPEG_LOGLEVEL", "-8"):
        os.environ.setdefault(*level)  # what it would say, the loaders say in one line
    _tidy_when_terminated()
    try:
        app(list(arguments) if arguments is not None else None, prog_name="cairn")
    except CairnError as error:
        print(f"cairn: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # Whoever read stdout has seen enough. Python would complain once more when it flushes at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    sys.exit(0)


def _tidy_when_terminated() -> None:
    """SIGTERM, and SIGHUP of a closed terminal, end the program as an interrupt does: what is half-written goes."""
    import signal
    import threading

    def end(number: int, _: object) -> NoReturn:
        sys.exit(128 + number)

    if threading.current_thread() is threading.main_thread():  # others cannot
        for name in ("SIGTERM", "SIGHUP"):  # Windows has but the first
            if hasattr(signal, name) and signal.getsignal(getattr(signal, name)) != signal.SIG_IGN:  # as under nohup
                signal.signal(getattr(signal, name), end)
