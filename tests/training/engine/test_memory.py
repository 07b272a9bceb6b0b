"""Laws of running out of memory: fewer at a time, as many a step, and on."""

import csv

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import cairn.methods.hourglass.training as hourglass
import cairn.training.engine.loop as fit
from cairn.errors import RecipeError
from cairn.training.engine.memory import is_out_of_memory, with_smaller_batch
from cairn.training.recipe import Recipe, check_recipe, read_recipe
from support.made_data import made_labels


@given(st.integers(2, 512), st.integers(1, 16))
def test_a_step_keeps_its_images(batch, accumulate):
    recipe = Recipe(method="any", run={"batch_size": batch, "accumulate": accumulate})
    smaller = with_smaller_batch(recipe).run
    assert smaller.batch_size * smaller.accumulate == batch * accumulate
    assert 1 <= smaller.batch_size <= batch / 2


def test_what_cannot_be_lowered_is_said():
    with pytest.raises(RecipeError, match="one image at a time"):
        with_smaller_batch(Recipe(method="any", run={"batch_size": 1}))
    with pytest.raises(RecipeError, match="8 images over 2 processes"):
        with_smaller_batch(Recipe(method="any", run={"batch_size": 8}), processes=2)


def test_only_a_lack_of_memory_is_one():
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert is_out_of_memory(MemoryError())
    with pytest.raises(RuntimeError) as error:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(error.value)
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))


class Cramped:
    """A method for whose batches of more than two there is no memory, once the first epoch has been."""

    Recipe = hourglass.Recipe
    read_data = staticmethod(hourglass.read_data)
    training_set = staticmethod(hourglass.training_set)

    @staticmethod
    def module(recipe, joints, val):
        class Module(hourglass.HourglassModule):
            def training_step(self, batch, index):
                if self.current_epoch == 1 and len(batch["image"]) > 2:
                    raise torch.OutOfMemoryError("CUDA out of memory")
                return super().training_step(batch, index)

        return Module(recipe, joints, val)


def test_a_run_that_meets_the_limit_goes_on_with_smaller_batches(tmp_path, monkeypatch):
    monkeypatch.setattr(fit, "_finish", lambda module, run: run)  # no export
    made_labels(tmp_path / "set", 8)
    labels = [{"labels": str(tmp_path / "set" / "labels.json")}]
    tables = {
        "seed": 4,
        "input": {"size": 64},
        "network": {"features": 8},
        "data": {"train": labels, "val": labels},
        "run": {"epochs": 2, "batch_size": 8, "workers": 0, "threads": 1, "validate_every": 1},
    }
    fit.train(Cramped(), check_recipe(hourglass.Recipe, tables), tmp_path / "run")
    run = read_recipe(tmp_path / "run" / "recipe.toml")["run"]
    assert (run["batch_size"], run["accumulate"]) == (2, 4)
    assert "memory did not suffice" in (tmp_path / "run" / "recipe.toml").read_text()
    with (tmp_path / "run" / "metrics.csv").open() as rows:
        assert [int(row["epoch"]) for row in csv.DictReader(rows)] == [1, 2]
