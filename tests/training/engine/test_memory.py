"""Out of memory: smaller batches, the same images per step, and the run continues."""

import csv
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import cairn.methods.hourglass.training as hourglass
import cairn.training.engine.loop as loop
from cairn.errors import RecipeError
from cairn.training.engine.memory import is_out_of_memory, with_smaller_batch
from cairn.training.recipe import Recipe
from cairn.training.recipe_tables import check_recipe, read_recipe
from support.made_data import made_labels


@given(st.integers(2, 512), st.integers(1, 16))
def test_a_smaller_batch_keeps_the_images_of_a_step(batch, accumulate):
    recipe = Recipe(method="any", run={"batch_size": batch, "accumulate": accumulate})
    smaller = with_smaller_batch(recipe).run
    assert smaller.batch_size * smaller.accumulate == batch * accumulate
    assert 1 <= smaller.batch_size <= batch / 2


def test_a_batch_that_cannot_shrink_is_an_error():
    with pytest.raises(RecipeError, match="batch size of 1"):
        with_smaller_batch(Recipe(method="any", run={"batch_size": 1}))
    with pytest.raises(RecipeError, match="batch size of 8 over 2 processes"):
        with_smaller_batch(Recipe(method="any", run={"batch_size": 8}), processes=2)


def test_only_allocation_errors_count_as_out_of_memory():
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert is_out_of_memory(MemoryError())
    with pytest.raises(RuntimeError) as error:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(error.value)
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))


class LimitedModule(hourglass.HourglassModule):
    """Runs out of memory in the second epoch with batches of more than two images."""

    def training_step(self, batch, index):
        if self.current_epoch == 1 and len(batch["image"]) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return super().training_step(batch, index)


def test_a_run_without_memory_continues_with_smaller_batches(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "_finish", lambda module, run: run)  # no export
    method = replace(hourglass.TRAINING, module=LimitedModule)
    made_labels(tmp_path / "set", 8)
    labels = [{"labels": str(tmp_path / "set" / "labels.json")}]
    tables = {
        "seed": 4,
        "input": {"size": 64},
        "network": {"features": 8},
        "data": {"train": labels, "val": labels},
        "run": {"epochs": 2, "batch_size": 8, "workers": 0, "threads": 1, "validate_every": 1},
    }
    loop.train(method, check_recipe(hourglass.Recipe, tables), tmp_path / "run")
    run = read_recipe(tmp_path / "run" / "recipe.toml")["run"]
    assert (run["batch_size"], run["accumulate"]) == (2, 4)
    assert "memory did not suffice" in (tmp_path / "run" / "recipe.toml").read_text()
    with (tmp_path / "run" / "metrics.csv").open() as rows:
        assert [int(row["epoch"]) for row in csv.DictReader(rows)] == [1, 2]
