"""A training run writes a usable model, and an interrupted run resumes to the same result."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

import cairn.methods.hourglass.training as hourglass
import cairn.methods.openpose.training as openpose
import cairn.training.engine.error_translation as error_translation
import cairn.training.engine.loop as loop
import cairn.training.engine.results as results
from cairn.api.load import load
from cairn.errors import ImageError, LabelError, ModelError, OutputError, RecipeError, SkeletonError
from cairn.inference.network import OnnxNetwork
from cairn.training.data.sources import read_data
from cairn.training.engine.callbacks import BestCheckpoint
from cairn.training.engine.error_translation import translated_errors
from cairn.training.engine.loop import export_from, train
from cairn.training.engine.results import export_run
from cairn.training.recipe import Data, LabelSource
from cairn.training.recipe_tables import check_recipe, read_recipe
from cairn.training.run_folder import RunFolder, start_run
from support.made_data import made_labels

SMALL = {
    "name": "things",
    "seed": 4,
    "optimizer": {"ema": 0.9},
    "run": {"epochs": 3, "batch_size": 4, "workers": 0, "threads": 1, "validate_every": 1},
}
OPENPOSE = SMALL | {
    "method": "openpose",
    "input": {"size": 64, "inference_size": 96},
    "network": {"widths": [8, 8, 8, 8], "depths": [1, 1, 1], "features": 8},
}
HOURGLASS = SMALL | {"method": "hourglass", "input": {"size": 64}, "network": {"features": 8}}


def recipe_for(method, tables, folder):
    return check_recipe(method.Recipe, tables | {"data": {"train": [{"labels": str(folder / "labels.json")}]}})


class Interrupted(Exception):
    pass


class InterruptedModule(openpose.OpenPoseModule):
    """Raises an exception in the middle of its second epoch."""

    def training_step(self, batch, index):
        if self.current_epoch == 1 and index == 1:
            raise Interrupted
        return super().training_step(batch, index)


@pytest.fixture(scope="module")
def things(tmp_path_factory):
    folder = tmp_path_factory.mktemp("things") / "set"
    made_labels(folder, 12, people=2)
    return folder


@pytest.fixture(scope="module")
def finished(things, tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "whole"
    train(openpose.TRAINING, recipe_for(openpose, OPENPOSE, things), run)
    return run


def epochs_of(run):
    with (run / "metrics.csv").open() as rows:
        return [int(row["epoch"]) for row in csv.DictReader(rows)]


def test_a_run_writes_a_model_that_detects(finished, things):
    assert {entry.name for entry in finished.iterdir()} == {
        "recipe.toml", "skeleton.toml", "split.json", "data.json", "metrics.csv", "tensorboard", "checkpoints",
        "model.onnx", "curves.png", "report", "validation",
    }  # fmt: skip
    assert epochs_of(finished) == [1, 2, 3]
    model = load(finished / "model.onnx", threads=1)
    poses = model(things / "images" / "0.png")
    assert poses.keypoints.shape[1:] == (3, 2)
    assert model.spec.provenance["seed"] == 4
    assert "AP" in model.spec.metrics


def test_the_names_of_the_files_are_those_of_the_run_folder(finished):
    folder = RunFolder(finished)
    names = (
        "recipe",
        "skeleton",
        "split",
        "data",
        "metrics",
        "tensorboard",
        "checkpoints",
        "model",
        "curves",
        "report",
        "validation",
    )
    assert {getattr(folder, name) for name in names} == set(finished.iterdir())
    assert {folder.best, folder.last} == set(folder.checkpoints.iterdir())
    assert folder.checkpoint("best") == folder.best


def test_an_interrupted_run_resumes_to_the_result_of_an_uninterrupted_run(finished, things, tmp_path):
    recipe = recipe_for(openpose, OPENPOSE, things)
    with pytest.raises(Interrupted):
        train(replace(openpose.TRAINING, module=InterruptedModule), recipe, tmp_path / "run")
    assert epochs_of(tmp_path / "run") == [1]
    split = (tmp_path / "run" / "split.json").read_text()
    train(openpose.TRAINING, recipe, tmp_path / "run", resume=True)

    assert epochs_of(tmp_path / "run") == [1, 2, 3]
    assert (tmp_path / "run" / "split.json").read_text() == split == (finished / "split.json").read_text()
    whole, resumed = (
        torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for run in (finished, tmp_path / "run")
    )
    for name, weights in whole.items():
        assert torch.allclose(weights.float(), resumed[name].float(), atol=1e-6), name


def test_an_hourglass_learns_the_positions_of_dots(things, tmp_path):
    tables = HOURGLASS | {"run": SMALL["run"] | {"epochs": 25, "validate_every": 25}}
    recipe = recipe_for(hourglass, tables | {"optimizer": {"learning_rate": 1e-2, "ema": 0}}, things)
    train(hourglass.TRAINING, recipe, tmp_path / "run")
    with (tmp_path / "run" / "metrics.csv").open() as rows:
        error = float(next(csv.DictReader(rows))["error"])
    assert error < 15  # percent of the diagonal of the bounding box; above 30 before training


def test_the_split_is_disjoint_and_stays_the_same(things, tmp_path):
    recipe = recipe_for(openpose, OPENPOSE, things)
    _, [(training, _)], val = read_data(recipe, tmp_path)
    _, _, again = read_data(recipe.model_copy(update={"seed": 99}), tmp_path)
    val_ids = {image.id for image in val}
    assert val_ids == {image.id for image in again} == set(json.loads((tmp_path / "split.json").read_text())["val"])
    assert not val_ids & {image.id for image in training}
    assert len(val_ids) + len(training) == 12


def test_a_folder_in_use_or_missing_labels_are_one_line(finished, things, tmp_path):
    recipe = recipe_for(openpose, OPENPOSE, things)
    with pytest.raises(OutputError, match="not empty"):
        train(openpose.TRAINING, recipe, finished)
    with pytest.raises(OutputError, match="no run to resume"):
        train(openpose.TRAINING, recipe, tmp_path / "none", resume=True)
    with pytest.raises(RecipeError, match="no training labels"):
        train(openpose.TRAINING, check_recipe(openpose.Recipe, OPENPOSE), tmp_path / "empty")


def test_a_run_that_cannot_start_leaves_no_folder(things, tmp_path):
    recipe = recipe_for(hourglass, HOURGLASS, things)
    absent = recipe_for(hourglass, HOURGLASS, tmp_path)
    with pytest.raises(LabelError, match="cannot read labels"):
        train(hourglass.TRAINING, absent, tmp_path / "run")
    with pytest.raises(SkeletonError, match="no skeleton 'horse'"):
        train(hourglass.TRAINING, recipe.model_copy(update={"skeleton": "horse"}), tmp_path / "run")
    labels = json.loads((things / "labels.json").read_text())
    labels["annotations"] = labels["annotations"][:2]  # both in one image: one of the two sets has none
    (things / "few.json").write_text(json.dumps(labels))
    few = [LabelSource(labels=things / "few.json")]
    with pytest.raises(LabelError, match=r"validation images has an annotated|nothing to"):
        train(hourglass.TRAINING, recipe.model_copy(update={"data": Data(train=few)}), tmp_path / "run")
    assert not (tmp_path / "run").exists()
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot write into the folder"):
        train(hourglass.TRAINING, recipe, tmp_path / "file")


@pytest.fixture
def interrupts():
    """Restores the handler of interrupts: Lightning ignores interrupts after the first one."""
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


class StoppedModule(hourglass.HourglassModule):
    """Raises an interrupt at the end of its first epoch."""

    def on_validation_epoch_end(self):
        super().on_validation_epoch_end()
        if not self.trainer.sanity_checking:
            raise KeyboardInterrupt


def test_an_interrupt_stays_an_interrupt_and_stdout_stays_empty(things, tmp_path, interrupts, monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)  # turns the progress bar on
    with pytest.raises(KeyboardInterrupt):
        train(
            replace(hourglass.TRAINING, module=StoppedModule),
            recipe_for(hourglass, HOURGLASS, things),
            tmp_path / "run",
        )
    out, err = capsys.readouterr()
    assert out == ""
    assert "epoch 1 of 3" in err


LOST = RuntimeError("DataLoader worker (pid 1) is killed by signal: Terminated. ")


@pytest.fixture
def terminable(monkeypatch):
    """Handles SIGTERM as the command line does."""
    monkeypatch.setattr(error_translation, "SIGNAL_DELAY", 60.0)
    before = signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    yield
    signal.signal(signal.SIGTERM, before)


def lose_a_worker_before_the_signal():
    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGTERM)).start()
    raise LOST


def lose_a_worker_after_the_signal():
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)
    except SystemExit:
        raise LOST  # noqa: B904 - as torch raises it


@pytest.mark.parametrize("end", [lose_a_worker_before_the_signal, lose_a_worker_after_the_signal])
def test_a_signal_to_all_processes_ends_the_run_with_its_status(terminable, end):
    with pytest.raises(SystemExit) as ended, translated_errors():
        end()
    assert ended.value.code == 143


def test_a_lost_worker_is_one_line(monkeypatch):
    monkeypatch.setattr(error_translation, "SIGNAL_DELAY", 0.0)
    with pytest.raises(RecipeError, match=r"^DataLoader worker \(pid 1\) .* lower run.cache"), translated_errors():
        raise LOST
    with pytest.raises(RuntimeError, match="something else"), translated_errors():
        raise RuntimeError("something else")


def test_an_error_in_a_worker_keeps_its_message(things, tmp_path):
    folder = tmp_path / "set"
    shutil.copytree(things, folder)
    image = folder / "images" / "3.png"
    image.write_bytes(image.read_bytes()[:200])
    recipe = recipe_for(hourglass, HOURGLASS | {"run": SMALL["run"] | {"workers": 1, "cache": 0}}, folder)
    with pytest.raises(ImageError) as error:
        train(hourglass.TRAINING, recipe, tmp_path / "run")
    assert str(error.value) == f"{image} is truncated: the end of the image is missing"


def test_a_loss_that_is_not_finite_ends_the_run_before_its_checkpoint(things, tmp_path):
    recipe = recipe_for(hourglass, HOURGLASS | {"optimizer": {"learning_rate": 1e30, "name": "sgd"}}, things)
    with pytest.raises(RecipeError, match=r"the loss of epoch \d is .*: the training has diverged"):
        train(hourglass.TRAINING, recipe, tmp_path / "run")
    last = tmp_path / "run" / "checkpoints" / "last.ckpt"
    weights = torch.load(last, weights_only=True)["state_dict"] if last.is_file() else {}
    assert all(torch.isfinite(value).all() for value in weights.values())


def test_the_last_epoch_is_validated_and_clipping_works_in_mixed_precision(things, tmp_path):
    tables = HOURGLASS | {
        "optimizer": {"clip": 1.0, "ema": 0.9},
        "run": SMALL["run"] | {"validate_every": 2, "precision": "bf16"},
    }
    train(hourglass.TRAINING, recipe_for(hourglass, tables, things), tmp_path / "run")
    assert epochs_of(tmp_path / "run") == [2, 3]


def test_a_moved_run_recognizes_its_best_checkpoint(finished, things, tmp_path):
    state = torch.load(finished / "checkpoints" / "last.ckpt", weights_only=True)["callbacks"]
    moved = BestCheckpoint(tmp_path / "checkpoints", "AP")
    key = moved.state_key
    assert key == ModelCheckpoint(monitor="AP", mode="max", save_on_train_epoch_end=False).state_key
    moved.load_state_dict(state[key])
    assert moved.best_model_path == str((tmp_path / "checkpoints").resolve() / "best.ckpt")
    assert moved.best_model_score == state[key]["best_model_score"]
    assert list(moved.best_k_models) == [moved.best_model_path]


@pytest.mark.parametrize(
    ("values", "kept"),
    [
        ([10, 30, 20], [True, True, False]),
        ([95.2, 95.3, 93.6, 94.6, 94.5], [True, True, False, True, True]),  # within one percent: the later one
        ([90.5, 90, 89.5, 89], [True, True, False, False]),  # of the highest, not of the one that is kept
        ([-3.0, -3.02, -4.0, -2.0], [True, True, False, True]),
        ([float("nan"), 5, float("nan"), 4.99], [True, True, False, True]),
        ([0, 0], [True, True]),
    ],
)
def test_the_latest_validation_that_is_the_best_but_for_chance_is_kept(values, kept, tmp_path):
    strategy = SimpleNamespace(reduce_boolean_decision=bool)
    callback, trainer = BestCheckpoint(tmp_path, "AP"), SimpleNamespace(strategy=strategy)
    decisions = []
    for value in values:
        decisions.append(callback.check_monitor_top_k(trainer, torch.tensor(float(value))))
        if decisions[-1]:
            callback.best_k_models = {"best.ckpt": torch.tensor(float(value))}
        state, callback = callback.state_dict(), BestCheckpoint(tmp_path, "AP")
        callback.load_state_dict(state)  # as a resumed run does
    assert decisions == kept


def test_the_commit_of_another_repository_is_not_stated(tmp_path, monkeypatch):
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b.c"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "theirs"], check=True)
    monkeypatch.setattr(
        results, "__file__", str(tmp_path / "env" / "python" / "cairn" / "training" / "engine" / "results.py")
    )
    Path(results.__file__).parent.mkdir(parents=True)
    assert results._commit() == {}


def test_a_run_is_exported_under_another_name(finished, things, tmp_path):
    tables = read_recipe(finished / "recipe.toml") | {"name": "other", "decode": {"peak_threshold": 0.3}}
    recipe = check_recipe(openpose.Recipe, tables)
    export_from(openpose.TRAINING, recipe, finished, "best", tmp_path / "other.onnx")
    again, first = OnnxNetwork(tmp_path / "other.onnx"), OnnxNetwork(finished / "model.onnx")
    assert (again.spec.name, again.spec.decode) == ("other", {"peak_threshold": 0.3})
    assert again.spec.skeleton == first.spec.skeleton
    image = np.random.default_rng(0).uniform(0, 255, (1, 3, 64, 64)).astype(np.float32)
    assert all(np.allclose(again(image)[name], maps, atol=1e-5) for name, maps in first(image).items())


def test_a_truncated_checkpoint_is_one_line(finished, things, tmp_path):
    recipe = recipe_for(openpose, OPENPOSE, things)
    skeleton, _, val = read_data(recipe, finished)
    cut = tmp_path / "cut.ckpt"
    cut.write_bytes((finished / "checkpoints" / "last.ckpt").read_bytes()[:5000])
    with pytest.raises(ModelError, match=r"cut\.ckpt"):
        export_run(openpose.module(recipe, skeleton, val), cut, finished, tmp_path / "cut.onnx")
    assert np.array_equal(sorted(entry.name for entry in tmp_path.iterdir()), ["cut.ckpt"])


@pytest.mark.parametrize("content", [b"text", b"", b"PK\x03\x04"])
def test_a_run_with_a_damaged_checkpoint_is_not_resumed(finished, things, tmp_path, content):
    shutil.copytree(finished, tmp_path / "run")
    (tmp_path / "run" / "checkpoints" / "last.ckpt").write_bytes(content)
    with pytest.raises(ModelError, match=r"last\.ckpt is damaged or not a checkpoint of a run") as error:
        train(openpose.TRAINING, recipe_for(openpose, OPENPOSE, things), tmp_path / "run", resume=True)
    assert "\n" not in str(error.value)


def test_a_run_is_not_resumed_with_another_network(finished, things, tmp_path):
    shutil.copytree(finished, tmp_path / "run")
    other = OPENPOSE | {"network": OPENPOSE["network"] | {"features": 16}}
    with pytest.raises(ModelError, match=r"last\.ckpt does not have the weights of the network in the recipe"):
        train(openpose.TRAINING, recipe_for(openpose, other, things), tmp_path / "run", resume=True)


def test_metrics_are_stated_if_there_are_any(finished, things, tmp_path):
    recipe, spec = recipe_for(openpose, OPENPOSE, things), OnnxNetwork(finished / "model.onnx").spec
    assert results.with_provenance(spec, recipe, 1, finished).metrics
    assert not results.with_provenance(spec, recipe, 1, tmp_path).metrics
    for text in ("a,b\n1,2\n", "epoch,minutes,AP\n1,2,high\n"):
        (tmp_path / "metrics.csv").write_text(text)
        with pytest.raises(ModelError, match=r"metrics\.csv is not the table of a run"):
            results.with_provenance(spec, recipe, 1, tmp_path)


def test_a_run_without_improvement_ends_after_its_patience(things, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "_finish", lambda module, run: run)  # no export
    tables = HOURGLASS | {
        "optimizer": {"learning_rate": 1e-12, "ema": 0},
        "run": SMALL["run"] | {"epochs": 9, "patience": 2},
    }
    train(hourglass.TRAINING, recipe_for(hourglass, tables, things), tmp_path / "run")
    assert epochs_of(tmp_path / "run") in ([1, 2, 3], [1, 2, 3, 4])  # statistics of normalization still change at first


def test_reasons_are_comments_of_the_recipe(things, tmp_path):
    recipe = recipe_for(hourglass, HOURGLASS, things)
    reasons = {"run.batch_size": "images are\nfew", "name": 'said "so" # here'}
    start_run(recipe, tmp_path / "run", False, reasons)
    text = (tmp_path / "run" / "recipe.toml").read_text()
    assert "batch_size = 4 # images are few\n" in text
    assert check_recipe(hourglass.Recipe, read_recipe(tmp_path / "run" / "recipe.toml")) == recipe
