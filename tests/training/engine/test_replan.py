"""A run with a target duration plans its epochs again where the pace changes, and ends at the end of its schedule."""

import logging
import math
import re
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

import cairn.methods.hourglass.training as hourglass
import cairn.training.engine.loop as loop
import cairn.training.engine.replan as replan
from cairn.training.autoconfig.choices import (
    CHANGE,
    EPOCHS,
    MINUTES,
    VALIDATIONS,
    Spent,
    choose_length_again,
    validation_interval,
)
from cairn.training.engine.loop import train
from cairn.training.recipe_tables import check_recipe, read_recipe
from cairn.training.run_folder import RunFolder
from support.made_data import made_labels
from support.recorded_rates import RecordedRates

seconds = st.floats(0.01, 1000)


@given(st.integers(1, 400), st.integers(1, 400), seconds, st.floats(0, 5000), st.floats(0, 100))
def test_epochs_that_remain_fit_the_time_that_remains_within_the_limits(done, more, epoch, taken, validation):
    epochs = done + more
    again = choose_length_again(Spent(done, taken, epoch, validation), epochs, MINUTES, EPOCHS)
    assert again > done
    if again == epochs:
        return
    left = again - done
    assert max(left, more) / min(left, more) > CHANGE
    assert again <= max(EPOCHS[1], done + 1)
    validations = VALIDATIONS * more / epochs * validation
    if again > max(EPOCHS[0], done + 1):
        assert taken + left * epoch + validations <= 60 * MINUTES * 1.001
    if again < max(EPOCHS[1], done + 1):
        assert taken + (left + 1) * epoch + validations > 60 * MINUTES * 0.999


@given(st.integers(1, 50), st.floats(0.4, 0.9), st.booleans())
def test_a_small_change_of_the_pace_keeps_the_plan_and_a_large_one_does_not(done, share, slower):
    epochs, planned = 100, 1200 / 100  # seconds of an epoch
    small, large = (planned * factor if slower else planned / factor for factor in (1.3, 2.5))
    spent = Spent(done, done * planned, small, 0.0)
    assert choose_length_again(spent, epochs, MINUTES, (1, 1000)) == epochs
    again = choose_length_again(replace(spent, epoch=large), epochs, MINUTES, (1, 1000))
    assert again < epochs if slower else again > epochs


def test_the_last_tenth_of_a_run_keeps_its_plan():
    assert choose_length_again(Spent(95, 10.0, 0.1, 0.0), 100, MINUTES, (5, 10000)) == 100
    assert choose_length_again(Spent(80, 10.0, 0.1, 0.0), 100, MINUTES, (5, 10000)) == 10000


@given(st.integers(5, 60), st.integers(1, 4), seconds)
def test_another_plan_is_stable(epochs, done, epoch):
    """The epochs planned again are those that the same pace would plan once more."""
    assume(done < epochs)
    spent = Spent(done, done * epoch, epoch, 0.0)
    again = choose_length_again(spent, epochs, MINUTES, (5, 60))
    assert choose_length_again(spent, again, MINUTES, (5, 60)) == again


SETTINGS = {
    "method": "hourglass",
    "name": "things",
    "seed": 4,
    "input": {"size": 64},
    "network": {"features": 8},
    "optimizer": {"learning_rate": 1e-3, "warmup": 0.0, "ema": 0.0},
    "run": {"epochs": 6, "minutes": 10.0, "batch_size": 4, "workers": 0, "threads": 1, "validate_every": 2},
}


class Recorded(RecordedRates):
    """Has rates of its own."""

    rates: list[float] = []  # noqa: RUF012


@pytest.fixture
def things(tmp_path, monkeypatch):
    made_labels(tmp_path / "set", 10, people=1)
    monkeypatch.setattr(loop, "_finish", lambda module, run: run)  # without the export
    return tmp_path / "set"


def run(things, folder, monkeypatch, plans=None, stop_at=-1, resume=False, **values):
    """Trains, with the numbers of epochs `plans` (epochs done -> epochs) in place of those of the clock."""
    if plans is not None:
        monkeypatch.setattr(replan, "MEASURED", 0.0)
        monkeypatch.setattr(replan, "choose_length_again", lambda spent, epochs, *_: plans.get(spent.epochs, epochs))
    kind = type("Recorded", (Recorded,), {"rates": [], "stop_at": stop_at})
    method = replace(hourglass.TRAINING, module=lambda *args: kind(*args))
    data = {"train": [{"labels": str(things / "labels.json")}]}
    tables = read_recipe(folder / "recipe.toml") if resume else SETTINGS | {"data": data}
    tables = tables | {"run": tables["run"] | values}
    try:
        train(method, check_recipe(hourglass.Recipe, tables), folder, resume, {"run.epochs": "as planned"})
    except KeyboardInterrupt:
        assert stop_at >= 0
    return kind.rates


def cosine(share):
    return 1e-3 * 0.5 * (1 + math.cos(math.pi * share))


