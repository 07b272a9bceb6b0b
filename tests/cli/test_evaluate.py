"""`cairn evaluate`: output and report files."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from cairn.cli import main
from cairn.inference.model_spec import InputSpec
from cairn.inference.predictor import BottomUpPredictor
from cairn.structures.skeleton import Skeleton
from support.fake_network import SPEC, write_totem_model
from support.totem_labels import write_totem_labels

pytest.importorskip("faster_coco_eval", reason="OKS needs faster-coco-eval, which is in the train extra")
pytest.importorskip("onnx", reason="making a model needs onnx, which is in the train extra")


def run(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as stopped:
        main(["evaluate", *map(str, arguments)])
    return int(stopped.value.code or 0)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_totem_model(tmp_path / "run" / "model.onnx")


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    return write_totem_labels(tmp_path, [[(80, 100), (200, 180)], [(160, 160)], []])


def test_a_perfect_model_scores_100(
    model: Path, labels: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(model.parent, labels) == 0  # the folder of a run
    output = capsys.readouterr()
    assert "OKS AP" in output.out
    assert "100.0" in output.out
    assert "3 of 3" in output.out
    assert "0.050" in output.out  # the sigmas
    assert "report.html -> evaluation-totems" in output.err
    metrics = json.loads((tmp_path / "evaluation-totems" / "metrics.json").read_text())
    assert metrics["oks"]["AP50"] == pytest.approx(100)
    assert metrics["pck"]["value"] == 100
    assert metrics["milliseconds_per_image"] > 0
    assert metrics["labels"] == str(labels)


def test_a_crop_model_gets_annotated_boxes(labels: Path, tmp_path: Path) -> None:
    crop = InputSpec(resize="square", size=320, multiple=32)
    spec = SPEC.model_copy(
        update={"method": "hourglass", "task": "crop", "input": crop, "outputs": ("heatmaps",), "decode": {}}
    )
    model = write_totem_model(tmp_path / "crops.onnx", spec)
    out = tmp_path / "report"
    assert run(model, labels, "--out", out, "--set", "flip=true") == 0
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["instances"] == 3
    assert metrics["pck"]["value"] == 100
    assert metrics["nme"]["keypoints_not_detected"] == 0
    assert "oks" not in metrics


def test_a_single_instance_model_gets_no_boxes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The annotated boxes are wrong: with them, the model would detect nothing."""
    labels = write_totem_labels(tmp_path, [[(80, 100)], [(200, 180)], []])
    content = json.loads(labels.read_text())
    for row in content["annotations"]:
        row["bbox"] = [280, 0, 20, 20]
    labels.write_text(json.dumps(content))
    whole = InputSpec(resize="square", size=320, multiple=32)
    spec = SPEC.model_copy(
        update={
            "method": "hourglass",
            "task": "single_instance",
            "input": whole,
            "outputs": ("heatmaps",),
            "decode": {},
        }
    )
    out = tmp_path / "report"
    model = write_totem_model(tmp_path / "whole.onnx", spec)
    assert run(model, labels, "--out", out, "--metric", "top:base") == 0
    metrics = json.loads((out / "metrics.json").read_text())
    assert (metrics["instances"], metrics["instances_detected"]) == (2, 2)
    assert metrics["pck"]["value"] == 100
    assert metrics["pck"]["protocol"] == metrics["nme"]["protocol"] == "top:base"
    assert 0 < metrics["nme"]["value"] < 5
    assert "oks" not in metrics
    output = capsys.readouterr().out
    assert "2 of 2" in output
    assert "NME, %: mean distance of detected keypoints, in percent of top to base" in output


def test_joints_are_derived_from_those_of_the_model(model: Path, labels: Path, tmp_path: Path) -> None:
    """The joint heart is the mean of two joints."""
    skeleton = tmp_path / "few.toml"
    skeleton.write_text('name = "few"\njoints = ["heart", "base"]\n[means]\nheart = ["top", "base"]\n')
    out = tmp_path / "report"
    assert run(model, labels, "--out", out, "--skeleton", skeleton, "--metric", "heart:base") == 0
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["skeleton"] == "few"
    assert metrics["pck"]["keypoints"] == {"heart": 3, "base": 3}
    assert metrics["pck"]["value"] == 100
    assert metrics["oks"]["AP"] == pytest.approx(100)


