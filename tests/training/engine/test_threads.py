"""Threads and data loading processes never exceed the cores, and what the user sets wins."""

import logging
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import cairn.methods.hourglass.training as hourglass
import cairn.training.engine.loop as loop
import cairn.training.engine.threads as threads
from cairn.training.autoconfig.choices import LabelFacts, choose_shared
from cairn.training.autoconfig.choices import Machine as MachineFacts
from cairn.training.engine.loop import train
from cairn.training.engine.processes import Processes
from cairn.training.engine.thread_trial import ThreadChoice
from cairn.training.engine.threads import Threads, fastest_threads, max_threads, numbers_of_threads, workers_of
from cairn.training.recipe import Run
from cairn.training.recipe_tables import check_recipe
from support.made_data import made_labels

FACTS = LabelFacts(166, 166, 1, 32, 0, 0, 128.0, 100.0, 120.0, 1.0)


@pytest.fixture(autouse=True)
def as_before():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def on(monkeypatch, cores, omp=None):
    monkeypatch.setattr(threads, "available_cores", lambda: cores)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if omp is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", omp)


@given(st.integers(1, 128), st.integers(1, 16), st.integers(0, 8))
def test_threads_and_workers_are_at_most_the_cores_of_a_process(cores, here, workers):
    with pytest.MonkeyPatch.context() as patch:
        on(patch, cores)
        group = Processes(0, here, here)
        counts = numbers_of_threads(Run(workers=workers), group)
        assert min(counts) >= 1
        assert max(counts) == max_threads(Run(workers=workers), group)
        assert max(counts) + workers <= max(cores // here, 1 + workers)


@given(st.integers(1, 128))
def test_selected_workers_leave_all_other_cores_to_the_network(cores):
    with pytest.MonkeyPatch.context() as patch:
        on(patch, cores)
        workers = choose_shared(FACTS, MachineFacts(cores, 8000)).tables["run"]["workers"]
        assert workers + max_threads(Run(workers=workers), Processes()) == cores
        assert workers_of(Run(), Processes()) == workers
        assert numbers_of_threads(Run(), Processes()) == numbers_of_threads(Run(workers=workers), Processes())
        assert workers <= cores / 6


@pytest.mark.parametrize(("omp", "most"), [("3", 3), ("1", 1), ("20", 8), ("4,2", 4), ("", 8), ("many", 8), ("0", 8)])
def test_the_environment_of_the_user_is_a_maximum(monkeypatch, omp, most):
    on(monkeypatch, 8, omp)
    assert max(numbers_of_threads(Run(workers=0), Processes())) == most


def test_torchrun_sets_the_environment_and_not_the_user(monkeypatch):
    on(monkeypatch, 8, "1")
    assert numbers_of_threads(Run(workers=0), Processes(0, 2, 2)) == (4,)


@pytest.mark.parametrize("number", [1, 3, 64])
def test_the_number_of_the_user_is_the_only_one(monkeypatch, number):
    on(monkeypatch, 8, "2")
    assert numbers_of_threads(Run(threads=number, workers=5), Processes()) == (number,)


def test_with_a_gpu_there_is_no_trial(monkeypatch):
    on(monkeypatch, 8)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert numbers_of_threads(Run(workers=8), Processes()) == (8,)


@pytest.mark.parametrize(("seconds", "best"), [({2: 9.0, 1: 1.0}, 1), ({2: 0.5, 1: 1.0}, 2)])
def test_the_fastest_number_is_in_use_after_a_trial(monkeypatch, seconds, best):
    now, used = [0.0], []

    def step():
        used.append(torch.get_num_threads())
        now[0] += seconds[used[-1]]

    monkeypatch.setattr(threads.time, "perf_counter", lambda: now[0])
    assert fastest_threads((1, 2), step) == (best, pytest.approx(seconds[best]))
    assert set(used) == {1, 2}
    assert torch.get_num_threads() == best


SETTINGS = {
    "method": "hourglass",
    "name": "things",
    "seed": 4,
    "input": {"size": 64},
    "network": {"features": 8},
    "optimizer": {"name": "sgd", "learning_rate": 1e-3, "ema": 0.0},
    "run": {"epochs": 4, "batch_size": 4, "workers": 0, "validate_every": 4, "precision": "fp32"},
}


class Recorded(hourglass.HourglassModule):
    """Records the number of threads, the images and the loss of each step."""

    used: list[int] = []  # noqa: RUF012
    seen: list[float] = []  # noqa: RUF012
    values: list[float] = []  # noqa: RUF012

    def training_step(self, batch, index):
        self.used.append(torch.get_num_threads())
        self.seen.append(float(batch["image"].double().sum()))
        loss = super().training_step(batch, index)
        self.values.append(float(loss))
        return loss


def trained(folder, monkeypatch, number):
    monkeypatch.setattr(loop, "_finish", lambda module, run: run)  # without the export
    made_labels(folder / "set", 10, people=1)
    kind = type("Recorded", (Recorded,), {"used": [], "seen": [], "values": []})
    tables = SETTINGS | {"data": {"train": [{"labels": str(folder / "set" / "labels.json")}]}}
    tables["run"] = tables["run"] | {"threads": number}
    method = replace(hourglass.TRAINING, module=lambda *args: kind(*args))
    train(method, check_recipe(hourglass.Recipe, tables), folder / "run")
    return kind


def test_a_trial_uses_the_steps_of_the_run_and_changes_no_more_than_rounding(tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    on(monkeypatch, 2)
    fixed = trained(tmp_path / "fixed", monkeypatch, 1)
    assert not [record for record in caplog.records if "for the network" in record.message]
    tried = trained(tmp_path / "tried", monkeypatch, 0)
    assert set(fixed.used) == {1}
    assert set(tried.used) == {1, 2}
    assert tried.seen == fixed.seen
    first = 2 + tried.used.index(2)  # later steps enlarge the rounding of the first ones, at random
    assert tried.values[:first] == pytest.approx(fixed.values[:first], rel=1e-4)
    (line,) = [record.message for record in caplog.records if "for the network" in record.message]
    assert line.startswith(("1 thread for the network: a step takes", "2 threads for the network: a step takes"))


def test_a_change_is_logged_once(monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    callback = Threads((1, 2))
    times = {2: 1.0, 1: 2.0}

    def step():
        callback.on_train_batch_start()
        assert torch.get_num_threads() == callback._choice.threads
        return times[torch.get_num_threads()]

    now = [0.0]
    callback._choice = ThreadChoice((1, 2), lambda: now[0])
    monkeypatch.setattr(threads.time, "perf_counter", lambda: now[0])
    for _ in range(60):
        now[0] += step()
        callback.on_train_batch_end()
    times[2] = 20.0
    for _ in range(60):
        now[0] += step()
        callback.on_train_batch_end()
    lines = [record.message for record in caplog.records]
    assert lines == [
        "2 threads for the network: a step takes 2 s with 1, 1 s with 2",
        "1 thread for the network: a step takes 2 s with 1, 20 s with 2",
    ]
