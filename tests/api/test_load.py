"""`cairn.api.load`, and the public names."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

import cairn
from cairn.errors import ModelError
from cairn.inference.model_spec import InputSpec
from cairn.inference.predictor import Predictor, RefinedPredictor
from cairn.inference.zoo import path_of
from cairn.methods import METHODS, get_method
from cairn.methods.method import Method
from cairn.training.recipe import BasicRecipe
from support.fake_network import SPEC, totems, write_totem_model


def test_model_is_loaded_from_its_file_or_run_folder(totem_model: Path) -> None:
    run = totem_model.parent / "run"
    run.mkdir(exist_ok=True)
    (run / "model.onnx").write_bytes(totem_model.read_bytes())
    for given in (totem_model, str(totem_model), run, str(run)):
        model = cairn.load(given, threads=1)
        poses = model(totems((240, 320), [(160, 120)]))
        assert poses.skeleton == SPEC.skeleton
        assert len(poses) == 1


def test_given_threshold_overrides_that_of_the_model(totem_model: Path) -> None:
    image = totems((240, 320), [(160, 120)])
    image //= 2
    assert cairn.load(totem_model, threads=1)(image).confidence.min() > 0
    empty = cairn.load(totem_model, threads=1, peak_threshold=0.99, second_try=False)(image)
    assert len(empty) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model": 3}, "got int"),
        ({"size": "big"}, "size must be a number of pixels or a cairn.Resolution, got 'big'"),
        ({"refine": 1}, "refine must be True, False, None or a model of one instance per crop, got 1"),
        ({"refine": ""}, "refine must be True, False, None or a model"),
        ({"threads": "two"}, "threads must be a number of CPU cores, got 'two'"),
    ],
)
def test_wrong_types_raise_model_error(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        cairn.load(**arguments)


def crop_model(path: Path) -> Path:
    crop = InputSpec(resize="square", size=128, multiple=8, margin=1.5)
    change = {
        "name": "one",
        "method": "hourglass",
        "task": "crop",
        "input": crop,
        "outputs": ("heatmaps",),
        "decode": {},
    }
    return write_totem_model(path, SPEC.model_copy(update=change))


def test_a_run_is_refined_by_its_own_refiner(totem_model: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    shutil.copy(totem_model, run / "model.onnx")
    crop_model(run / "refiner.onnx")
    image = totems((240, 320), [(160, 120)])
    for model in (run, run / "model.onnx", str(run)):
        for refine in (None, True):
            refined = cairn.load(model, threads=1, refine=refine)
            assert refined.name == "one"
            assert len(refined(image)) == 1
        assert cairn.load(model, threads=1, refine=False).name == "totems"
    alone = shutil.copy(run / "model.onnx", run / "copy.onnx")
    assert cairn.load(alone, threads=1).name == "totems"
    (run / "refiner.onnx").unlink()
    assert cairn.load(run, threads=1).name == "totems"


def test_a_crop_model_says_whether_it_has_a_flip_test(tmp_path: Path) -> None:
    plain = crop_model(tmp_path / "plain.onnx")
    change = {"name": "two", "method": "hourglass", "task": "crop", "outputs": ("heatmaps",), "decode": {"flip": True}}
    crop = InputSpec(resize="square", size=128, multiple=8, margin=1.5)
    mirrored = write_totem_model(tmp_path / "two.onnx", SPEC.model_copy(update={**change, "input": crop}))
    for path, given, expected in ((plain, None, False), (plain, True, True), (mirrored, None, True)):
        options = {} if given is None else {"flip": given}
        assert cairn.load(path, threads=1, **options).flip is expected
    assert cairn.load(mirrored, threads=1, flip=False).flip is False


def test_refinement_and_whole_body_are_assembled(totem_model: Path, tmp_path: Path) -> None:
    crops = crop_model(tmp_path / "one.onnx")
    image = totems((240, 320), [(160, 120)])
    refined = cairn.load(totem_model, threads=1, refine=crops)
    assert refined.name == "one"
    assert len(refined(image)) == 1
    with pytest.raises(ModelError, match=r"refinement needs a model of all instances .* got totems .* and totems"):
        cairn.load(totem_model, refine=totem_model)
    with pytest.raises(ModelError, match=r"hands need a model of one instance per crop; totems detects all instances"):
        cairn.load(totem_model, hands=totem_model)
    person = cairn.load("person", threads=1, refine=True)
    assert (person.name, person.skeleton.name, person.spec.task) == ("person-refine", "coco17", "multi_instance")
    with pytest.raises(ModelError, match=r"no model is registered that refines the detections of .*refine=MODEL"):
        cairn.load(totem_model, threads=1, refine=True)
    face = cairn.load("person", threads=1, face="face-landmarks")
    assert face.name == "person + face-landmarks"
    assert face.device == "cpu"


def test_people_in_single_images_are_refined_by_default() -> None:
    example = Path(__file__).parents[2] / "examples" / "portraits.jpg"

    def keypoints(model: Predictor) -> NDArray:
        return np.nan_to_num(model(example).keypoints[:, :17], nan=-1)

    def equal_inside(model: Predictor, always: Predictor) -> bool:
        """Whether the clear people of both have the same keypoints, except those outside the image."""
        found = keypoints(model)
        expected, inside = keypoints(always)[: len(found)], (found >= 0).all(axis=-1)
        height, width = cairn.read_image(example).shape[:2]
        outside = ((expected < 0) | (expected > [width, height])).any(axis=-1)
        return np.array_equal(found[inside], expected[inside]) and bool(outside[~inside].all())

    model = cairn.load("person", threads=1)
    alone = keypoints(cairn.load("person", threads=1, refine=False))
    assert (model.name, model.has_maps) == ("person", True)
    one_scale, crops = cairn.Resolution(longest=352, scales=1), cairn.load("person-refine", threads=1)
    whole = cairn.load("person", threads=1, size=one_scale, refine=False)
    assert equal_inside(model, RefinedPredictor(whole, crops))
    assert not np.array_equal(keypoints(model), alone)
    assert np.array_equal(keypoints(model.plain), alone)
    (frame,) = model.stream(example, maps=True)
    assert np.array_equal(np.nan_to_num(frame.poses.keypoints, nan=-1), alone)
    two_scales = cairn.Resolution(longest=512, scales=2, scale_gap=0.5)
    sized = cairn.load(path_of("person"), threads=1, size=two_scales)
    assert equal_inside(sized, RefinedPredictor(cairn.load("person", threads=1, refine=False), crops))
    with pytest.raises(ModelError, match="model person detects all instances of an image and takes no boxes"):
        model(example, boxes=[[0, 0, 100, 100]])
    with_face = cairn.load("person", threads=1, face="face-landmarks")
    assert np.array_equal(keypoints(with_face), keypoints(model))
    assert np.array_equal(keypoints(with_face.plain), alone)


def test_the_refiner_of_a_bundled_model_has_the_flip_test_where_it_is_asked_for() -> None:
    example = Path(__file__).parents[2] / "examples" / "portraits.jpg"
    whole = cairn.load("person", threads=1, refine=False)
    expected = RefinedPredictor(whole, cairn.load("person-refine", threads=1, flip=True))(example)
    for refine in (True, "person-refine", path_of("person-refine")):
        poses = cairn.load("person", threads=1, refine=refine)(example)
        assert np.array_equal(poses.keypoints, expected.keypoints)


def test_models_that_cannot_be_loaded_raise(tmp_path: Path) -> None:
    for name, message in {
        "horse": "no model 'horse'; bundled: .*person, person-fp16.*; or give the path of an .onnx file",
        "persn": r"no model 'persn' \(did you mean person\?\)",
        "": "no model ''",
        "x.onnx": r"no model file at x\.onnx",
        "weights.pt": r"weights\.pt is not an exported model: convert published weights by `cairn import`",
        "pose_iter_584000.caffemodel": "cairn import",
        str(tmp_path): r"no model\.onnx in the folder .*: expected the folder of a finished training run",
    }.items():
        with pytest.raises(ModelError, match=message) as caught:
            cairn.load(name)
        assert "\n" not in str(caught.value)
    with pytest.raises(ModelError, match=r"no model file at .*absent\.onnx"):
        cairn.load(tmp_path / "absent.onnx")
    foreign = write_totem_model(tmp_path / "other.onnx", SPEC.model_copy(update={"method": "other"}))
    with pytest.raises(ModelError, match=r"no method 'other'; this version of Cairn has .*openpose"):
        cairn.load(foreign)


def test_settings_that_the_method_lacks_raise(totem_model: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no peak_treshold; it has .*peak_threshold"):
        cairn.load(totem_model, peak_treshold=0.1)
    newer = SPEC.model_copy(update={"decode": {"future_setting": True}})
    with pytest.raises(ModelError, match="no future_setting"):
        cairn.load(write_totem_model(tmp_path / "newer.onnx", newer))


def test_specification_with_outputs_of_another_method_raises(tmp_path: Path) -> None:
    odd = SPEC.model_copy(update={"outputs": ("heatmaps",)})
    with pytest.raises(ModelError, match="openpose needs the outputs heatmaps and pafs"):
        cairn.load(write_totem_model(tmp_path / "odd.onnx", odd))


@pytest.mark.parametrize("name", METHODS)
def test_every_method_is_one_typed_object(name: str) -> None:
    found = get_method(name)
    assert isinstance(found, Method)
    assert found.name == name
    assert issubclass(found.training().recipe, BasicRecipe)


def test_public_names_exist() -> None:
    assert sorted(set(cairn.__all__)) == cairn.__all__
    for name in cairn.__all__:
        assert getattr(cairn, name) is not None
        assert name in dir(cairn)
    with pytest.raises(AttributeError, match=r"no attribute 'lode'; it has .*load"):
        _ = cairn.lode  # type: ignore[attr-defined]


def test_modules_do_not_hide_functions_of_the_same_name(python: Callable[[str], str]) -> None:
    """`import cairn.api.load` must not turn cairn.load("person") into a call of a module."""
    code = """
