"""Readings in another process: a damaged file that crashes a library, or takes it forever, ends that process alone."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

TOO_LARGE = 9
"""Exit status of a trial reading that found more data than the file can hold or should expand to."""

MAX_SECONDS = 8
"""Processor time in which a trial reading of a small file must end: damaged indices can form a circle."""

BYTES_PER_SECOND = 10**5
"""Size of files for which a trial reading has a second more; the slowest, compressed structs of MATLAB, need four times
as many."""

WAITS = 5
"""A process may wait for a core or a disk: it ends at last after as many times its processor time."""

LIMIT = """
try:
    import resource as _resource
    _resource.setrlimit(_resource.RLIMIT_CPU, ({0}, {0} + 1))
except (ImportError, ValueError, OSError):
    pass
"""
"""Limits the processor time of a process, where the system can (not Windows)."""


def failed_trial(code: str, paths: Sequence[Path], too_large: str, library: str, seconds: float) -> str | None:
    """Reads files in another process; returns why one of them cannot be read, None where the process ends normally.

    Args:
        code: Python code of the process. It gets the paths as arguments, prints each before it reads it, and exits
            with `TOO_LARGE` at too large a one.
        paths: The files.
        too_large: What is wrong with such a file, as the end of a sentence.
        library: Name of the library for messages.
        seconds: Limit of processor time, without that for the size of the files.
    """
    output, status = run_apart(code, [str(path.absolute()) for path in paths], seconds_for(paths, seconds))
    if (reason := why_ended(status, too_large, library)) is None:
        return None
    last = output.decode(errors="replace").splitlines()
    return f"{last[-1] if last else paths[0]} is damaged: {reason}"


def seconds_for(paths: Sequence[Path], seconds: float) -> float:
    """Returns a limit of processor time for reading files: more for large ones.

    Args:
        paths: The files.
        seconds: Limit for small files.
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

    The status is negative where a signal ends the process, as after `seconds` of processor time; None where it does not
    end after `WAITS` times that; and 0 where none can be started.
    """
    command = [sys.executable, "-c", LIMIT.format(math.ceil(seconds)) + code, *arguments]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=WAITS * seconds)
    except subprocess.TimeoutExpired as error:
        return error.stdout or b"", None
    except OSError:
        return b"", 0
    return done.stdout, done.returncode
