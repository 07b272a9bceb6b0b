"""`cairn.api.load`, and the public names."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import cairn
from cairn.errors import ModelError
from cairn.methods import METHODS, get_method
from cairn.methods.method import Method
from cairn.training.recipe import Recipe
from support.fake_network import SPEC, totems, write_totem_model


def test_a_model_is_loaded_from_its_file(totem_model: Path) -> None:
    for given in (totem_model, str(totem_model)):
        model = cairn.load(given, threads=1)
        poses = model(totems((240, 320), [(160, 120)]))
        assert poses.skeleton == SPEC.skeleton
        assert len(poses) == 1


def test_a_threshold_given_takes_the_place_of_the_models_own(totem_model: Path) -> None:
    image = totems((240, 320), [(160, 120)])
    image //= 2
    sure = cairn.load(totem_model, threads=1)(image).confidence.min()
    assert sure > 0
    nobody = cairn.load(totem_model, threads=1, peak_threshold=0.99, second_try=False)(image)
    assert len(nobody) == 0


def test_what_cannot_be_loaded_is_said(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no model 'horse'"):
        cairn.load("horse")
    with pytest.raises(ModelError, match=r"no model file at .*absent\.onnx"):
        cairn.load(tmp_path / "absent.onnx")
    foreign = write_totem_model(tmp_path / "other.onnx", SPEC.model_copy(update={"method": "guessing"}))
    with pytest.raises(ModelError, match=r"no method 'guessing'; this version of Cairn has .*openpose"):
        cairn.load(foreign)


def test_thresholds_that_the_method_does_not_have_are_refused(totem_model: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no peak_treshold; it has .*peak_threshold"):
        cairn.load(totem_model, peak_treshold=0.1)
    newer = SPEC.model_copy(update={"decode": {"clairvoyance": True}})
    with pytest.raises(ModelError, match="no clairvoyance"):
        cairn.load(write_totem_model(tmp_path / "newer.onnx", newer))


def test_a_specification_of_another_method_s_outputs_is_refused(tmp_path: Path) -> None:
    odd = SPEC.model_copy(update={"outputs": ("heatmaps",)})
    with pytest.raises(ModelError, match="openpose needs outputs heatmaps, pafs"):
        cairn.load(write_totem_model(tmp_path / "odd.onnx", odd))


@pytest.mark.parametrize("name", METHODS)
def test_every_method_is_one_typed_object(name: str) -> None:
    found = get_method(name)
    assert isinstance(found, Method)
    assert found.name == name
    assert issubclass(found.training().recipe, Recipe)


def test_public_names_are_few_and_there() -> None:
    assert len(cairn.__all__) <= 20
    for name in cairn.__all__:
        assert getattr(cairn, name) is not None
        assert name in dir(cairn)
    with pytest.raises(AttributeError, match=r"no attribute 'lode'; it has .*load"):
        _ = cairn.lode  # type: ignore[attr-defined]


def test_modules_of_the_same_name_do_not_hide_the_functions(python: Callable[[str], str]) -> None:
    """`import cairn.structures.skeleton` anywhere must not turn cairn.load_skeleton("coco17") into a call of a module."""
    code = """
import cairn, cairn.api.load, cairn.structures.skeleton
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
def test_what_is_heavy_is_imported_late(python: Callable[[str], str], statement: str, heavy: str) -> None:
    code = f"import sys; {statement}; print(*(set(sys.modules) & set({heavy.split()})))"
    assert python(code).split() == []


def test_detecting_imports_no_torch(python: Callable[[str], str], totem_model: Path) -> None:
    """Neither torch nor anything of training, in a process that goes all the way."""
    code = f"""
import sys, numpy as np, cairn
image = np.zeros((64, 64, 3), np.uint8)
cairn.draw(image, cairn.load({str(totem_model)!r})(image))
print(*(set(sys.modules) & {{"torch", "lightning", "onnx", "scipy", "matplotlib", "rich"}}))
"""
    assert python(code).split() == []


def test_drawing_takes_a_path_too(totem_model: Path, tmp_path: Path) -> None:
    image = totems((240, 320), [(160, 120)])
    cairn.write_image(tmp_path / "totem.png", image)
    poses = cairn.load(totem_model, threads=1)(image)
    np.testing.assert_array_equal(cairn.draw(tmp_path / "totem.png", poses), cairn.draw(image, poses))
