"""The command line: `cairn VERB`, one module for each verb.

A verb parses its arguments, calls the function of the same name in `cairn.api`, and prints. Its module imports typer
and errors; everything else is imported inside its function, so that `cairn --help` imports no numpy.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any, NoReturn

import typer

from cairn.cli.calibrate import calibrate
from cairn.cli.check import check
from cairn.cli.convert import convert
from cairn.cli.crop import crop
from cairn.cli.detect import detect
from cairn.cli.discover import discover
from cairn.cli.evaluate import evaluate
from cairn.cli.export import export
from cairn.cli.import_model import import_model
from cairn.cli.keypoints import keypoints
from cairn.cli.register import register
from cairn.cli.serve import serve
from cairn.cli.split import split
from cairn.cli.sync import sync
from cairn.cli.teach import teach
from cairn.cli.train import train
from cairn.cli.triangulate import triangulate
from cairn.errors import CairnError

_UsageError: type[Exception] = typer.BadParameter.__mro__[1]  # typer has no public name for it

# Plain help: rich would double its time.
app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
app.command()(calibrate)
app.command()(check)
app.command()(convert)
app.command()(crop)
app.command()(detect)
app.command()(discover)
app.command()(evaluate)
app.command()(export)
app.command()(keypoints)
app.command()(register)
app.command()(serve)
app.command()(split)
app.command()(sync)
app.command()(teach)
app.command()(train)
app.command()(triangulate)
app.command("import")(import_model)


def _print_version(requested: bool) -> None:
    if requested:
        from cairn import __version__

        print(f"cairn {__version__}")
        raise typer.Exit


@app.callback()
def cairn(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Version of Cairn.")
    ] = False,
) -> None:
    """Detect keypoints in images and videos: of people out of the box, of other objects after training."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Runs the command line and exits.

    Exit status: 0 done, 1 partly done, 2 invalid input, 130 interrupted, 143 terminated.

    Args:
        arguments: Arguments without the program's name; None for those of the process.
    """
    for level in ("OPENCV_LOG_LEVEL", "SILENT"), ("OPENCV_FFMPEG_LOGLEVEL", "-8"):
        os.environ.setdefault(*level)  # the readers report the same in one line
    _exit_when_terminated()
    status = None
    try:
        status = app(list(arguments) if arguments is not None else None, prog_name="cairn", standalone_mode=False)
    except _UsageError as error:
        print(_one_line(error), file=sys.stderr)
        sys.exit(2)
    except CairnError as error:
        print(f"cairn: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # The reader of stdout has closed it. Python would report it once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    sys.exit(status or 0)


def _one_line(error: Any) -> str:
    """Returns the line for a wrong option: expected, got, and where the options are listed."""
    from pydantic import ValidationError

    message = error.format_message().rstrip(".")
    if "\n" in message:  # the help, where a command is missing
        return str(message)
    path = "cairn" if error.ctx is None else error.ctx.command_path
    got = f", got {error.__cause__.errors()[0]['input']!r}" if isinstance(error.__cause__, ValidationError) else ""
    return f"cairn: {message[:1].lower()}{message[1:]}{got}; see {path} --help"


def _exit_when_terminated() -> None:
    """Makes SIGTERM and SIGHUP exit as an interrupt does, so that partial files are removed."""
    import signal
    import threading

    def end(number: int, _: object) -> NoReturn:
        sys.exit(128 + number)

    if threading.current_thread() is threading.main_thread():  # only this one can set handlers
        for name in ("SIGTERM", "SIGHUP"):  # Windows has no SIGHUP
            if (
                hasattr(signal, name) and signal.getsignal(getattr(signal, name)) != signal.SIG_IGN
            ):  # ignored, as under nohup
                signal.signal(getattr(signal, name), end)
