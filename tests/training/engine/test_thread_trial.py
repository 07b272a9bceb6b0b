"""Threads are selected by the time of steps, and selected again where the pace changes, at a small cost."""

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.training.engine.thread_trial import INTERVAL, SHARE, WINDOW, ThreadChoice, fastest, run_trial, thread_counts


class Machine:
    """Cores with other busy processes: a step of `work` seconds of one core; a clock."""

    def __init__(self, cores, busy=0, work=1.0):
        self.cores, self.busy, self.work, self.now, self.used = cores, busy, work, 0.0, []

    def step(self, threads):
        free = max(1, self.cores - self.busy)
        seconds = self.work / threads * (1 if threads <= free else 10)
        self.now += seconds
        self.used.append(threads)
        return seconds

    @property
    def best(self):
        counts = thread_counts(self.cores)
        fitting = [count for count in counts if count <= self.cores - self.busy]
        return fitting[-1] if fitting else 1


def run(machine, choice, seconds):
    """Runs steps for some time; returns the seconds of each."""
    until, times = machine.now + seconds, []
    while machine.now < until:
        times.append(machine.step(choice.threads))
        choice.after(times[-1])
    return times


@given(st.integers(1, 300))
def test_numbers_of_threads_are_at_most_all_and_are_in_order_from_one_to_all(most):
    counts = thread_counts(most)
    assert counts[0] == 1
    assert counts[-1] == most
    assert list(counts) == sorted(set(counts))


@given(st.dictionaries(st.integers(1, 64), st.floats(0.01, 100), min_size=1))
def test_the_fastest_number_is_within_a_few_percent_of_the_best_and_no_smaller_one_is(seconds):
    selected, least = fastest(seconds), min(seconds.values())
    assert seconds[selected] <= 1.03 * least
    assert all(each > 1.03 * least for count, each in seconds.items() if count < selected)


@pytest.mark.parametrize("cores", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("busy", [0, 1, 2, 5])
def test_a_trial_selects_the_number_that_fits_beside_busy_processes(cores, busy):
    machine = Machine(cores, busy, work=0.2)
    assert fastest(run_trial(thread_counts(cores), machine.step)) == machine.best


def test_a_single_number_is_timed_as_well():
    machine = Machine(4)
    assert run_trial((3,), machine.step) == pytest.approx({3: 1 / 3})
    assert set(machine.used) == {3}


@pytest.mark.parametrize("cores", [2, 4, 16])
def test_a_run_follows_a_busy_process_that_comes_and_goes(cores):
    machine = Machine(cores, work=0.3)
    choice = ThreadChoice(thread_counts(cores), lambda: machine.now)
    run(machine, choice, 60)
    assert choice.threads == cores
    machine.busy = 1
    run(machine, choice, 60)
    assert choice.threads == machine.best < cores
    machine.busy = 0
    run(machine, choice, 300)
    assert choice.threads == cores


@pytest.mark.parametrize("busy", [0, 1])
def test_trials_take_a_small_share_of_a_long_run(busy):
    machine = Machine(2, busy, work=0.3)
    choice = ThreadChoice((1, 2), lambda: machine.now)
    times = run(machine, choice, 3600)
    ideal = Machine(2, busy, work=0.3).step(machine.best)
    assert sum(times) < len(times) * ideal * (1 + 1.5 * SHARE)


def test_one_slow_step_is_no_change_of_the_pace():
    machine = Machine(2, work=0.3)
    choice = ThreadChoice((1, 2), lambda: machine.now)
    run(machine, choice, 100)
    machine.used.clear()
    for _ in range(20):
        choice.after(30.0)
        machine.now += 30
        run(machine, choice, 5)
    assert set(machine.used) == {2}


def test_a_pace_that_no_number_of_threads_repairs_is_the_new_one():
    machine = Machine(2, work=0.3)
    choice = ThreadChoice((1, 2), lambda: machine.now)
    run(machine, choice, 100)
    machine.work = 3.0  # everything is slower
    run(machine, choice, 100)
    machine.used.clear()
    run(machine, choice, 1000)
    assert set(machine.used) == {2}


def test_free_cores_are_looked_for_only_now_and_then():
    machine = Machine(2, 1, work=0.3)
    choice = ThreadChoice((1, 2), lambda: machine.now)
    ended = []
    while len(ended) < 5:
        if choice.after(machine.step(choice.threads)):
            ended.append(machine.now)
    assert min(b - a for a, b in itertools.pairwise(ended)) >= INTERVAL


def test_noise_keeps_the_selected_number():
    noise, machine = random.Random(0), Machine(2, work=0.3)
    choice = ThreadChoice((1, 2), lambda: machine.now)
    selected = []
    for _ in range(2000):
        if choice.after(machine.step(choice.threads) * noise.uniform(0.9, 1.1)):
            selected.append(choice.threads)
    assert set(selected) == {2}
    assert len(selected) <= 1 + 2000 // WINDOW // 20
