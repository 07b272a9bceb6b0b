"""Fewer bits: the same maps, nearly; a file that anybody can load; and a cost that is said before it is there."""

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
from cairn.training.exporting.quantization import Cost, lower, shown, spread
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


def test_fp16_gives_the_same_maps_in_float32(model: Path, tmp_path: Path) -> None:
    to_fp16(model, tmp_path / "half.onnx")
    before, after = OnnxNetwork(model, 1), OnnxNetwork(tmp_path / "half.onnx", 1)
    assert after.spec == before.spec
    for images in inputs():
        expected, got = before(images), after(images)
        for name, maps in expected.items():
            assert got[name].dtype == np.float32
            assert np.abs(got[name] - maps).max() < 2**-8


def test_int8_gives_nearly_the_same_maps_on_any_shape(model: Path, tmp_path: Path) -> None:
    to_int8(model, tmp_path / "int8.onnx", inputs())
    before, after = OnnxNetwork(model, 1), OnnxNetwork(tmp_path / "int8.onnx", 1)
    for images in (*inputs(), np.pad(np.concatenate([*inputs()]), ((0, 0), (0, 0), (0, 64), (32, 0)))):
        expected, got = before(images), after(images)
        for name, maps in expected.items():
            assert got[name].shape == maps.shape
            assert np.abs(got[name] - maps).max() < 0.05
        assert any(np.abs(got[name] - expected[name]).max() > 0 for name in expected)  # 8 bits they are


def test_what_fp16_held_is_widened_to_what_it_computed(model: Path, tmp_path: Path) -> None:
    to_fp16(model, tmp_path / "half.onnx")
    to_fp32(tmp_path / "half.onnx", tmp_path / "wide.onnx")
    assert precision_of(tmp_path / "wide.onnx") == "fp32"
    names = [[tensor.name for tensor in onnx.load(path).graph.initializer] for path in (model, tmp_path / "wide.onnx")]
    assert names[0] == names[1]
    half, wide = OnnxNetwork(tmp_path / "half.onnx", 1), OnnxNetwork(tmp_path / "wide.onnx", 1)
    for images in inputs():
        for name, maps in half(images).items():
            np.testing.assert_array_equal(wide(images)[name], maps)


def test_files_say_in_which_numbers_they_compute(model: Path, tmp_path: Path) -> None:
    to_fp16(model, tmp_path / "half.onnx")
    to_int8(model, tmp_path / "int8.onnx", inputs())
    files = (model, tmp_path / "half.onnx", tmp_path / "int8.onnx")
    assert [precision_of(path) for path in files] == ["fp32", "fp16", "int8"]


def test_a_restated_file_has_the_specification_and_nothing_else(model: Path, tmp_path: Path) -> None:
    to_int8(model, tmp_path / "int8.onnx", inputs())
    other = SPEC.model_copy(update={"name": "another"})
    restate(tmp_path / "int8.onnx", other)
    assert OnnxNetwork(tmp_path / "int8.onnx", 1).spec == other
    assert [entry.key for entry in onnx.load(tmp_path / "int8.onnx").metadata_props] == [METADATA_KEY]


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_what_it_costs_is_said_before_the_file_is_there(
    model: Path, labels: Labels, tmp_path: Path, precision: str
) -> None:
    target, told = tmp_path / "low.onnx", []

    def say(cost: Cost) -> None:
        assert not target.exists()
        told.append(cost)

    cost = lower(model, target, precision, predictor_of, labels, labels, say=say)  # type: ignore[arg-type]
    assert told == [cost]
    assert (cost.figure, cost.before) == ("AP", pytest.approx(100))
    assert cost.after == pytest.approx(100)  # totems are hard to overlook
    assert cost.megabytes == pytest.approx(target.stat().st_size / 1e6, rel=0.3)  # the specification is written after
    assert str(cost).startswith("AP 100.00 -> 100.00, ")
    found = load(target, threads=1)(labels.images[0].path)
    assert len(found) == 2
    spec = load(target, threads=1).spec
    assert spec.provenance["precision"] == precision
    assert spec.metrics == {"AP": pytest.approx(cost.after)}
    assert spec.provenance.get("calibrated_on_images") == (4 if precision == "int8" else None)
    with pytest.raises(ModelError, match=f"is in {precision} already"):
        lower(target, tmp_path / "lower.onnx", precision, predictor_of, labels)


