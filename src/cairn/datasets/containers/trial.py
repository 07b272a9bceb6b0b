"""Readings in another process: a damaged file that crashes a library, or takes it forever, ends that process alone."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

TOO_LARGE = 9
"""Exit status of a trial reading that found more data than the file can hold or should expand to."""

MAX_SECONDS = 60
"""Time in which a trial reading of a small file must end: damaged indices can form a circle."""

BYTES_PER_SECOND = 10**7
"""Size of files for which a trial reading has a second more."""


def failed_trial(code: str, paths: Sequence[Path], too_large: str, library: str, seconds: float) -> str | None:
    """Reads files in another process; returns why one of them cannot be read, None where the process ends normally.

    Args:
        code: Python code of the process. It gets the paths as arguments, prints each before it reads it, and exits
            with `TOO_LARGE` at too large a one.
        paths: The files.
        too_large: What is wrong with such a file, as the end of a sentence.
        library: Name of the library for messages.
        seconds: Time limit, without that for the size of the files.
    """
    output, status = run_apart(code, [str(path.absolute()) for path in paths], seconds_for(paths, seconds))
    if (reason := why_ended(status, too_large, library)) is None:
        return None
    last = output.decode(errors="replace").splitlines()
    return f"{last[-1] if last else paths[0]} is damaged: {reason}"


def seconds_for(paths: Sequence[Path], seconds: float) -> float:
    """Returns a time limit for reading files: more for large ones.

    Args:
        paths: The files.
        seconds: Time limit for small files.
    """
    return seconds + sum(path.stat().st_size for path in paths if path.is_file()) / BYTES_PER_SECOND


def why_ended(status: int | None, too_large: str, library: str) -> str | None:
    """Returns why a process that read files did not end normally; None where it did.

    Args:
        status: Result of `run_apart`.
        too_large: What is wrong with a file that is too large, as the end of a sentence.
        library: Name of the library for messages.
    """
    if status is not None and 0 <= status != TOO_LARGE:
        return None
    return too_large if status == TOO_LARGE else f"the {library} library cannot read it"


def run_apart(code: str, arguments: Sequence[str], seconds: float) -> tuple[bytes, int | None]:
    """Runs code in another process; returns what it prints, and its exit status.

    The status is negative where a signal ends the process, None where the time does, and 0 where none can be started.
    """
    command = [sys.executable, "-c", code, *arguments]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=seconds)
    except subprocess.TimeoutExpired as error:
        return error.stdout or b"", None
    except OSError:
        return b"", 0
    return done.stdout, done.returncode
