"""`cairn export`: quantized files, the measured change of the metric, and invalid input."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx", reason="making a model needs onnx, which is in the train extra")
pytest.importorskip("faster_coco_eval", reason="OKS needs faster-coco-eval, which is in the train extra")

from cairn.api.load import load
from cairn.cli import main
from cairn.datasets.formats.coco import write_coco
from cairn.datasets.labels import LabeledImage, Labels
from cairn.media.images import write_image
from cairn.structures.annotation import Annotation
from support.fake_network import SPEC, totems, write_totem_model

STATED = r"-> \d+\.\d\d, \d+\.\dx as fast, 0\.0 MB\n"


def run(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as stopped:
        main(["export", *map(str, arguments)])
    return int(stopped.value.code or 0)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_totem_model(tmp_path / "totems.onnx")


def labeled(folder: Path, count: int) -> Path:
    """Writes images with one totem each, and their labels."""
    images = []
    (folder / "images").mkdir(parents=True)
    for i in range(count):
        x, y = 60 + 40 * i, 100 + 20 * i
        path = folder / "images" / f"{i}.png"
        write_image(path, totems((320, 320), [(x, y)]))
        annotation = Annotation(
            np.array([[[x, y - 40], [x, y], [x, y + 40]]], np.float32),
            np.full((1, 3), 2, np.uint8),
            np.array([[x - 10, y - 50, 20, 100]], np.float32),
            np.full(1, 2000, np.float32),
            np.zeros(1, bool),
        )
        images.append(LabeledImage(i + 1, path, (320, 320), annotation))
    write_coco(Labels(SPEC.skeleton, tuple(images), np.ones(3, bool)), folder / "labels.json")
    return folder / "labels.json"


def test_int8_is_measured_on_labels_that_are_not_used_to_calibrate(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels, target = labeled(tmp_path / "set", 6), tmp_path / "low.onnx"
    assert run(model, target, "--precision", "int8", "--calibrate", labels) == 0
    output = capsys.readouterr()
    assert output.out == f"{target}\n"
    assert re.fullmatch(r"AP 100\.00 " + STATED, output.err)
    spec = load(target).spec
    assert spec.provenance["precision"] == "int8"
    assert spec.provenance["calibrated_on_images"] == 3
    assert len(load(target, threads=1)(tmp_path / "set" / "images" / "1.png")) == 1


def test_calibration_folder_and_maximum_metric_drop(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = labeled(tmp_path / "set", 3)
    folder = tmp_path / "set" / "images"
    arguments = (model, tmp_path / "low.onnx", "--precision", "int8", "--calibrate", folder)
    assert run(*arguments, "--labels", labels, "--max-metric-drop", "0") == 0
    assert "AP 100.00 -> 100.00" in capsys.readouterr().err
    assert run(*arguments) == 0
    assert "keypoints of fp32 detected again, %: 100.00 -> 100.00" in capsys.readouterr().err
    lost = tmp_path / "lost.onnx"
    assert run(model, lost, *arguments[2:], "--labels", labels, "--max-metric-drop", "-1") == 2
    error = capsys.readouterr().err
    assert error.startswith("AP 100.00 -> ")  # logged before the error
    assert "AP drops by 0.00 in int8; the maximum drop is -1" in error
    assert not lost.exists()


def test_fp16_needs_no_images(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(model, tmp_path / "half.onnx", "--precision", "fp16") == 0
    assert "the metric was not measured: give --labels to measure it" in capsys.readouterr().err
    labels = labeled(tmp_path / "set", 2)
    assert run(model, tmp_path / "half.onnx", "--precision", "fp16", "--labels", labels) == 0
    assert re.search("AP 100.00 " + STATED, capsys.readouterr().err)


def test_a_run_is_calibrated_on_its_own_images(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The export in fp32 is replaced by a model that detects totems."""
    pytest.importorskip("torch", reason="a run needs torch, which is in the train extra")
    import cairn.methods.openpose.training as openpose
    from cairn.training.data.sources import read_data
    from cairn.training.recipe_tables import check_recipe
    from cairn.training.toml import to_toml

    labels, folder = labeled(tmp_path / "set", 6), tmp_path / "run"
    folder.mkdir()
    data = {"train": [{"labels": str(labels)}], "holdout": 0.4}
    recipe = check_recipe(openpose.Recipe, {"name": "things", "method": "openpose", "data": data})
    (folder / "recipe.toml").write_text(to_toml(recipe.model_dump(mode="json")))
    _, _, val = read_data(recipe, folder)
    split = (folder / "split.json").read_bytes()
    calls = []

    def export_from(training: object, recipe: object, run: Path, weights: str, target: Path) -> Path:
        calls.append((run, weights))
        return Path(shutil.copy(model, target))

    monkeypatch.setattr("cairn.training.engine.loop.export_from", export_from)
    assert run(folder, tmp_path / "low.onnx", "--precision", "int8", "--checkpoint", "last") == 0
    assert calls == [(folder, "last")]
    assert re.search("AP 100.00 " + STATED, capsys.readouterr().err)
    assert load(tmp_path / "low.onnx").spec.provenance["calibrated_on_images"] == 6 - len(val)
    assert (folder / "split.json").read_bytes() == split
    labels.unlink()
    assert run(folder, tmp_path / "other.onnx", "--precision", "int8") == 2
    assert "; or give --calibrate and --labels" in capsys.readouterr().err
    assert run(folder, tmp_path / "other.onnx") == 0  # fp32 needs no images


