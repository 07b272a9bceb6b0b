"""`cairn.export(..., decode=True)` and `format="web"`: files for programs without Cairn, and invalid input."""

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("onnx", reason="making a model needs onnx, which is in the train extra")

import onnx
import onnxruntime

import cairn
from cairn.cli import main
from cairn.errors import CairnError, ModelError, OutputError
from cairn.inference.session import DECODED_KEY
from cairn.media.images import read_image
from cairn.methods import get_method
from cairn.structures.poses import Poses
from cairn.training.exporting.web import runtime
from support.fake_network import SPEC, totems, write_totem_model

PORTRAITS = Path(__file__).parents[2] / "examples" / "portraits.jpg"


def run_file(path: Path, images: np.ndarray, **inputs: Any) -> tuple[dict[str, Any], list[dict[str, np.ndarray]]]:
    """What a file says about itself, and its outputs for each image of a batch (B, H, W, 3)."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options)
    description = json.loads(session.get_modelmeta().custom_metadata_map[DECODED_KEY])
    assert [each.name for each in session.get_inputs()] == list(description["inputs"])
    names = list(description["outputs"])
    assert [each.name for each in session.get_outputs()] == names
    arrays = session.run(names, {"image": images, **inputs})
    for name, array in zip(names, arrays, strict=True):
        for length, stated in zip(array.shape, description["outputs"][name]["shape"], strict=True):
            assert length == stated or isinstance(stated, str)
    return description, [dict(zip(names, (array[i] for array in arrays), strict=True)) for i in range(len(images))]


def poses_of(path: Path, model: str | Path, images: np.ndarray) -> list[Poses]:
    spec = cairn.load(model, threads=1).spec
    decoder = get_method(spec.method).graph_decoder()
    return [decoder.poses(outputs, spec) for outputs in run_file(path, images)[1]]


def distances(got: Poses, expected: Poses) -> np.ndarray:
    """Distance in pixels of each keypoint (P, K); NaN where both are missing."""
    np.testing.assert_array_equal(got.detected, expected.detected)
    return np.hypot(*np.moveaxis(got.keypoints - expected.keypoints, -1, 0))


def test_a_batch_of_images_gives_the_poses_of_python(totem_model: Path, tmp_path: Path) -> None:
    report = cairn.export(totem_model, tmp_path / "decoded.onnx", decode=True)
    assert (report.path, report.precision) == (tmp_path / "decoded.onnx", "fp32")
    images = np.stack([totems((250, 333), some) for some in ([(80, 100), (200, 120)], [], [(160, 90)])])
    predictor = cairn.load(totem_model, threads=1)
    for got, image in zip(poses_of(report.path, totem_model, images), images, strict=True):
        expected = predictor(image)
        assert np.nanmax(distances(got, expected), initial=0) < 0.3
        np.testing.assert_allclose(got.scores, expected.scores, atol=0.01)


def test_test_time_scales_are_in_the_graph(tmp_path: Path) -> None:
    scaled = SPEC.input.model_copy(update={"scales": 3, "scale_gap": 0.25})
    model = write_totem_model(tmp_path / "scales.onnx", SPEC.model_copy(update={"input": scaled}))
    path = cairn.export(model, tmp_path / "decoded.onnx", decode=True).path
    image = totems((320, 288), [(90, 90), (200, 180)])
    (got,), expected = poses_of(path, model, image[None]), cairn.load(model, threads=1)(image)
    assert len(got) == 2
    assert np.nanmax(distances(got, expected)) < 0.05
    np.testing.assert_allclose(got.scores, expected.scores, atol=1e-3)


@pytest.mark.parametrize("name", ["face-landmarks", "person-single", "person-refine", "person"])
def test_bundled_models_detect_as_in_python(name: str, tmp_path: Path) -> None:
    """At the size of the network input: models in int8 answer to one level of one pixel by several pixels."""
    sides = {"face-landmarks": (128, 128), "person-single": (160, 160), "person-refine": (192, 192)}
    image = read_image(PORTRAITS)
    image = cv2.resize(image[:, 437:] if name in sides else image, sides.get(name, (512, 276)))
    path = cairn.export(name, tmp_path / "decoded.onnx", decode=True).path
    (got,), expected = poses_of(path, name, image[None]), cairn.load(name, threads=1).plain(image)
    assert len(got) == len(expected) == (1 if name in sides else 2)
    assert np.nanmax(distances(got, expected)) < 0.01
    np.testing.assert_allclose(got.confidence, expected.confidence, atol=1e-3)


def test_the_page_states_and_takes_the_input_size(tmp_path: Path, totem_model: Path, fake_runtime: Path) -> None:
    report = cairn.export(totem_model, tmp_path / "web", format="web", runtime=fake_runtime)
    files = {path.relative_to(report.path).as_posix() for path in report.path.rglob("*") if path.is_file()}
    assert {"index.html", "pose.js", "model.onnx", "model.json", "runtime/ort.js", "LICENSES.txt"} < files
    assert report.megabytes == pytest.approx(sum((report.path / name).stat().st_size for name in files) / 1e6)
    stated = json.loads((report.path / "model.json").read_text())
    image = totems((320, 320), [(160, 160)])[None]
    description, large = run_file(report.path / "model.onnx", image, size=np.array(320))
    small = run_file(report.path / "model.onnx", image, size=np.array(288))[1]
    assert description == stated
    assert stated["inputs"]["size"]["own"] == 320
    assert (stated["license"], stated["opset"], stated["providers"]) == ("CC0", 17, ["CPUExecutionProvider"])
    assert not np.allclose(large[0]["peaks"][:, 0, 2], small[0]["peaks"][:, 0, 2])
    np.testing.assert_allclose(large[0]["peaks"][:, 0, :2], small[0]["peaks"][:, 0, :2], atol=4)


@pytest.fixture
def fake_runtime(tmp_path: Path) -> Path:
    folder = tmp_path / "onnxruntime-web" / "dist"
    folder.mkdir(parents=True)
    for name in runtime.FILES:
        (folder / name).write_text("")
    return folder.parent


def test_a_decoded_file_is_no_model_of_cairn(totem_model: Path, tmp_path: Path) -> None:
    path = cairn.export(totem_model, tmp_path / "decoded.onnx", decode=True).path
    with pytest.raises(ModelError, match="was written by `cairn export --decode`, for programs without Cairn"):
        cairn.load(path)


@pytest.mark.parametrize("name", ["person-lift"])
def test_models_of_other_inputs_cannot_be_exported_with_decoding(name: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="lifts 2D keypoints to 3D"):
        cairn.export(name, tmp_path / "x.onnx", decode=True)
    assert not list(tmp_path.iterdir())


def test_a_method_without_graph_decoder_is_an_error(
    totem_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    method = get_method("openpose")
    without = type(method)(method.name, method.tasks, method.predictor, method.training)
    monkeypatch.setattr("cairn.methods.openpose.METHOD", without)
    with pytest.raises(ModelError, match="model totems is of method openpose, which has no decoding in the graph"):
        cairn.export(totem_model, tmp_path / "x.onnx", decode=True)


def test_a_graph_that_decodes_otherwise_is_not_written(
    totem_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cairn.training.exporting.decoding.limbs.END_INSET", 0.4)
    with pytest.raises(ModelError, match="decoding of model totems in the graph differs from that in Python"):
        cairn.export(totem_model, tmp_path / "x.onnx", decode=True)
    assert not list(tmp_path.iterdir())


def changed(source: Path, target: Path, change: Any) -> Path:
    proto = onnx.load(str(source))
    change(proto)
    onnx.save(proto, str(target))
    return target


def test_old_and_branching_graphs_are_errors(totem_model: Path, tmp_path: Path) -> None:
    def age(proto: Any) -> None:
        proto.opset_import[0].version = 12

    def branch(proto: Any) -> None:
        helper = onnx.helper
        info = helper.make_tensor_value_info("constant", onnx.TensorProto.FLOAT, [1])
        value = helper.make_tensor("value", onnx.TensorProto.FLOAT, [1], [1.0])
        body = helper.make_graph([helper.make_node("Constant", [], ["constant"], value=value)], "body", [], [info])
        condition = helper.make_tensor("condition", onnx.TensorProto.BOOL, [], [True])
        proto.graph.initializer.append(condition)
        proto.graph.node.append(helper.make_node("If", ["condition"], ["unused"], then_branch=body, else_branch=body))

    old = changed(totem_model, tmp_path / "old.onnx", age)
    with pytest.raises(ModelError, match="opset 12, and decoding needs 13 at least"):
        cairn.export(old, tmp_path / "x.onnx", decode=True)
    branching = changed(totem_model, tmp_path / "branching.onnx", branch)
    with pytest.raises(ModelError, match="has functions or branches"):
        cairn.export(branching, tmp_path / "x.onnx", decode=True)


def test_contradicting_arguments_are_errors(totem_model: Path, tmp_path: Path, fake_runtime: Path) -> None:
    with pytest.raises(CairnError, match="format must be onnx or web, got 'tflite'"):
        cairn.export(totem_model, tmp_path / "x.onnx", format="tflite")
    with pytest.raises(CairnError, match="--runtime goes with --format web"):
        cairn.export(totem_model, tmp_path / "x.onnx", decode=True, runtime=fake_runtime)
    with pytest.raises(OutputError, match="--format web writes a folder"):
        cairn.export(totem_model, tmp_path / "x.onnx", format="web", runtime=fake_runtime)
    with pytest.raises(OutputError, match=r"must end in \.onnx"):
        cairn.export(totem_model, tmp_path / "x", decode=True)
    with pytest.raises(CairnError, match="are for a training run"):
        cairn.export(totem_model, tmp_path / "x.onnx", decode=True, checkpoint="last")
    with pytest.raises(ModelError, match="no model file"):
        cairn.export(tmp_path / "typo.onnx", tmp_path / "x.onnx", decode=True)
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "mine.txt").write_text("mine")
    with pytest.raises(OutputError, match="web already exists"):
        cairn.export(totem_model, tmp_path / "web", format="web", runtime=fake_runtime)
    assert [path.name for path in (tmp_path / "web").iterdir()] == ["mine.txt"]
    with pytest.raises(CairnError, match=r"no ort.wasm.bundle.min.mjs and .* in .*: expected the folder of the npm"):
        cairn.export(totem_model, tmp_path / "page", format="web", runtime=tmp_path)


def test_hungarian_matching_has_no_page(tmp_path: Path, fake_runtime: Path) -> None:
    spec = SPEC.model_copy(update={"decode": {"matching": "hungarian"}})
    model = write_totem_model(tmp_path / "hungarian.onnx", spec)
    with pytest.raises(ModelError, match="a page matches limbs by exchange or greedy"):
        cairn.export(model, tmp_path / "web", format="web", runtime=fake_runtime)
    assert not (tmp_path / "web").exists()


def test_without_npm_the_message_says_what_to_do(
    totem_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(CairnError, match=r"install Node\.js, or give the folder of the package with --runtime"):
        cairn.export(totem_model, tmp_path / "web", format="web")
    failing = tmp_path / "npm"
    failing.write_text("#!/bin/sh\necho 'no network' >&2\nexit 1\n")
    failing.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda _: str(failing))
    with pytest.raises(CairnError, match=r"npm could not download .* \(no network\): give the folder"):
        cairn.export(totem_model, tmp_path / "web", format="web")
    failing.write_text('#!/bin/sh\nprintf other > "$5/other.tgz"\n')
    with pytest.raises(CairnError, match="with another SHA-512 than expected"):
        cairn.export(totem_model, tmp_path / "web", format="web")
    assert not (tmp_path / "web").exists()


def test_the_command_prints_opset_provider_and_shapes(
    totem_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "decoded.onnx"
    with pytest.raises(SystemExit) as ended:
        main(["export", str(totem_model), str(target), "--decode"])
    output = capsys.readouterr()
    assert (ended.value.code, output.out) == (0, f"{target}\n")
    assert "opset 17, checked on onnxruntime's CPUExecutionProvider\n" in output.err
    assert "inputs: image uint8 (batch, height, width, 3)\n" in output.err
    assert "outputs: peaks float32 (batch, 3, peaks, 3), limbs float32 (batch, 2, peaks, peaks)\n" in output.err


def test_the_second_try_is_said_to_be_missing(
    totem_model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        cairn.export(totem_model, tmp_path / "decoded.onnx", decode=True)
    assert "second try of images without detections" in caplog.text
