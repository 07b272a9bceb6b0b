"""`cairn.train` and `cairn.Run`: a run on made images, resumed, loaded and exported."""

import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs torch, which is in the train extra")

import cairn
from cairn.cli import main
from cairn.errors import CairnError, LabelError, ModelError, OutputError, RecipeError
from support.made_data import made_labels

SETTINGS = {"run.cache": 100, "network.features": 8, "network.depth": 2, "run.threads": 1, "run.workers": 0}
OPTIONS = {"method": "hourglass", "epochs": 1, "batch_size": 4, "pretrained": "none", "seed": 3}


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    made_labels(folder / "train", 8)
    made_labels(folder / "val", 3, seed=1)
    return folder / "train" / "labels.json"


@pytest.fixture(scope="module")
def run(labels: Path) -> cairn.Run:
    val = labels.parents[1] / "val" / "labels.json"
    return cairn.train(labels, val=val, out=labels.parents[1] / "run", settings=SETTINGS, **OPTIONS)


def without_time(run: Path) -> list[dict[str, str]]:
    with (run / "metrics.csv").open() as file:
        return [{name: value for name, value in row.items() if name != "minutes"} for row in csv.DictReader(file)]


def test_a_run_states_its_recipe_and_metrics(run: cairn.Run, labels: Path) -> None:
    assert (run.name, run.method) == ("train", "hourglass")
    assert run.recipe["run"]["batch_size"] == 4
    assert run.recipe["network"]["features"] == 8
    assert run.recipe["data"]["train"][0]["labels"] == str(labels)
    assert [row["epoch"] for row in run.history] == [1]
    assert run.metrics
    for name, value in run.metrics.items():
        assert value == pytest.approx(run.history[0][name])
    assert run.model == run.folder / "model.onnx"


def test_a_run_is_opened_by_its_path(run: cairn.Run) -> None:
    opened = cairn.Run(str(run.folder))
    assert opened == run
    assert opened.metrics == run.metrics
    assert repr(opened).startswith(f"Run({run.folder}: hourglass, ")
    assert "\n" not in repr(opened)


def test_a_run_is_loaded_as_its_model_file_is(run: cairn.Run, labels: Path) -> None:
    image = labels.parent / "images" / "0.png"
    boxes = [[10, 10, 60, 60]] if run.load().spec.task == "crop" else None
    options = {} if boxes is None else {"boxes": boxes}
    poses, same = run.load(threads=1)(image, **options), cairn.load(run.model, threads=1)(image, **options)
    np.testing.assert_array_equal(poses.keypoints, same.keypoints)


def test_the_command_line_trains_the_same_model(run: cairn.Run, labels: Path, tmp_path: Path) -> None:
    val = labels.parents[1] / "val" / "labels.json"
    options = [f"--{name.replace('_', '-')}={value}" for name, value in OPTIONS.items()]
    settings = [f"--set={name}={value}" for name, value in SETTINGS.items()]
    with pytest.raises(SystemExit) as ended:
        main(["train", str(labels), "--val", str(val), "--out", str(tmp_path / "run"), *options, *settings])
    assert not ended.value.code
    assert (tmp_path / "run" / "recipe.toml").read_text() == (run.folder / "recipe.toml").read_text()
    assert without_time(tmp_path / "run") == without_time(run.folder)


def test_a_run_is_resumed_after_more_epochs_are_set(run: cairn.Run, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(run.folder, tmp_path / "run"))
    recipe = folder / "recipe.toml"
    recipe.write_text(recipe.read_text().replace("epochs = 1\n", "epochs = 2\n"))
    resumed = cairn.Run(folder).resume()
    assert resumed.folder == folder
    assert [row["epoch"] for row in resumed.history] == [1, 2]


