"""States of trainings: they are read from files, so that they survive the server."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the server needs the extra serve")

from cairn.server.file_lock import held, is_held
from cairn.server.problems import Problem
from cairn.server.scratch import Scratch
from cairn.server.training_process import LABELS, LOCK, ORDER, STATE
from cairn.server.trainings import Trainings

HOLD = """
import sys, time
from pathlib import Path
from cairn.server.file_lock import held
with held(Path(sys.argv[1])) as free:
    print(free, flush=True)
    time.sleep(60)
"""

VALUES = {"project": "p", "project_name": "P", "images": 6, "created": "2026-01-01", "minutes": 1, "epochs": None}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "trainings" / "mine"
    folder.mkdir(parents=True)
    (folder / ORDER).write_text(json.dumps({**VALUES, "shown": "person"}))
    return folder


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert not is_held(path)
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"True\n"
    assert is_held(path)
    with held(path) as free:
        assert not free
    process.kill()
    process.wait()
    assert not is_held(path)


@pytest.mark.parametrize(("state", "message"), [("finished", ""), ("stopped", ""), ("failed", "no labels")])
def test_the_end_of_a_training_is_what_its_process_wrote(folder: Path, state: str, message: str) -> None:
    (folder / STATE).write_text(json.dumps({"state": state, "message": message}))
    found = Trainings(folder.parents[1]).state("mine")
    assert (found["state"], found["message"]) == (state, message)


def test_a_training_whose_process_was_killed_is_stopped(folder: Path) -> None:
    found = Trainings(folder.parents[1]).state("mine")
    assert found["state"] == "stopped"
    assert "resume continues" in found["message"]


def test_a_training_runs_while_its_process_does(folder: Path) -> None:
    with held(folder / LOCK):
        trainings = Trainings(folder.parents[1])
        assert trainings.state("mine")["state"] == "running"
        with pytest.raises(Problem, match="mine is running"):
            trainings.resume("mine")
    with pytest.raises(Problem, match="does not run"):
        trainings.stop("mine")


def test_epochs_and_images_are_those_of_the_run_folder(folder: Path) -> None:
    run = folder.parents[1] / "runs" / "mine"
    (run / "validation").mkdir(parents=True)
    (run / "validation" / "0.jpg").write_bytes(b"")
    (run / "recipe.toml").write_text("method = 'hourglass'\n[run]\nepochs = 7\n")
    (run / "metrics.csv").write_text("epoch,minutes,AP\n2,0.1,30\n4,0.2,40\n")
    found = Trainings(folder.parents[1]).state("mine", full=True)
    assert (found["epoch"], found["planned"], found["model"], found["validation"]) == (4, 7, None, [0])
    assert [row["AP"] for row in found["history"]] == [30, 40]


def test_a_deleted_training_takes_its_run_along_and_nothing_else(folder: Path) -> None:
    data = folder.parents[1]
    for name in ("mine", "mine-2"):
        (data / "runs" / name).mkdir(parents=True)
        (data / "runs" / name / "model.onnx").write_bytes(b"")
    trainings, scratch = Trainings(data), Scratch(data)
    with held(folder / LOCK), pytest.raises(Problem, match="mine runs: stop it first"):
        trainings.delete("mine", scratch)
    assert trainings.delete("mine", scratch) == "mine is deleted with its log, run folder and model"
    assert [path.name for path in (data / "runs").iterdir()] == ["mine-2"]
    assert list(trainings.folder.iterdir()) == list(scratch.folder.iterdir()) == []
    with pytest.raises(Problem, match="there is no training"):
        trainings.delete("mine", scratch)


TRAIN_FOREVER = """
import sys, time
import cairn.api.train
from cairn.server import training_process

def train(*arguments, **options):
    print("resumed" if options.get("resume") else "began", flush=True)
    time.sleep(60)

cairn.api.train.train = train
training_process.main()
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_training_that_is_killed_has_its_labels_and_goes_on(folder: Path) -> None:
    data = folder.parents[1]
    (folder / LABELS).write_text("{}")
    run = data / "runs" / "mine"
    values = {**VALUES, "shown": "person", "run": str(run), "settings": {}, "name": "mine", "pretrained": ""}
    (folder / ORDER).write_text(json.dumps(values))
    for expected in (b"began", b"resumed"):
        process = subprocess.Popen(
            [sys.executable, "-c", TRAIN_FOREVER, str(folder)],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        assert process.stdout is not None
        assert process.stdout.readline().strip() == expected
        assert Trainings(data).state("mine")["state"] == "running"
        process.kill()
        process.wait()
        found = Trainings(data).state("mine")
        assert (found["state"], "resume continues" in found["message"]) == ("stopped", True)
        assert (folder / LABELS).read_text() == "{}"
        run.mkdir(parents=True, exist_ok=True)
        (run / "recipe.toml").write_text("method = 'hourglass'\n[run]\nepochs = 7\n")
