"""Files that version 0.1 wrote keep working: keys are migrated when read, with one line of notice for each file."""

import json
import logging
import shutil
from pathlib import Path

import numpy as np
import pytest

import cairn
from cairn.cli import main
from cairn.inference.model_spec import ModelSpec
from cairn.methods import get_method
from cairn.training.recipe_tables import check_recipe, read_recipe
from support import ROOT
from support.blobs import draw_blobs

OLD = ROOT / "tests" / "fixtures" / "version_0_1"
MODELS = {
    "openpose": "run-openpose/model.onnx",
    "openpose-int8": "openpose-int8.onnx",
    "hourglass": "run-hourglass/model.onnx",
    "landmarks": "run-landmarks/model.onnx",
    "taught": "taught.onnx",
}
RUNS = ("openpose", "hourglass", "landmarks")
EVERYTHING = {"peak_threshold": 0.005, "sample_threshold": -1.0, "sample_share": 0.0, "min_parts": 1, "min_score": 0.0}
EVERYTHING |= {"matching": "greedy"}  # the only one that version 0.1 has beside "hungarian"


@pytest.fixture
def blobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data sets of the old runs, where their recipes name them."""
    draw_blobs(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return int(str(ended.value.code))


def notices(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if "older version of Cairn" in record.getMessage()]


@pytest.mark.parametrize("name", MODELS)
def test_models_of_version_0_1_predict_the_same(name: str, blobs: Path, caplog: pytest.LogCaptureFixture) -> None:
    expected = json.loads((OLD / "expected.json").read_text())[name]
    model = cairn.load(OLD / MODELS[name], threads=1, **(EVERYTHING if name.startswith("openpose") else {}))
    assert len(notices(caplog)) == 1
    assert "licence -> license" in notices(caplog)[0]
    assert "\n" not in notices(caplog)[0]
    poses = model(blobs / expected["image"])
    np.testing.assert_allclose(poses.keypoints, np.array(expected["keypoints"], float), atol=1e-3)
    np.testing.assert_allclose(poses.confidence, expected["confidence"], atol=1e-4)


@pytest.mark.parametrize("name", ["person-fp16", "face-landmarks"])
def test_bundled_models_of_version_0_1_are_restamped_and_predict_the_same(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    expected = json.loads((OLD / "bundled.json").read_text())[name]
    model = cairn.load(name, threads=1)
    assert not notices(caplog)
    keypoints = model(ROOT / "examples" / "portraits.jpg").keypoints
    np.testing.assert_allclose(keypoints, np.array(expected["keypoints"], float), atol=0.05)
    old = ModelSpec.from_json((OLD / "specs" / f"{name}.json").read_text())
    assert (old.skeleton, old.input, old.task, old.decode) == (
        model.spec.skeleton, model.spec.input, model.spec.task, model.spec.decode,
    )  # fmt: skip
    assert old.metrics == model.spec.metrics


@pytest.mark.parametrize("recipe", ["recipe", "person", "person-single", *(f"run-{name}/recipe" for name in RUNS)])
def test_recipes_are_read_with_one_line_of_notice(recipe: str, caplog: pytest.LogCaptureFixture) -> None:
    tables = read_recipe(OLD / f"{recipe}.toml")
    assert len(notices(caplog)) == 1
    assert "licence -> license" in notices(caplog)[0]
    checked = check_recipe(get_method(tables["method"]).training().recipe, tables)
    assert checked.license == tables["license"]


def test_a_present_recipe_is_read_without_a_notice(caplog: pytest.LogCaptureFixture) -> None:
    for path in (ROOT / "recipes").rglob("*.toml"):
        read_recipe(path)
    assert not notices(caplog)


@pytest.mark.parametrize("name", RUNS)
def test_runs_resume(name: str, blobs: Path) -> None:
    shutil.copytree(OLD / f"run-{name}", blobs / "run")
    recipe = blobs / "run" / "recipe.toml"
    recipe.write_text(recipe.read_text().replace("epochs = 1\n", "epochs = 2\n"))
    verb = "discover" if name == "landmarks" else "train"
    assert run(verb, "--resume", "--out", "run") == 0
    rows = (blobs / "run" / "metrics.csv").read_text().splitlines()
    assert len(rows) == 3  # the header, the epoch of the old run, the new epoch
    assert rows[-1].startswith("2,")
    assert cairn.load(blobs / "run" / "model.onnx", threads=1).spec.provenance["epochs"] == 2


@pytest.mark.parametrize("name", ["openpose", "hourglass"])
@pytest.mark.parametrize("weights", ["model.onnx", ""])
def test_runs_and_their_models_are_fine_tuned(name: str, weights: str, blobs: Path) -> None:
    pretrained = OLD / f"run-{name}" / weights
    labels = "several/labels.json" if name == "openpose" else "single/labels.json"
    options = ("--set", "run.workers=0", "--set", "input.size=64", "--epochs", "1", "--out", "tuned")
    if name == "openpose":
        options += ("--set", "input.inference_size=64")
    assert run("train", "--data", labels, "--from", pretrained, *options) == 0
    assert cairn.load("tuned/model.onnx", threads=1).spec.method == name


def test_a_run_is_exported(blobs: Path) -> None:
    assert run("export", OLD / "run-openpose", "again.onnx") == 0
    spec = cairn.load("again.onnx", threads=1).spec
    assert spec.decode == {"min_score": 0.1, "ignore_keypoints": "chin", "min_parts": 2}
    assert spec.license == "Apache-2.0"


def test_a_run_of_landmarks_is_taught(blobs: Path) -> None:
    assert run("teach", OLD / "run-landmarks", "single/labels.json", "--out", "taught.onnx") == 0
    assert len(cairn.load("taught.onnx", threads=1)("single/images/0.png")) == 1


@pytest.fixture(autouse=True)
def logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "cairn")
