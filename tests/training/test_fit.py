"""Laws of a training run: it leaves a usable model, and being interrupted changes nothing."""

import csv
import json

import numpy as np
import pytest
import torch

import cairn.methods.hourglass.training as hourglass
import cairn.methods.openpose.training as openpose
from cairn.errors import ModelError, OutputError, RecipeError
from cairn.load import load
from cairn.network import OnnxNetwork
from cairn.training.data import read_data
from cairn.training.fit import export_from, export_run, train
from cairn.training.recipe import check_recipe, read_recipe
from training.made_data import made_labels

SMALL = {
    "name": "things",
    "seed": 4,
    "optimiser": {"ema": 0.9},
    "run": {"epochs": 3, "batch": 4, "workers": 0, "threads": 1, "validate_every": 1},
}
OPENPOSE = SMALL | {
    "method": "openpose",
    "input": {"size": 64, "detect": 96},
    "network": {"widths": [8, 8, 8, 8], "depths": [1, 1, 1], "features": 8},
}
HOURGLASS = SMALL | {"method": "hourglass", "input": {"size": 64}, "network": {"features": 8}}


def recipe_for(method, tables, folder):
    return check_recipe(method.Recipe, tables | {"data": {"train": [{"labels": str(folder / "labels.json")}]}})


class Interrupted(Exception):
    pass


class InterruptedMethod:
    """A method whose module gives up in the middle of an epoch."""

    Recipe = openpose.Recipe
    training_set = staticmethod(openpose.training_set)

    @staticmethod
    def module(recipe, joints, val):
        class Module(openpose.OpenPoseModule):
            def training_step(self, batch, index):
                if self.current_epoch == 1 and index == 1:
                    raise Interrupted
                return super().training_step(batch, index)

        return Module(recipe, joints, val)


@pytest.fixture(scope="module")
def things(tmp_path_factory):
    folder = tmp_path_factory.mktemp("things") / "set"
    made_labels(folder, 12, people=2)
    return folder


@pytest.fixture(scope="module")
def finished(things, tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "whole"
    train(openpose, recipe_for(openpose, OPENPOSE, things), run)
    return run


def epochs_of(run):
    with (run / "metrics.csv").open() as rows:
        return [int(row["epoch"]) for row in csv.DictReader(rows)]


def test_a_run_leaves_a_model_that_detects(finished, things):
    assert {entry.name for entry in finished.iterdir()} == {
        "recipe.toml", "skeleton.toml", "split.json", "metrics.csv", "tensorboard", "checkpoints", "model.onnx",
    }  # fmt: skip
    assert epochs_of(finished) == [1, 2, 3]
    model = load(finished / "model.onnx", threads=1)
    poses = model(things / "images" / "0.png")
    assert poses.keypoints.shape[1:] == (3, 2)
    assert model.spec.provenance["seed"] == 4
    assert "AP" in model.spec.figures


def test_an_interrupted_run_ends_as_if_it_had_not_been(finished, things, tmp_path):
    recipe = recipe_for(openpose, OPENPOSE, things)
    with pytest.raises(Interrupted):
        train(InterruptedMethod(), recipe, tmp_path / "run")
    assert epochs_of(tmp_path / "run") == [1]
    split = (tmp_path / "run" / "split.json").read_text()
    train(openpose, recipe, tmp_path / "run", resume=True)

    assert epochs_of(tmp_path / "run") == [1, 2, 3]
    assert (tmp_path / "run" / "split.json").read_text() == split == (finished / "split.json").read_text()
    whole, resumed = (
        torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for run in (finished, tmp_path / "run")
    )
    for name, weights in whole.items():
        assert torch.allclose(weights.float(), resumed[name].float(), atol=1e-6), name


def test_an_hourglass_learns_where_the_dots_are(things, tmp_path):
    tables = HOURGLASS | {"run": SMALL["run"] | {"epochs": 25, "validate_every": 25}}
    recipe = recipe_for(hourglass, tables | {"optimiser": {"learning_rate": 1e-2, "ema": 0}}, things)
    train(hourglass, recipe, tmp_path / "run")
    with (tmp_path / "run" / "metrics.csv").open() as rows:
        error = float(next(csv.DictReader(rows))["error"])
    assert error < 15  # percent of the box's diagonal; untrained it is above 30


def test_the_split_is_kept_and_disjoint(things, tmp_path):
    recipe = recipe_for(openpose, OPENPOSE, things)
    _, [(training, _)], val = read_data(recipe, tmp_path)
    _, _, again = read_data(recipe.model_copy(update={"seed": 99}), tmp_path)
    held = {picture.id for picture in val}
    assert held == {picture.id for picture in again} == set(json.loads((tmp_path / "split.json").read_text())["val"])
    assert not held & {picture.id for picture in training}
    assert len(held) + len(training) == 12


def test_what_is_in_the_way_is_one_line(finished, things, tmp_path):
    recipe = recipe_for(openpose, OPENPOSE, things)
    with pytest.raises(OutputError, match="not empty"):
        train(openpose, recipe, finished)
    with pytest.raises(OutputError, match="no run to resume"):
        train(openpose, recipe, tmp_path / "none", resume=True)
    with pytest.raises(RecipeError, match="labels to learn from"):
        train(openpose, check_recipe(openpose.Recipe, OPENPOSE), tmp_path / "empty")


def test_a_run_is_exported_again_under_another_name(finished, things, tmp_path):
    tables = read_recipe(finished / "recipe.toml") | {"name": "other", "decode": {"peak_threshold": 0.3}}
    recipe = check_recipe(openpose.Recipe, tables)
    export_from(openpose, recipe, finished, "best", tmp_path / "other.onnx")
    again, first = OnnxNetwork(tmp_path / "other.onnx"), OnnxNetwork(finished / "model.onnx")
    assert (again.spec.name, again.spec.decode) == ("other", {"peak_threshold": 0.3})
    assert again.spec.skeleton == first.spec.skeleton
    image = np.random.default_rng(0).uniform(0, 255, (1, 3, 64, 64)).astype(np.float32)
    assert all(np.allclose(again(image)[name], maps, atol=1e-5) for name, maps in first(image).items())


def test_a_truncated_checkpoint_is_one_line(finished, things, tmp_path):
    recipe = recipe_for(openpose, OPENPOSE, things)
    joints, _, val = read_data(recipe, finished)
    cut = tmp_path / "cut.ckpt"
    cut.write_bytes((finished / "checkpoints" / "last.ckpt").read_bytes()[:5000])
    with pytest.raises(ModelError, match=r"cut\.ckpt"):
        export_run(openpose.module(recipe, joints, val), cut, finished, tmp_path / "cut.onnx")
    assert np.array_equal(sorted(entry.name for entry in tmp_path.iterdir()), ["cut.ckpt"])
