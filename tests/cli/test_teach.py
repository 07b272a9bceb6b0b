"""`cairn teach`: a run becomes a model of named keypoints, with the error that the table states."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs torch, which is in the train extra")

import torch

from cairn.api.load import load
from cairn.cli import main
from cairn.methods.landmarks import training
from cairn.methods.landmarks.images import landmark_skeleton, without_labels
from cairn.training.engine.loop import write_recipe
from cairn.training.recipe_tables import check_recipe
from cairn.training.toml import to_toml
from support.made_figures import SMALL, made_figures


def run(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    return int(stopped.value.code or 0)


@pytest.fixture(scope="module")
def discovered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Writes the recipe and the best weights of a run; the weights are random."""
    folder = tmp_path_factory.mktemp("runs") / "made"
    (folder / "checkpoints").mkdir(parents=True)
    recipe = check_recipe(training.Recipe, {"method": "landmarks", "name": "made", **SMALL})
    write_recipe(recipe, folder)
    torch.manual_seed(0)
    landmarks = landmark_skeleton(5)
    module = training.module(recipe, landmarks, without_labels((), landmarks))
    torch.save({"epoch": 1, "state_dict": module.state_dict()}, folder / "checkpoints" / "best.ckpt")
    return folder


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("figures") / "train"
    made_figures(folder, 24)
    made_figures(folder.parent / "val", 8, seed=1)
    return folder / "labels.json"


def changed(labels: Path, target: Path, change: str) -> Path:
    """Writes a changed copy of the labels."""
    content = json.loads(labels.read_text())
    if change == "twice":
        again = [record | {"id": record["id"] + 1000} for record in content["annotations"]]
        content["annotations"] += again
    if change == "no head":
        for record in content["annotations"]:
            record["keypoints"][:3] = [0, 0, 0]
    if change == "gone":
        for record in content["images"]:
            record["file_name"] = "gone_" + Path(record["file_name"]).name
    target.write_text(json.dumps(content))
    return target


@pytest.mark.parametrize(("options", "regression"), [([], "ridge"), (["--mirror"], "ridge, mirrored")])
def test_error_of_the_taught_model_equals_the_table(
    options: list[str],
    regression: str,
    discovered: Path,
    labels: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture,
) -> None:
    val = labels.parents[1] / "val" / "labels.json"
    out = tmp_path / "deep" / "figure.onnx"
    given = (
        "--val",
        val,
        "--val-images",
        val.parent / "images",
        "--metric",
        "diagonal",
        "--out",
        out,
        "--name",
        "figure",
    )
    assert run("teach", discovered, labels, "--ridge", *options, *given) == 0
    output = capsys.readouterr()
    assert output.out == f"{out}\n"
    rows = [line.split() for line in output.err.splitlines() if line.split() and line.split()[0].isdigit()]
    assert [row[0] for row in rows] == ["1", "5", "10", "20", "24"]
    assert "NME: mean error on the validation labels, in percent of the diagonal of the bounding box" in output.err

    model = load(out, threads=1)
    assert (model.spec.name, model.spec.method) == ("figure", "landmarks")
    assert model.spec.skeleton.joints == ("head", "left_hand", "right_hand", "left_foot", "right_foot")
    assert model.spec.provenance["labeled_images"] == 24
    assert model.spec.provenance["regression"] == regression
    errors = []
    annotated = json.loads(val.read_text())
    paths = {record["id"]: val.parent / "images" / Path(record["file_name"]).name for record in annotated["images"]}
    for record in annotated["annotations"]:
        predicted = model(paths[record["image_id"]]).keypoints[0]
        points = np.array(record["keypoints"]).reshape(-1, 3)[:, :2]
        errors.append(np.linalg.norm(predicted - points, axis=1) / np.hypot(*record["bbox"][2:]))
    assert model.spec.metrics["NME"] == pytest.approx(100 * np.mean(errors), rel=1e-3)
    assert float(rows[-1][1]) == pytest.approx(
        100 * np.mean(errors), abs=0.01
    )  # the regression that is written comes first
    assert rows[-1][1] != rows[-1][2]

    results = tmp_path / "results"
    image = val.parent / "images" / "03.png"
    assert run("detect", image, "--model", out, "--out", results, "--write", "json", "--draw") == 0
    written = json.loads((results / "03.cairn.json").read_text())
    assert "figure" in json.dumps(written)
    assert (results / "03.cairn.png").is_file() or (results / "03.cairn.jpg").is_file()


def test_invalid_input_is_one_line_and_leaves_no_files(
    discovered: Path, labels: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    images = labels.parent / "images"
    nothing, other, bare, broken = (tmp_path / name for name in ("nothing", "other", "bare", "broken"))
    for folder in (nothing, other, bare):
        folder.mkdir()
    (other / "recipe.toml").write_text(to_toml({"method": "hourglass", "name": "other"}))
    (bare / "recipe.toml").write_text((discovered / "recipe.toml").read_text())
    shutil.copytree(discovered, broken)
    (broken / "checkpoints" / "best.ckpt").write_bytes(b"PK")
    twice, gone = (changed(labels, tmp_path / f"{change}.json", change) for change in ("twice", "gone"))
    listed = ("--images", images)
    out = ("--out", tmp_path / "taught.onnx")
    cases: list[tuple[list[str | Path], str]] = [
        ([nothing, labels], "is not a training run"),
        ([tmp_path / "none", labels], "is not a training run"),
        ([other, labels], "is a run of hourglass: cairn teach takes one of cairn discover"),
        ([bare, labels], "cannot read checkpoint"),
        ([broken, labels], "best.ckpt is damaged"),
        ([discovered, tmp_path / "none.json"], "cannot read labels"),
        ([discovered, images], "images is a folder"),
        ([discovered, gone, *listed], "gone_"),
        ([discovered, labels, "--images", nothing], "00.png"),
        ([discovered, twice, *listed], "no image has exactly one annotated instance"),
        ([discovered, labels, "--metric", "head"], "no protocol 'head'"),
        ([discovered, labels, "--metric", "eyes"], "needs left_eye and right_eye"),
        ([discovered, labels, "--metric", "head:tail"], "needs joint tail"),
        ([discovered, labels, "--skeleton", "horse"], "no skeleton 'horse'"),
        ([discovered, labels, "--skeleton", "face5"], "share none with skeleton face5"),
        ([discovered, labels, "--val-images", images], "--val-images needs --val"),
        ([discovered, labels, "--val", tmp_path / "none.json"], "cannot read labels"),
    ]
    for arguments, message in cases:
        assert run("teach", *arguments, *out) == 2, arguments
        output = capsys.readouterr()
        assert message in output.err
        assert output.err.count("\n") == 1 + output.err.count("are skipped"), output.err
        assert output.out == ""
    assert run("teach", discovered, labels, "--out", tmp_path / "taught.pt") == 2
    assert "must end in .onnx" in capsys.readouterr().err
    assert not list(tmp_path.rglob("*.onnx"))
    assert not list(discovered.rglob("*.onnx"))


def test_an_unlabeled_keypoint_is_reported_before_the_fit(
    discovered: Path, labels: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    headless = changed(labels, tmp_path / "headless.json", "no head")
    assert run("teach", discovered, headless, "--images", labels.parent / "images", "--limit", "6") == 2
    assert capsys.readouterr().err == "cairn: head is labeled in no image\n"
