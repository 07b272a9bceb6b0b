"""Trial readings in another process: a damaged file that crashes a library, or takes it forever, ends that alone."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

TOO_LARGE = 9
"""Exit status of a trial reading that found more data than the file can hold or should expand to."""

MAX_SECONDS = 120
"""Time in which a trial reading must end: damaged indices can form a circle."""


def failed_trial(code: str, paths: Sequence[Path], too_large: str, library: str, seconds: float) -> str | None:
    """Reads files in another process; returns why one of them cannot be read, None where the process ends normally.

    Args:
        code: Python code of the process. It gets the paths as arguments, prints each before it reads it, and exits
            with `TOO_LARGE` at too large a one.
        paths: The files.
        too_large: What is wrong with such a file, as the end of a sentence.
        library: Name of the library for messages.
        seconds: Time limit.
    """
    command = [sys.executable, "-c", code, *(str(path.absolute()) for path in paths)]
    reason = f"the {library} library cannot read it"
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=seconds)
    except subprocess.TimeoutExpired as error:
        output, failed = error.stdout or b"", True
    except OSError:  # no other process can be started here
        return None
    else:
        output, failed = done.stdout, done.returncode < 0
        if done.returncode == TOO_LARGE:
            failed, reason = True, too_large
    if not failed:
        return None
    last = output.decode(errors="replace").splitlines()
    return f"{last[-1] if last else paths[0]} is damaged: {reason}"
