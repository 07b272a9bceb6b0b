"""The number of CPU threads of the network, selected by timing steps, and again when their pace changes.

The threads of a step wait for one another some thousand times. Beside another busy process, each wait may last until
the operating system takes the core from that process: a step on all cores then takes ten times as long as on one. No
way of waiting repairs that, so the fastest number is measured ("Threads by trial" in docs/decisions).
"""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence

STEPS, SECONDS = 3, 2.0
"""Timed steps with each number of threads, after one to warm up; fewer once they have taken that many seconds."""

HOPELESS, COMPILING = 3.0, 1.0
"""A number of threads is abandoned after a first step that takes so many times as long as the fastest steps so far, and
so many seconds more: the first step with a number may compile."""

AS_FAST = 1.03
"""Fewer threads are preferred if they take at most so many times as long: other processes have a use for the cores."""

SLOWER, WINDOW = 1.3, 5
"""A trial begins when the median of so many steps takes so many times as long as before."""

SHARE, INTERVAL = 0.05, 30.0
"""Maximum share of the time that trials take; minimum seconds between those that look for free cores."""


def thread_counts(most: int) -> tuple[int, ...]:
    """Returns the numbers of threads to try, in ascending order: one, half, three quarters, all but one, all.

    One is the first, because its steps are slow at most by the number of cores, beside any other process.
    """
    return tuple(sorted({most, *(max(1, count) for count in (most - 1, 3 * most // 4, most // 2, 1))}))


def trial(counts: Sequence[int], pace: float = float("inf")) -> Generator[int, float, dict[int, float]]:
    """Yields the number of threads for the next step, is sent its seconds; returns the seconds with each number.

    Args:
        counts: Numbers of threads, in the order in which they are timed.
        pace: Known seconds of a step, in comparison with which a number is abandoned.
    """
    seconds: dict[int, float] = {}
    for count in counts:
        seconds[count] = yield count  # warms up
        if len(counts) == 1 or seconds[count] <= HOPELESS * pace + COMPILING:
            timed: list[float] = []
            while len(timed) < STEPS and sum(timed) < SECONDS:
                timed.append((yield count))
            seconds[count] = statistics.median(timed)
        pace = min(pace, seconds[count])
    return seconds


def fastest(seconds: Mapping[int, float]) -> int:
    """Returns the smallest number of threads that is as fast as the fastest, within `AS_FAST`."""
    return min(count for count, each in seconds.items() if each <= AS_FAST * min(seconds.values()))


def run_trial(counts: Sequence[int], step: Callable[[int], float]) -> dict[int, float]:
    """Runs a trial at once, and returns the seconds of a step with each number of threads.

    Args:
        counts: Numbers of threads, in the order in which they are timed.
        step: Number of threads -> seconds of a step with them.
    """
    steps = trial(counts)
    count = next(steps)
    while True:
        try:
            count = steps.send(step(count))
        except StopIteration as ended:
            return dict(ended.value)


class ThreadChoice:
    """The number of threads of each step of a run. It begins with a trial.

    Attributes:
        threads: Number of threads for the next step.
        seconds: Seconds of a step with each number of threads in the last trial; empty during the first.
    """

    def __init__(self, counts: Sequence[int], clock: Callable[[], float] = time.perf_counter) -> None:
        """Begins the first trial.

        Args:
            counts: Numbers of threads, in the order in which they are timed.
            clock: Returns seconds since some time.
        """
        self.seconds: dict[int, float] = {}
        self._counts = counts
        self._clock = clock
        self._recent: deque[float] = deque(maxlen=WINDOW)
        self._pace = float("inf")
        self._begin()

    def after(self, seconds: float) -> bool:
        """Counts a step.

        Args:
            seconds: The time that it took with `threads` threads.

        Returns:
            Whether a trial ended with it.
        """
        if self._trial is None:
            self._recent.append(seconds)
            if self._is_due():
                self._begin()
            return False
        self._spent.append(seconds)
        try:
            self.threads = self._trial.send(seconds)
        except StopIteration as ended:
            self._end(ended.value)
            return True
        return False

    def _is_due(self) -> bool:
        """Whether another trial begins: the pace has become worse, or there may be free cores again."""
        if len(self._recent) < WINDOW:
            return False
        pace, rested = statistics.median(self._recent), self._clock() - self._ended
        is_slower = pace > SLOWER * self._pace
        self._pace = pace if is_slower else min(self._pace, pace)
        return rested > self._rest and (is_slower or (self.threads < max(self._counts) and rested > INTERVAL))

    def _begin(self) -> None:
        self._spent: list[float] = []
        self._trial: Generator[int, float, dict[int, float]] | None = trial(self._counts, self._pace)
        self.threads = next(self._trial)

    def _end(self, seconds: dict[int, float]) -> None:
        self._trial = None
        self.seconds, self.threads = seconds, fastest(seconds)
        self._pace = seconds[self.threads]
        self._recent.clear()
        self._ended = self._clock()
        # Rests so long that what its steps took beyond those of the selected number is a small share.
        self._rest = (sum(self._spent) - len(self._spent) * self._pace) / SHARE