import cairn, cairn.api.load, cairn.structures.skeleton
from cairn.inference.model_spec import InputSpec
from cairn.methods import METHODS
import cairn.inference.predictor, cairn.cli.detect
assert cairn.load_skeleton("coco17").joints[0] == "nose"
assert callable(cairn.load)
"""
    python(code)


@pytest.mark.parametrize(
    ("statement", "heavy"),
    [
        ("import cairn", "numpy pydantic cv2 onnxruntime typer rich torch"),
        ("import cairn.cli", "numpy pydantic cv2 onnxruntime rich torch"),
        (
            "import cairn; cairn.load; cairn.draw; cairn.read_image; cairn.Predictor",
            "cv2 onnxruntime rich torch scipy",
        ),
    ],
)
def test_heavy_packages_are_imported_late(python: Callable[[str], str], statement: str, heavy: str) -> None:
    code = f"import sys; {statement}; print(*(set(sys.modules) & set({heavy.split()})))"
    assert python(code).split() == []


def test_inference_does_not_import_torch(python: Callable[[str], str], totem_model: Path) -> None:
    """Inference from image to overlay imports neither torch nor training packages."""
    code = f"""
import sys, numpy as np, cairn
image = np.zeros((64, 64, 3), np.uint8)
cairn.draw(image, cairn.load({str(totem_model)!r})(image))
print(*(set(sys.modules) & {{"torch", "lightning", "onnx", "scipy", "matplotlib", "rich"}}))
"""
    assert python(code).split() == []


def test_an_image_needs_no_labels_no_tracker_and_no_network(
    python: Callable[[str], str], totem_model: Path, tmp_path: Path
) -> None:
    """Their modules are half of what `cairn detect photo.jpg` would import before its first result."""
    cv2.imwrite(str(tmp_path / "totem.png"), totems((240, 320), [(160, 120)]))
    code = f"""
import sys, cairn
cairn.detect({str(tmp_path / "totem.png")!r}, model={str(totem_model)!r}, out={str(tmp_path / "out")!r})
unused = {{"ssl", "urllib.request", "cairn.datasets.formats", "cairn.tracking.tracker"}}
print(*(set(sys.modules) & unused))
"""
    assert python(code).split() == []


def test_draw_accepts_a_path(totem_model: Path, tmp_path: Path) -> None:
    image = totems((240, 320), [(160, 120)])
    cairn.write_image(tmp_path / "totem.png", image)
    poses = cairn.load(totem_model, threads=1)(image)
    np.testing.assert_array_equal(cairn.draw(tmp_path / "totem.png", poses), cairn.draw(image, poses))
