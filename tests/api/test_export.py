"""`cairn.export` and `cairn.import_model`: files, reports and errors."""

import math
import os
from pathlib import Path

import pytest

pytest.importorskip("onnx", reason="making a model needs onnx, which is in the train extra")
pytest.importorskip("faster_coco_eval", reason="OKS needs faster-coco-eval, which is in the train extra")

import cairn
from cairn.errors import CairnError, ModelError, OutputError
from support.totem_labels import write_totem_labels


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_totem_labels(tmp_path_factory.mktemp("labels"), [[(80, 100)], [(160, 160)], [(200, 200)]])


def test_the_report_states_the_change_of_the_metric(totem_model: Path, labels: Path, tmp_path: Path) -> None:
    target = tmp_path / "low.onnx"
    report = cairn.export(totem_model, target, precision="int8", calibrate=labels.parent / "images", labels=labels)
    assert (report.path, os.fspath(report), report.precision) == (target, str(target), "int8")
    assert (report.metric, report.before) == ("AP", pytest.approx(100))
    assert cairn.load(target).spec.metrics == {"AP": report.after}
    assert report.megabytes == target.stat().st_size / 1e6
    assert repr(report).startswith(f"ExportReport({target}: int8, AP 100.00 -> ")


def test_without_labels_no_metric_is_measured(totem_model: Path, tmp_path: Path) -> None:
    report = cairn.export(totem_model, tmp_path / "half.onnx", precision="fp16")
    assert report.metric == ""
    assert math.isnan(report.before)
    assert "\n" not in repr(report)


def test_a_larger_drop_than_allowed_writes_nothing(totem_model: Path, labels: Path, tmp_path: Path) -> None:
    options = {"precision": "int8", "calibrate": labels.parent / "images", "labels": labels}
    with pytest.raises(ModelError, match=r"drops by .* in int8; the maximum drop is"):
        cairn.export(totem_model, tmp_path / "low.onnx", max_metric_drop=-1, **options)
    assert not list(tmp_path.iterdir())


def test_contradicting_arguments_are_errors(totem_model: Path, tmp_path: Path) -> None:
    with pytest.raises(CairnError, match="precision must be fp32, fp16 or int8, got 'int4'"):
        cairn.export(totem_model, tmp_path / "x.onnx", precision="int4")
    with pytest.raises(CairnError, match="is a finished model"):
        cairn.export(totem_model, tmp_path / "x.onnx")
    with pytest.raises(ModelError, match="no model 'runs/typo'"):
        cairn.export("runs/typo", tmp_path / "x.onnx")
    with pytest.raises(OutputError, match="is not a training run: it has no recipe"):
        cairn.export(tmp_path, tmp_path / "x.onnx")
    with pytest.raises(OutputError, match=r"must end in \.onnx"):
        cairn.export(totem_model, tmp_path / "x.pt", precision="fp16")
    with pytest.raises(OutputError, match=r"must end in \.onnx"):
        cairn.import_model(tmp_path / "weights.pth", out=tmp_path / "x.pt")
    with pytest.raises(ModelError, match="no checkpoint at"):
        cairn.import_model(tmp_path / "weights.pth", out=tmp_path / "x.onnx")
