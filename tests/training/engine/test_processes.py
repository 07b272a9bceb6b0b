"""Several processes train the same network as one process with the same images per step, and the first one writes."""

import csv
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

import cairn.methods.hourglass.training as hourglass
import cairn.training.engine.loop as loop
from cairn.errors import RecipeError
from cairn.training.checkpoints.reading import read_weights
from cairn.training.engine.processes import Processes, first_before_others, gathered, joined, on_first, processes
from cairn.training.recipe_tables import check_recipe, read_recipe
from support import ROOT
from support.made_data import made_labels
from support.train_without_norms import without_norms

SOURCES = ROOT / "src"

SETTINGS = (
    *("seed=4", "input.size=64", "network.features=8", "optimizer.ema=0.9", "optimizer.learning_rate=1e-3"),
    *(
        "data.holdout=0.34",
        "run.epochs=4",
        "run.batch_size=8",
        "run.workers=0",
        "run.threads=1",
        "run.validate_every=1",
    ),
    "run.precision=fp32",  # in bf16, sums in another order differ by more
)


def started(*arguments: str | Path, several: int = 1) -> subprocess.Popen:
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(several)]
    program = str(ROOT / "tests" / "support" / "train_without_norms.py")
    command = [sys.executable, *(launcher if several > 1 else []), program, "train", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(SOURCES), "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def rows_of(run: Path) -> list[dict[str, float]]:
    with (run / "metrics.csv").open() as file:
        return [{name: float(row[name]) for name in row if name != "minutes"} for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was killed at some point after its first epoch."""
    folder = tmp_path_factory.mktemp("killed")
    made_labels(folder / "set", 21)
    run = folder / "run"
    settings = [word for setting in SETTINGS for word in ("--set", setting)]
    process = started("--method", "hourglass", "--data", folder / "set" / "labels.json", "--out", run, *settings)
    while process.poll() is None and not (run / "checkpoints" / "last.ckpt").exists():
        time.sleep(0.02)
    process.kill()
    _, errors = process.communicate()
    assert (run / "checkpoints" / "last.ckpt").exists(), errors[-2000:]
    return run


@pytest.fixture(scope="module")
def whole(killed: Path) -> Path:
    """An uninterrupted run of the same recipe in one process."""
    run = killed.parent / "whole"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "_finish", lambda module, run: run)  # no export
        patch.setattr(torch.nn, "BatchNorm2d", without_norms)
        loop.train(hourglass.TRAINING, check_recipe(hourglass.Recipe, read_recipe(killed / "recipe.toml")), run)
    return run


def test_ranks_come_from_the_environment_of_torchrun(monkeypatch):
    assert processes() == Processes(0, 1, 1)
    for name, value in {"TORCHELASTIC_RUN_ID": "a", "RANK": "3", "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    group = processes()
    assert (group.rank, group.count, group.here, group.machines, group.first) == (3, 4, 2, 2, False)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "3")
    with pytest.raises(RecipeError, match="start the same number on each machine"):
        processes()


def test_one_process_needs_no_process_group():
    with joined() as group:
        assert group.first
        assert on_first(lambda: 3) == first_before_others(lambda: 3) == 3
        assert gathered([1, 2]) == [1, 2]
        assert not torch.distributed.is_initialized()


def test_a_killed_run_resumes_to_the_result_of_an_uninterrupted_run(killed, whole, tmp_path, monkeypatch):
    run = tmp_path / "run"
    shutil.copytree(killed, run)
    monkeypatch.setattr(loop, "_finish", lambda module, run: run)
    monkeypatch.setattr(torch.nn, "BatchNorm2d", without_norms)
    loop.train(hourglass.TRAINING, check_recipe(hourglass.Recipe, read_recipe(run / "recipe.toml")), run, resume=True)
    assert (run / "split.json").read_bytes() == (whole / "split.json").read_bytes()
    assert [row["epoch"] for row in rows_of(run)] == [1, 2, 3, 4]
    assert rows_of(run) == rows_of(whole)
    weights, expected = (read_weights(folder / "checkpoints" / "last.ckpt").weights for folder in (run, whole))
    for name, value in expected.items():
        assert torch.allclose(weights[name].float(), value.float(), atol=1e-6), name


def test_two_processes_train_the_network_of_one_process(killed, whole, tmp_path):
    run = tmp_path / "run"
    process = started(killed / "recipe.toml", "--out", run, several=2)
    out, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors[-2000:]
    assert out == f"{run / 'model.onnx'}\n"
    assert errors.count("training samples") == 1  # one process logs
    assert (run / "split.json").read_bytes() == (whole / "split.json").read_bytes()
    one, two = rows_of(whole), rows_of(run)
    assert [row["epoch"] for row in one] == [row["epoch"] for row in two] == [1, 2, 3, 4]
    for alone, shared in zip(one, two, strict=True):
        assert shared == pytest.approx(alone, rel=2e-3, abs=1e-3)
    val = len(json.loads((run / "split.json").read_text())["val"])
    assert val % 2, "the processes should share an odd number of images"
    report = json.loads((run / "report" / "metrics.json").read_text())
    assert report["images"] == report["instances"] == val
    # The metrics that both processes measured together are those of the exported file.
    best = max(two, key=lambda row: row["AUC"])
    assert report["pck"]["value"] == pytest.approx(best["PCK"], abs=0.01)