@pytest.mark.parametrize("again", [3, 12])
def test_a_run_that_is_planned_again_ends_at_the_end_of_its_schedule(things, tmp_path, monkeypatch, caplog, again):
    caplog.set_level(logging.INFO)
    rates = run(things, tmp_path / "run", monkeypatch, plans={2: again})
    steps = 3  # 9 training images in batches of 4
    left = (again - 2) * steps
    expected = [cosine(step / (6 * steps)) for step in range(2 * steps)]
    expected += [cosine((2 + 4 * step / left) / 6) for step in range(left)]
    assert rates == pytest.approx(expected)
    (line,) = [record.message for record in caplog.records if record.message.startswith("run.epochs")]
    pattern = rf"run\.epochs = {again}: planned again after 2 epochs, of \d+ s each now, for 10 minutes; 6 before"
    assert re.fullmatch(pattern, line)
    text = RunFolder(tmp_path / "run").recipe.read_text()
    written = read_recipe(RunFolder(tmp_path / "run").recipe)["run"]
    assert (written["epochs"], written["validate_every"]) == (again, validation_interval(again))
    assert "planned again after 2 epochs" in text
    rows = RunFolder(tmp_path / "run").metrics.read_text().splitlines()
    assert rows[-1].startswith(f"{again},")  # the last epoch validates


@pytest.mark.parametrize("stop", [1, 3, 4])
def test_a_resumed_run_keeps_the_plan_of_an_uninterrupted_one(things, tmp_path, monkeypatch, stop):
    """Before the change, and after it."""
    plans = {2: 9}
    rates = run(things, tmp_path / "whole", monkeypatch, plans)
    weights = torch.load(RunFolder(tmp_path / "whole").last, weights_only=True)["state_dict"]
    first = run(things, tmp_path / "cut", monkeypatch, plans, stop_at=stop)
    second = run(things, tmp_path / "cut", monkeypatch, plans, resume=True)
    assert first + second == pytest.approx(rates)
    resumed = torch.load(RunFolder(tmp_path / "cut").last, weights_only=True)["state_dict"]
    assert all(torch.allclose(value, resumed[name], atol=1e-6) for name, value in weights.items())


def test_a_run_that_dies_between_its_recipe_and_its_checkpoint_continues_as_planned(things, tmp_path, monkeypatch):
    """The recipe has the new number of epochs, and the checkpoint the schedule of the old one."""
    run(things, tmp_path / "cut", monkeypatch, {}, stop_at=2)
    second = run(things, tmp_path / "cut", monkeypatch, {}, resume=True, epochs=9)
    assert second == pytest.approx([cosine((2 + 4 * step / 21) / 6) for step in range(21)])


@pytest.mark.parametrize("values", [{"minutes": 0.0}, {"minutes": 1000.0}])
def test_without_a_target_duration_or_with_time_left_only_within_limits_the_epochs_stay(
    things, tmp_path, monkeypatch, values
):
    """A run without a target keeps its epochs, whatever its pace; one with a target gets more."""
    monkeypatch.setattr(replan, "MEASURED", 0.0)
    rates = run(things, tmp_path / "run", monkeypatch, stop_at=3, **values)
    epochs = read_recipe(RunFolder(tmp_path / "run").recipe)["run"]["epochs"]
    assert len(rates) == 9
    assert epochs == (6 if values["minutes"] == 0 else EPOCHS[1])


def test_the_time_of_a_run_continues_where_it_resumes():
    callback = replan.Replan(EPOCHS, lambda *_: None)
    callback.load_state_dict({"seconds": 500.0})
    assert 500 <= callback.state_dict()["seconds"] < 560


class Clock:
    """A clock that a test moves."""

    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        return self.now


def test_the_pace_is_the_median_of_steps_and_validation_and_one_slow_step_are_no_part_of_it(monkeypatch):
    clock, plans = Clock(), []
    monkeypatch.setattr(replan, "time", clock)
    monkeypatch.setattr(replan, "choose_length_again", lambda spent, epochs, *_: plans.append(spent) or epochs)
    callback = replan.Replan(EPOCHS, lambda *_: None)
    trainer = SimpleNamespace(current_epoch=0, num_training_batches=10, sanity_checking=False)
    module = object.__new__(hourglass.HourglassModule)
    torch.nn.Module.__init__(module)
    module.recipe = SimpleNamespace(run=SimpleNamespace(epochs=100, minutes=20.0))
    callback.on_train_start(trainer, module)
    for epoch in range(3):
        trainer.current_epoch = epoch
        callback.on_train_epoch_start(trainer, module)
        for step in range(10):
            clock.now += 100.0 if (epoch, step) == (0, 3) else 2.0
            callback.on_train_batch_end()
        callback.on_validation_start(trainer, module)
        clock.now += 7.0
        callback.on_validation_end(trainer, module)
        callback.on_train_epoch_end(trainer, module)
    # 20 seconds of steps are too few after the first epoch, which had 118.
    assert plans == [Spent(1, 125.0, 20.0, 7.0), Spent(3, 179.0, 20.0, 7.0)]