def test_without_labels_the_finds_of_fp32_are_what_is_to_be_found(model: Path, labels: Labels, tmp_path: Path) -> None:
    images = [image.path for image in labels]
    cost = lower(model, tmp_path / "low.onnx", "int8", predictor_of, images)
    assert (cost.figure, cost.before) == ("keypoints of fp32 found again, %:", 100)
    assert cost.after == 100
    assert load(tmp_path / "low.onnx").spec.metrics == {}
    empty = tmp_path / "empty.png"
    write_image(empty, totems((320, 320), []))
    with pytest.raises(ModelError, match="finds nothing in the 1 images"):
        lower(model, tmp_path / "other.onnx", "int8", predictor_of, [empty])
    assert not (tmp_path / "other.onnx").exists()


def test_nothing_to_measure_on_is_no_reason_against_fp16(model: Path, tmp_path: Path) -> None:
    cost = lower(model, tmp_path / "low.onnx", "fp16", predictor_of)
    assert cost.figure == ""
    assert "->" not in str(cost)
    assert (tmp_path / "low.onnx").is_file()


def test_too_large_a_loss_leaves_no_file(model: Path, labels: Labels, tmp_path: Path) -> None:
    """Calibrated on black images, every layer's range is that of nothing."""
    black = tmp_path / "black.png"
    write_image(black, np.zeros((320, 320, 3), np.uint8))
    with pytest.raises(ModelError, match=r"int8 loses \d+\.\d+ of AP; at most 1 was allowed"):
        lower(model, tmp_path / "low.onnx", "int8", predictor_of, [black], labels, max_metric_drop=1)
    assert list(tmp_path.glob("*low*")) == []


def test_weights_that_fp16_cannot_hold_are_refused(tmp_path: Path) -> None:
    source = write_totem_model(tmp_path / "large.onnx")
    proto = onnx.load(source)
    weights = onnx.numpy_helper.to_array(proto.graph.initializer[0]) * 1e8
    proto.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(weights, "colors"))
    onnx.save(proto, str(source))
    with pytest.raises(ModelError, match=r"up to 65504, and colors has 588235: take int8"):
        lower(source, tmp_path / "low.onnx", "fp16", predictor_of)
    assert not (tmp_path / "low.onnx").exists()


def test_nothing_to_calibrate_on_is_said(model: Path, labels: Labels, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="and there are none"):
        lower(model, tmp_path / "low.onnx", "int8", predictor_of, [])
    crop = InputSpec(resize="square", size=320, multiple=32)
    update = {"method": "hourglass", "task": "crop", "input": crop, "outputs": ("heatmaps",), "decode": {}}
    crops = write_totem_model(tmp_path / "crops.onnx", SPEC.model_copy(update=update))
    bare = replace(labels, images=tuple(replace(p, annotation=p.annotation[:0]) for p in labels))
    with pytest.raises(ModelError, match="the images show the model nothing"):
        lower(crops, tmp_path / "low.onnx", "int8", predictor_of, bare, labels)
    assert list(tmp_path.glob("*low*")) == []


def test_a_model_of_crops_is_calibrated_on_the_labeled_boxes(labels: Labels, tmp_path: Path) -> None:
    crop = InputSpec(resize="square", size=320, multiple=32)
    update = {"method": "hourglass", "task": "crop", "input": crop, "outputs": ("heatmaps",), "decode": {}}
    crops = write_totem_model(tmp_path / "crops.onnx", SPEC.model_copy(update=update))
    network = OnnxNetwork(crops, 1)
    assert [len(images) for images in shown(network, predictor_of, labels)] == [len(scene) for scene in SCENES]
    cost = lower(crops, tmp_path / "low.onnx", "int8", predictor_of, labels, labels)
    assert cost.figure == "PCK@0.05"
    assert cost.after == cost.before == 100


def test_calibration_takes_images_from_end_to_end() -> None:
    paths = [Path(str(i)) for i in range(1000)]
    chosen = spread(paths)
    assert len(chosen) == len(set(chosen)) == 100
    assert (chosen[0], chosen[-1]) == (paths[0], paths[-1])
    assert spread(paths[:3]) == paths[:3]