def test_a_run_is_exported_and_evaluated(run: cairn.Run, labels: Path, tmp_path: Path) -> None:
    exported = run.export(tmp_path / "mine.onnx", settings={"name": "mine"})
    assert exported.path == tmp_path / "mine.onnx"
    assert exported.precision == "fp32"
    assert cairn.load(exported.path).spec.name == "mine"
    report = cairn.evaluate(run, labels.parents[1] / "val" / "labels.json")
    assert report.name == "train"
    assert report.metrics == cairn.evaluate(exported.path, labels.parents[1] / "val" / "labels.json").metrics


def test_contradicting_arguments_are_errors(run: cairn.Run, labels: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no training data"):
        cairn.train()
    with pytest.raises(RecipeError, match="two recipes are given"):
        cairn.train(run.folder / "recipe.toml", recipe=run.folder / "recipe.toml")
    with pytest.raises(RecipeError, match="give no other option"):
        cairn.train(labels, out=run.folder, resume=True)
    with pytest.raises(OutputError, match="no run to resume"):
        cairn.train(out=tmp_path, resume=True)
    with pytest.raises(OutputError, match="is not empty"):
        cairn.train(labels, out=run.folder, settings=SETTINGS, **OPTIONS)
    with pytest.raises(RecipeError, match=r"no setting network\.feature"):
        cairn.train(labels, out=tmp_path / "new", settings={"network.feature": 8}, **OPTIONS)
    assert not (tmp_path / "new").exists()


def test_an_empty_folder_of_the_user_stays_where_training_fails(labels: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    with pytest.raises(LabelError, match=r"missing\.json"):
        cairn.train(labels, val=tmp_path / "missing.json", out=tmp_path / "mine", settings=SETTINGS, **OPTIONS)
    assert list((tmp_path / "mine").iterdir()) == []


def test_a_folder_without_a_recipe_is_no_run(tmp_path: Path, run: cairn.Run) -> None:
    with pytest.raises(OutputError, match="is not a training run: it has no recipe"):
        cairn.Run(tmp_path)
    (tmp_path / "recipe.toml").write_text((run.folder / "recipe.toml").read_text())
    unfinished = cairn.Run(tmp_path)
    assert (unfinished.metrics, unfinished.history) == ({}, [])
    assert repr(unfinished).endswith("not finished)")
    with pytest.raises(ModelError, match=r"has no model\.onnx yet"):
        unfinished.load()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: cairn.train(5), "data must be a path or None, got 5"),
        (lambda: cairn.train("a.json", epochs="3"), "epochs must be an integer or None, got '3'"),
        (lambda: cairn.train("a.json", val=["b.json"]), r"val must be a path or None, got \['b.json'\]"),
        (lambda: cairn.discover(5), "sources must be a path or a list or None, got 5"),
        (lambda: cairn.teach("run", 5), "labels must be a path or None, got 5"),
        (lambda: cairn.evaluate(5, "a.json"), "model must be a name, an .onnx file, a run or a predictor, got 5"),
        (lambda: cairn.evaluate([], "a.json"), "no model to evaluate"),
        (lambda: cairn.export(5, "a.onnx"), "model must be a path or a Run, got 5"),
        (lambda: cairn.check(5), "labels must be a path or a list, got 5"),
        (lambda: cairn.detect("a.jpg", model=5), "model must be a name, an .onnx file, a run or a predictor, got 5"),
        (
            lambda: cairn.load("person", refine=5),
            "refine must be True, False, None or a model of one instance per crop, got 5",
        ),
        (lambda: cairn.Run(5), "folder must be a path, got 5"),
    ],
)
def test_an_argument_of_a_wrong_type_is_one_line(
    call: Callable[[], object], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.jpg").touch()
    with pytest.raises(CairnError, match=f"^{message}"):
        call()


def test_settings_are_one_text_or_several(labels: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"no setting network.feature"):
        cairn.train(labels, out=tmp_path / "new", settings="network.feature=8", **OPTIONS)
    with pytest.raises(RecipeError, match="no setting 5"):
        cairn.train(labels, out=tmp_path / "new", settings={5: 1}, **OPTIONS)