def test_a_second_report_gets_a_new_folder(
    model: Path, labels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(model, labels, "--limit", "1") == 0
    first = (tmp_path / "evaluation-totems" / "metrics.json").read_bytes()
    assert run(model, labels) == 0
    assert (tmp_path / "evaluation-totems" / "metrics.json").read_bytes() == first
    assert json.loads(first)["images"] == 1
    assert json.loads((tmp_path / "evaluation-totems-2" / "metrics.json").read_text())["images"] == 3


def test_models_are_compared_in_one_report(
    model: Path, labels: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run, and a crop model that gets annotated boxes."""
    monkeypatch.chdir(tmp_path)
    crop = InputSpec(resize="square", size=320, multiple=32)
    update = {
        "name": "crops",
        "method": "hourglass",
        "task": "crop",
        "input": crop,
        "outputs": ("heatmaps",),
        "decode": {},
    }
    crops = write_totem_model(tmp_path / "crops.onnx", SPEC.model_copy(update=update))
    assert run(model.parent, crops, labels) == 0
    output = capsys.readouterr()
    assert "report.html -> comparison" in output.err
    assert "Not the same task: crops gets the annotated bounding boxes as input." in output.out
    metrics = json.loads((tmp_path / "comparison" / "metrics.json").read_text())
    assert metrics["labels"] == str(labels)
    assert list(metrics["models"]) == ["totems", "crops"]
    assert metrics["models"]["totems"]["oks"]["AP"] == pytest.approx(100)
    assert "oks" not in metrics["models"]["crops"]
    assert metrics["models"]["crops"]["pck"]["value"] == 100


def test_models_of_the_same_name_are_listed_by_path(model: Path, labels: Path, tmp_path: Path) -> None:
    twin = write_totem_model(tmp_path / "twin.onnx")
    assert run(model, twin, labels, "--out", tmp_path / "report") == 0
    metrics = json.loads((tmp_path / "report" / "metrics.json").read_text())
    assert list(metrics["models"]) == [str(model), str(twin)]


def test_input_resolution_and_scales_reach_the_predictor(
    model: Path, labels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes = []
    original = BottomUpPredictor.maps

    def recorded(self: BottomUpPredictor, image: np.ndarray) -> object:
        shapes.append(self.resolution)
        return original(self, image)

    monkeypatch.setattr(BottomUpPredictor, "maps", recorded)
    assert run(model, labels, "--out", tmp_path / "report", "--net-resolution", "320x320", "--scales", "2") == 0
    assert {(shape.width, shape.height, shape.scales) for shape in shapes} == {(320, 320, 2)}


def test_metric_threshold_and_mean_are_options(model: Path, labels: Path, tmp_path: Path) -> None:
    out = tmp_path / "report"
    assert run(model, labels, "--out", out, "--metric", "box", "--threshold", "0.3", "--mean", "pooled") == 0
    pck = json.loads((out / "metrics.json").read_text())["pck"]
    assert (pck["name"], pck["protocol"], pck["mean"]) == ("PCK@0.3", "box", "pooled")
    assert pck["definition"] == "distance below 0.3 of the longer side of the bounding box; all keypoints pooled"


def test_settings_reach_the_decoder(model: Path, labels: Path, tmp_path: Path) -> None:
    settings = ("--set", "peak_threshold=1.5", "--set", "second_try=false", "--set", "matching=hungarian")
    assert run(model, labels, "--out", tmp_path / "report", *settings) == 0
    metrics = json.loads((tmp_path / "report" / "metrics.json").read_text())
    assert metrics["oks"]["AP"] == 0
    assert metrics["instances_detected"] == 0


def test_invalid_input_is_one_line_and_leaves_no_files(
    model: Path, labels: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "metrics.json").write_text("{}")
    other = tmp_path / "other.json"
    other.write_text(labels.read_text().replace("middle", "waist").replace('"top"', '"hat"').replace("base", "foot"))
    spoilt = tmp_path / "spoilt.json"
    spoilt.write_text(labels.read_text().replace("100, 2", "NaN, 2", 1))
    longer = tmp_path / "longer.json"
    longer.write_text(labels.read_text().replace('"top"', '"hat"'))
    few = Skeleton("few", ("top", "middle"), limbs=((0, 1),))
    shorter = write_totem_model(tmp_path / "shorter.onnx", SPEC.model_copy(update={"skeleton": few}))
    tall = tmp_path / "tall.toml"
    tall.write_text('name = "tall"\njoints = ["hat", "base"]')
    cases: list[tuple[list[str | Path], str]] = [
        ([labels], "expected one or several models and, last, the labels"),
        ([model, model, labels], "a model is given twice"),
        ([model, shorter, labels], "; --skeleton names joints that all models have"),
        (
            [model, labels, "--size", "320", "--net-resolution", "320x320"],
            "size and net-resolution both set the input size",
        ),
        ([tmp_path / "none.onnx", labels], "no model file"),
        ([labels, labels], "not an ONNX model"),
        ([model, tmp_path / "none.json"], "cannot read labels"),
        ([model, other], "share none with skeleton totem"),
        ([model, spoilt], "annotation 0: middle has v > 0 and must be at finite numbers, got nan"),
        ([model, labels, "--images", tmp_path / "nowhere"], "no folder of images"),
        ([model, labels, "--images", work], "3 of 3 images are missing"),
        ([model, labels, "--out", taken], "already exists"),
        ([model, labels, "--out", labels], "cannot write into the folder"),
        ([model, labels, "--metric", "nose"], "no protocol 'nose'"),
        ([model, labels, "--metric", "top:"], "or two joints as FROM:TO"),
        (
            [model, labels, "--metric", "top:foot"],
            "the distance from top to foot needs joint foot, which skeleton totem does not have",
        ),
        ([model, labels, "--metric", "eyes"], "needs left_eye and right_eye, or all points of both eyes as in face68"),
        (
            [model, labels, "--metric", "top:foot"],
            "the distance from top to foot needs joint foot, which skeleton totem does not have",
        ),
        ([model, labels, "--metric", "top:"], "or two joints as FROM:TO"),
        ([model, labels, "--metric", "eyes"], "needs left_eye and right_eye, or all points of both eyes as in face68"),
        ([model, labels, "--metric", "mpii"], "needs head boxes"),
        ([model, labels, "--skeleton", "face4"], "no skeleton 'face4'; there are"),
        ([model, labels, "--skeleton", "face5"], "share none with skeleton face5"),
        ([model, longer, "--skeleton", tall], "keypoints of tall that the model's skeleton totem does not have: hat"),
        ([model, labels, "--mean", "geometric"], "mean must be joints or pooled"),
        ([model, labels, "--threshold", "-1"], "threshold must be positive"),
        ([model, labels, "--split", "dev"], "'dev' is not one of 'train', 'val', 'test'"),
        ([model, labels, "--split", "val"], "have no splits"),
        ([model, labels, "--set", "flip"], "a decoder setting is NAME=VALUE"),
        ([model, labels, "--set", "color=3"], "color"),
        ([model, labels, "--set", "size=64"], "settings are for the decoder, got size"),
        ([model, labels, "--set", "peak_threshold=high"], "takes peak_threshold such as 0.05, got 'high'"),
        ([model, labels, "--size", "100000"], "size must be from 32 to 8192 pixels"),
        ([model, labels, "--threads", "100000"], "threads must be from 0, for all, to 256"),
    ]
    for arguments, message in cases:
        assert run(*arguments) == 2, arguments
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1, error
    assert list(work.iterdir()) == []


def test_a_missing_package_is_reported_before_inference(
    model: Path, labels: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "faster_coco_eval", None)
    monkeypatch.setattr(BottomUpPredictor, "__call__", lambda *_: pytest.fail("inference ran"))
    assert run(model, labels, "--out", tmp_path / "report") == 2
    assert "faster-coco-eval, which is not installed: pip install 'cairn-pose[train]'" in capsys.readouterr().err
    assert not (tmp_path / "report").exists()


def test_limit_without_labeled_instances_is_an_error(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = write_totem_labels(tmp_path, [[], [(160, 160)]])
    assert run(model, labels, "--out", tmp_path / "report", "--limit", "1") == 2
    assert "raise --limit" in capsys.readouterr().err
    assert not (tmp_path / "report").exists()


def test_an_unreadable_image_is_one_line(
    model: Path, labels: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = tmp_path / "images" / "1.png"
    image.write_bytes(image.read_bytes()[:200])
    assert run(model, labels, "--out", tmp_path / "report") == 2
    assert "1.png is truncated" in capsys.readouterr().err
    assert not (tmp_path / "report" / "metrics.json").exists()


def test_unlabeled_joints_do_not_count(model: Path, labels: Path, tmp_path: Path) -> None:
    """Two of three joints are labeled; metrics of the third are undefined."""
    content = json.loads(labels.read_text())
    for row in content["annotations"]:
        row["keypoints"][6:] = [0, 0, 0]
    labels.write_text(json.dumps(content))
    assert run(model, labels, "--out", tmp_path / "report") == 0
    metrics = json.loads((tmp_path / "report" / "metrics.json").read_text())
    assert metrics["oks"]["AP"] == pytest.approx(100)
    assert metrics["pck"]["per_joint"]["base"] is None
    assert np.isfinite(metrics["pck"]["value"])
