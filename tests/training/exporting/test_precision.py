"""Quantized models compute nearly the same outputs, load like any model, and come with a report of their cost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from cairn.api.load import load
from cairn.datasets.labels import LabeledImage, Labels
from cairn.errors import ModelError
from cairn.inference.model_spec import METADATA_KEY, InputSpec
from cairn.inference.network import Network, OnnxNetwork
from cairn.inference.predictor import BottomUpPredictor
from cairn.media.images import write_image
from cairn.methods import get_method
from cairn.structures.annotation import Annotation
from cairn.training.exporting.precision import precision_of, restate, to_fp16, to_fp32, to_int8
from cairn.training.exporting.precision_report import PrecisionReport
from cairn.training.exporting.quantization import network_inputs, quantize, spread
from support.fake_network import SPEC, totems, write_totem_model

onnx = pytest.importorskip("onnx", reason="needs onnx, which is in the train extra")
pytest.importorskip("faster_coco_eval", reason="OKS needs faster-coco-eval, which is in the train extra")

SCENES = [[(80, 100), (200, 180)], [(160, 160)], [(100, 200)], [(220, 120), (60, 220)]]


def predictor_of(network: Network) -> BottomUpPredictor:
    return get_method(network.spec.method).predictor(network)


def inputs() -> Iterator[NDArray[np.float32]]:
    for scene in SCENES:
        yield np.ascontiguousarray(totems((320, 320), scene).transpose(2, 0, 1)[None], np.float32)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_totem_model(tmp_path / "totems.onnx")


@pytest.fixture
def labels(tmp_path: Path) -> Labels:
    images = []
    for i, scene in enumerate(SCENES):
        path = tmp_path / f"{i}.png"
        write_image(path, totems((320, 320), scene))
        points = np.array([[[x, y - 40], [x, y], [x, y + 40]] for x, y in scene], np.float32)
        annotation = Annotation(
            points,
            np.full((len(scene), 3), 2, np.uint8),
            np.array([[x - 10, y - 50, 20, 100] for x, y in scene], np.float32),
            np.full(len(scene), 2000, np.float32),
            np.zeros(len(scene), bool),
        )
        images.append(LabeledImage(i, path, (320, 320), annotation))
    return Labels(SPEC.skeleton, tuple(images), np.ones(3, bool))


def test_fp16_computes_the_same_outputs_in_float32(model: Path, tmp_path: Path) -> None:
    to_fp16(model, tmp_path / "half.onnx")
    before, after = OnnxNetwork(model, 1), OnnxNetwork(tmp_path / "half.onnx", 1)
    assert after.spec == before.spec
    for images in inputs():
        expected, got = before(images), after(images)
        for name, maps in expected.items():
            assert got[name].dtype == np.float32
            assert np.abs(got[name] - maps).max() < 2**-8


def test_int8_computes_nearly_the_same_outputs_at_any_size(model: Path, tmp_path: Path) -> None:
    to_int8(model, tmp_path / "int8.onnx", inputs())
    before, after = OnnxNetwork(model, 1), OnnxNetwork(tmp_path / "int8.onnx", 1)
    for images in (*inputs(), np.pad(np.concatenate([*inputs()]), ((0, 0), (0, 0), (0, 64), (32, 0)))):
        expected, got = before(images), after(images)
        for name, maps in expected.items():
            assert got[name].shape == maps.shape
            assert np.abs(got[name] - maps).max() < 0.05
        assert any(np.abs(got[name] - expected[name]).max() > 0 for name in expected)  # they are quantized


def test_fp16_weights_in_fp32_compute_the_same_outputs(model: Path, tmp_path: Path) -> None:
    to_fp16(model, tmp_path / "half.onnx")
    to_fp32(tmp_path / "half.onnx", tmp_path / "wide.onnx")
    assert precision_of(tmp_path / "wide.onnx") == "fp32"
    names = [[tensor.name for tensor in onnx.load(path).graph.initializer] for path in (model, tmp_path / "wide.onnx")]
    assert names[0] == names[1]
    half, wide = OnnxNetwork(tmp_path / "half.onnx", 1), OnnxNetwork(tmp_path / "wide.onnx", 1)
    for images in inputs():
        for name, maps in half(images).items():
            np.testing.assert_array_equal(wide(images)[name], maps)


def test_the_precision_of_a_file_is_recognized(model: Path, tmp_path: Path) -> None:
    to_fp16(model, tmp_path / "half.onnx")
    to_int8(model, tmp_path / "int8.onnx", inputs())
    files = (model, tmp_path / "half.onnx", tmp_path / "int8.onnx")
    assert [precision_of(path) for path in files] == ["fp32", "fp16", "int8"]


def test_restating_a_file_replaces_all_metadata(model: Path, tmp_path: Path) -> None:
    to_int8(model, tmp_path / "int8.onnx", inputs())
    other = SPEC.model_copy(update={"name": "another"})
    restate(tmp_path / "int8.onnx", other)
    assert OnnxNetwork(tmp_path / "int8.onnx", 1).spec == other
    assert [entry.key for entry in onnx.load(tmp_path / "int8.onnx").metadata_props] == [METADATA_KEY]


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_the_cost_is_reported_before_the_file_is_written(
    model: Path, labels: Labels, tmp_path: Path, precision: str
) -> None:
    target, reports = tmp_path / "low.onnx", []

    def report(cost: PrecisionReport) -> None:
        assert not target.exists()
        reports.append(cost)

    cost = quantize(model, target, precision, predictor_of, labels, labels, report=report)  # type: ignore[arg-type]
    assert reports == [cost]
    assert (cost.metric, cost.before) == ("AP", pytest.approx(100))
    assert cost.after == pytest.approx(100)  # totems are easy to detect
    assert cost.megabytes == pytest.approx(target.stat().st_size / 1e6, rel=0.3)  # the specification is written after
    assert str(cost).startswith("AP 100.00 -> 100.00, ")
    poses = load(target, threads=1)(labels.images[0].path)
    assert len(poses) == 2
    spec = load(target, threads=1).spec
    assert spec.provenance["precision"] == precision
    assert spec.metrics == {"AP": pytest.approx(cost.after)}
    assert spec.provenance.get("calibrated_on_images") == (4 if precision == "int8" else None)
    with pytest.raises(ModelError, match=f"is in {precision} already"):
        quantize(target, tmp_path / "lower.onnx", precision, predictor_of, labels)


def test_without_labels_the_detections_of_fp32_are_the_ground_truth(
    model: Path, labels: Labels, tmp_path: Path
) -> None:
    images = [image.path for image in labels]
    cost = quantize(model, tmp_path / "low.onnx", "int8", predictor_of, images)
    assert (cost.metric, cost.before) == ("keypoints of fp32 detected again, %:", 100)
    assert cost.after == 100
    assert load(tmp_path / "low.onnx").spec.metrics == {}
    empty = tmp_path / "empty.png"
    write_image(empty, totems((320, 320), []))
    with pytest.raises(ModelError, match="detects nothing in the 1 images"):
        quantize(model, tmp_path / "other.onnx", "int8", predictor_of, [empty])
    assert not (tmp_path / "other.onnx").exists()


def test_fp16_needs_no_images(model: Path, tmp_path: Path) -> None:
    cost = quantize(model, tmp_path / "low.onnx", "fp16", predictor_of)
    assert cost.metric == ""
    assert "->" not in str(cost)
    assert (tmp_path / "low.onnx").is_file()


def test_a_drop_above_the_maximum_leaves_no_file(model: Path, labels: Labels, tmp_path: Path) -> None:
    """Calibration on black images gives useless ranges."""
    black = tmp_path / "black.png"
    write_image(black, np.zeros((320, 320, 3), np.uint8))
    with pytest.raises(ModelError, match=r"AP drops by \d+\.\d+ in int8; the maximum drop is 1"):
        quantize(model, tmp_path / "low.onnx", "int8", predictor_of, [black], labels, max_metric_drop=1)
    assert list(tmp_path.glob("*low*")) == []


def test_weights_beyond_the_range_of_fp16_are_an_error(tmp_path: Path) -> None:
    source = write_totem_model(tmp_path / "large.onnx")
    proto = onnx.load(source)
    weights = onnx.numpy_helper.to_array(proto.graph.initializer[0]) * 1e8
    proto.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(weights, "colors"))
    onnx.save(proto, str(source))
    with pytest.raises(ModelError, match=r"up to 65504, and colors has 588235: use int8"):
        quantize(source, tmp_path / "low.onnx", "fp16", predictor_of)
    assert not (tmp_path / "low.onnx").exists()


def test_missing_calibration_images_are_an_error(model: Path, labels: Labels, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="and there are none"):
        quantize(model, tmp_path / "low.onnx", "int8", predictor_of, [])
    crop = InputSpec(resize="square", size=320, multiple=32)
    update = {"method": "hourglass", "task": "crop", "input": crop, "outputs": ("heatmaps",), "decode": {}}
    crops = write_totem_model(tmp_path / "crops.onnx", SPEC.model_copy(update=update))
    bare = replace(labels, images=tuple(replace(p, annotation=p.annotation[:0]) for p in labels))
    with pytest.raises(ModelError, match="no annotated instance for the model to run on"):
        quantize(crops, tmp_path / "low.onnx", "int8", predictor_of, bare, labels)
    assert list(tmp_path.glob("*low*")) == []


def test_a_model_of_crops_is_calibrated_on_the_annotated_bounding_boxes(labels: Labels, tmp_path: Path) -> None:
    crop = InputSpec(resize="square", size=320, multiple=32)
    update = {"method": "hourglass", "task": "crop", "input": crop, "outputs": ("heatmaps",), "decode": {}}
    crops = write_totem_model(tmp_path / "crops.onnx", SPEC.model_copy(update=update))
    network = OnnxNetwork(crops, 1)
    assert [len(images) for images in network_inputs(network, predictor_of, labels)] == [len(scene) for scene in SCENES]
    cost = quantize(crops, tmp_path / "low.onnx", "int8", predictor_of, labels, labels)
    assert cost.metric == "PCK@0.05"
    assert cost.after == cost.before == 100


def test_calibration_images_are_spread_evenly() -> None:
    paths = [Path(str(i)) for i in range(1000)]
    selected = spread(paths)
    assert len(selected) == len(set(selected)) == 100
    assert (selected[0], selected[-1]) == (paths[0], paths[-1])
    assert spread(paths[:3]) == paths[:3]
