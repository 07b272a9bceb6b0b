"""CPU threads of the network during training: the maximum, and a callback that selects their number."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from typing import Any

import torch
from lightning.pytorch.callbacks import Callback

from cairn.machine import available_cores
from cairn.training.autoconfig.choices import choose_workers
from cairn.training.engine.processes import Processes
from cairn.training.engine.thread_trial import ThreadChoice, fastest, run_trial, thread_counts
from cairn.training.recipe import Run
from cairn.wording import counted

log = logging.getLogger(__name__)


def workers_of(run: Run, group: Processes) -> int:
    """Returns the number of data loading processes of a training process."""
    if run.workers is not None:
        return run.workers
    return choose_workers(max(1, available_cores() // group.here), torch.cuda.is_available())


def max_threads(run: Run, group: Processes) -> int:
    """Returns the maximum number of threads of a process: with its data loading processes at most its cores.

    `OMP_NUM_THREADS` lowers it, except under torchrun, which sets that to 1 by itself.

    Args:
        run: Settings of the run; `threads` is the number that the user sets, 0 for none.
        group: The processes that train together.
    """
    if run.threads:
        return run.threads
    workers = 0 if torch.cuda.is_available() else workers_of(run, group)
    most = max(1, available_cores() // group.here - workers)
    asked = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    return min(most, int(asked)) if asked.isdigit() and int(asked) and group.count == 1 else most


def numbers_of_threads(run: Run, group: Processes) -> tuple[int, ...]:
    """Returns the numbers of threads among which timed steps select one; the only one where there is no choice.

    The user's number is the only one. With a GPU threads hardly matter, and processes that train together wait for the
    slowest of them.
    """
    most = max_threads(run, group)
    return (most,) if run.threads or group.count > 1 or torch.cuda.is_available() else thread_counts(most)


def fastest_threads(counts: tuple[int, ...], step: Callable[[], object]) -> tuple[int, float]:
    """Runs steps with several numbers of threads; the fastest number is in use after it.

    Returns:
        The number of threads, and the seconds of a step.
    """

    def timed(count: int) -> float:
        torch.set_num_threads(count)
        started = time.perf_counter()
        step()
        return time.perf_counter() - started

    seconds = run_trial(counts, timed)
    threads = fastest(seconds)
    torch.set_num_threads(threads)
    return threads, seconds[threads]


class Threads(Callback):
    """Selects the number of threads by the time of the run's own steps, which are not repeated."""

    def __init__(self, counts: tuple[int, ...]) -> None:
        """Begins with a trial.

        Args:
            counts: Numbers of threads, in the order in which they are timed.
        """
        self._choice = ThreadChoice(counts)
        self._logged = 0
        self._started = 0.0

    def on_train_batch_start(self, *_: Any) -> None:
        """Sets the number of threads of a step."""
        torch.set_num_threads(self._choice.threads)
        self._started = time.perf_counter()

    def on_train_batch_end(self, *_: Any) -> None:
        """Counts a step, and logs the number of threads where it changes."""
        ended = self._choice.after(time.perf_counter() - self._started)
        torch.set_num_threads(self._choice.threads)
        if ended and self._choice.threads != self._logged:
            self._logged = self._choice.threads
            times = ", ".join(f"{seconds:.3g} s with {count}" for count, seconds in self._choice.seconds.items())
            log.info("%s for the network: a step takes %s", counted(self._logged, "thread"), times)
