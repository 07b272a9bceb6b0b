"""Exceptions of Lightning and of data loading processes, translated into those that Cairn documents."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout

from cairn.errors import CairnError, RecipeError

LOST_WORKER = "DataLoader worker"
"""Start of torch's error message for a data loading process that has ended."""

SIGNAL_DELAY = 1.0
"""Seconds within which a signal to the whole process group reaches this process after it ended a worker."""


@contextmanager
def translated_errors() -> Iterator[None]:
    """Restores interrupts and errors of workers, and keeps Lightning's output off stdout.

    A signal to the process group ends the data loading processes too, before or after it reaches this process. Such a
    run ends by the signal, not by the loss of a worker.

    Raises:
        KeyboardInterrupt: Lightning turned an interrupt into `SystemExit(1)`.
        RecipeError: A data loading process ended without a signal to this one.
        CairnError: The error that a data loading process raised.
    """
    try:
        with redirect_stdout(sys.stderr):
            yield
    except SystemExit as end:
        if end.code == 1:  # Lightning's exit status of an interrupt
            raise KeyboardInterrupt from None
        raise
    except RuntimeError as error:
        if LOST_WORKER not in str(error):
            raise
        if isinstance(ending := error.__context__, SystemExit | KeyboardInterrupt):
            raise ending from None
        time.sleep(SIGNAL_DELAY)
        raise RecipeError(
            f"{str(error).strip().rstrip('.')}: possibly out of memory; lower run.cache, or set run.workers=0"
        ) from None
    except CairnError as error:
        *_, last = str(error.args[0]).splitlines()  # an error of a worker arrives as the text of its traceback
        raise type(error)(last.removeprefix(f"{type(error).__module__}.{type(error).__qualname__}: ")) from None
