"""The learning rate drops at a plateau of validation, once, and a resumed run drops as an uninterrupted one."""

import logging
from dataclasses import replace

import numpy as np
import pytest
import torch

import cairn.methods.hourglass.training as hourglass
import cairn.training.engine.loop as loop
from cairn.errors import RecipeError
from cairn.training.engine.loop import train
from cairn.training.engine.plateau import Plateau
from cairn.training.recipe import PLATEAU_FACTOR, Optimizer
from cairn.training.recipe_tables import check_recipe
from cairn.training.run_folder import RunFolder
from support.made_data import made_labels
from support.recorded_rates import RecordedRates

SETTINGS = {
    "method": "hourglass",
    "name": "things",
    "seed": 4,
    "input": {"size": 64},
    "network": {"features": 8},
    "optimizer": {"schedule": "plateau", "patience": 1, "learning_rate": 1e-3, "warmup": 0.0, "ema": 0.0},
    "run": {"epochs": 4, "batch_size": 8, "workers": 0, "threads": 1, "validate_every": 1},
}


def drops_at(values, **settings):
    plateau = Plateau(Optimizer(schedule="plateau", **settings), "AUC")
    return [i for i, value in enumerate(values) if plateau.dropped(value)]


def test_the_rule_is_that_of_a_plain_loop():
    """Drops after `patience` values in a row that do not exceed the best, and then counts anew."""
    assert drops_at([1, 2, 2, 2, 2, 2], patience=2) == [3]
    assert drops_at([1, 2, 2, 2, 2, 2], patience=2, drops=2) == [3, 5]
    assert drops_at([1, 2, 1.5, 3, 2, 2.5, 9], patience=2) == [5]
    assert drops_at([1, 2, 3, 4], patience=1, drops=5) == []
    assert drops_at([float("nan")] * 3, patience=2) == [1]
    rng = np.random.default_rng(0)
    for _ in range(50):
        values, patience, most = rng.integers(0, 6, 40).tolist(), int(rng.integers(1, 4)), int(rng.integers(1, 4))
        expected, best, last = [], -1, -1
        for i, value in enumerate(values):
            if value > best:
                best, last = value, i
            elif i - last == patience and len(expected) < most:
                expected.append(i)
                last = i
        assert drops_at(values, patience=patience, drops=most) == expected


def test_the_default_factor_is_the_papers_and_that_of_steps_stays():
    assert Optimizer(schedule="plateau").factor == PLATEAU_FACTOR == pytest.approx(1 / 5)
    assert Optimizer(schedule="plateau", factor=0.5).factor == 0.5
    assert Optimizer(schedule="steps").factor == Optimizer().factor == 0.1
    assert Optimizer.model_validate(Optimizer(schedule="plateau").model_dump()) == Optimizer(schedule="plateau")


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"run": {"validate_every": 2}}, r"4 epochs with run\.validate_every = 2 has 2"),
        ({"run": {"validate_every": 100}}, "has 1: lower run"),
        ({"run": {"epochs": 2}}, "has 2"),
        ({"optimizer": {"patience": 5}}, "more than 6 validations"),
        ({"optimizer": {"factor": 1.0}}, "must be below 1"),
        ({"optimizer": {"schedule": "steps"}}, "patience apply to schedule"),
        ({"optimizer": {"schedule": "cosine", "patience": 5, "drops": 2}}, "drops apply to schedule"),
        ({"optimizer": {"patience": 0}}, "patience"),
    ],
)
def test_a_plateau_that_cannot_be_seen_is_one_line(tables, message):
    merged = {**SETTINGS, **{name: SETTINGS[name] | tables[name] for name in tables}}
    with pytest.raises(RecipeError, match=message) as caught:
        check_recipe(hourglass.Recipe, merged)
    assert "\n" not in str(caught.value)


class Flat(RecordedRates):
    """Has the same metric at each validation, and records the learning rate of each step."""

    rates: list[float] = []  # noqa: RUF012

    def measure(self, predictions):
        return super().measure(predictions) | {"AUC": 50.0}


@pytest.fixture
def things(tmp_path):
    made_labels(tmp_path / "set", 9, people=1)
    return tmp_path / "set"


def run(things, folder, resume=False, stop_at=-1):
    kind = type("Flat", (Flat,), {"rates": [], "stop_at": stop_at})
    method = replace(hourglass.TRAINING, module=lambda *args: kind(*args))
    recipe = check_recipe(hourglass.Recipe, SETTINGS | {"data": {"train": [{"labels": str(things / "labels.json")}]}})
    try:
        train(method, recipe, folder, resume)
    except KeyboardInterrupt:
        assert stop_at >= 0
    return kind.rates


def test_a_run_drops_once_and_a_resumed_run_as_well(things, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(loop, "_finish", lambda module, run: run)  # without the export
    caplog.set_level(logging.INFO)
    rates = run(things, tmp_path / "whole")
    steps = len(rates) // 4
    assert rates == pytest.approx([1e-3] * 2 * steps + [2e-4] * 2 * steps)
    (line,) = [record.message for record in caplog.records if "learning rate x" in record.message]
    assert line == "AUC has not improved in 1 validation: learning rate x 0.2 to 0.0002"
    weights = torch.load(RunFolder(tmp_path / "whole").last, weights_only=True)["state_dict"]
    for stop in (1, 3):  # before the drop, and after it
        first = run(things, tmp_path / f"cut{stop}", stop_at=stop)
        second = run(things, tmp_path / f"cut{stop}", resume=True)
        assert first[: stop * steps] + second == pytest.approx(rates)
        resumed = torch.load(RunFolder(tmp_path / f"cut{stop}").last, weights_only=True)["state_dict"]
        assert all(torch.equal(value, resumed[name]) for name, value in weights.items())
