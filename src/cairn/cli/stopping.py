"""Signals: the first one stops a run gracefully, the second one at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

STOPPING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Ctrl-C, termination, and a closed terminal, which Windows lacks."""


@dataclass
class Stop:
    """The signal that stops a run.

    Attributes:
        number: The signal; None before it arrives.
    """

    number: int | None = None

    def __call__(self) -> bool:
        """Whether the run should stop."""
        return self.number is not None


@contextmanager
def graceful_stop() -> Iterator[Stop]:
    """In the block the first of `STOPPING` is only recorded; the second has its former effect.

    Ignored signals stay ignored, as SIGHUP under nohup, and SIGINT of a background job.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():  # only the main thread gets signals
        yield stop
        return
    handlers = {number: signal.getsignal(number) for number in STOPPING}
    before = {number: handler for number, handler in handlers.items() if handler != signal.SIG_IGN}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def record(number: int, _: object) -> None:
        stop.number = number
        restore()

    for number in before:
        signal.signal(number, record)
    try:
        yield stop
    finally:
        restore()