def test_invalid_input_is_one_line_and_leaves_no_files(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    labels, one = labeled(tmp_path / "set", 2), labeled(tmp_path / "one", 1)
    half, foreign = tmp_path / "half.onnx", write_totem_model(tmp_path / "foreign.onnx", None)
    low = tmp_path / "low.onnx"
    assert run(model, half, "--precision", "fp16") == 0
    assert run(half, low, "--precision", "int8", "--calibrate", labels) == 0
    capsys.readouterr()
    work = tmp_path / "work"
    work.mkdir()
    (tmp_path / "none").mkdir()
    monkeypatch.chdir(work)
    int8: list[str | Path] = ["--precision", "int8"]
    cases: list[tuple[list[str | Path], str]] = [
        ([model, "x.pt"], "must end in .onnx"),
        ([model, "x.onnx"], "is a finished model: give --precision fp16 or int8"),
        ([model, "x.onnx", "--labels", labels], "need --precision fp16 or int8"),
        ([model, "x.onnx", *int8], "int8 is calibrated on images: give --calibrate"),
        ([model, "x.onnx", *int8, "--labels", labels], "int8 is calibrated on images: give --calibrate"),
        ([model, "x.onnx", *int8, "--images", tmp_path], "--images goes with --calibrate or --labels"),
        ([model, "x.onnx", *int8, "--calibrate", labels, "--set", "name=x"], "--checkpoint and --set are for"),
        ([model, "x.onnx", *int8, "--calibrate", labels, "--checkpoint", "last"], "--checkpoint and --set are for"),
        ([model, "x.onnx", *int8, "--calibrate", tmp_path / "none"], "no image"),
        ([model, "x.onnx", *int8, "--calibrate", tmp_path / "nowhere"], "cannot read labels"),
        ([model, "x.onnx", *int8, "--calibrate", one], "has no labeled image left to measure the metric on"),
        ([half, "x.onnx", "--precision", "fp16"], "is in fp16 already: give the model in fp32"),
        ([low, "x.onnx", *int8, "--calibrate", labels], "is in int8 already: give the model in fp32 or fp16"),
        ([foreign, "x.onnx", *int8, "--calibrate", labels], "not a Cairn model"),
        (["absent", "x.onnx", *int8, "--calibrate", labels], "no model 'absent'"),
        ([labels, "x.onnx", *int8, "--calibrate", labels], "not an ONNX model"),
        (
            [model, "x.onnx", "--precision", "fp16", "--max-metric-drop", "1"],
            "--max-metric-drop needs labels to measure the metric on",
        ),
    ]
    for arguments, message in cases:
        assert run(*arguments) == 2, arguments
        error = capsys.readouterr().err
        assert message in error, error
        assert error.count("\n") == 1, error
    assert run(model, "x.onnx", "--precision", "int4") == 2
    assert "'int4' is not one of 'fp32', 'fp16', 'int8'" in capsys.readouterr().err
    assert list(work.iterdir()) == []
