"""Bundled models are loaded by name; an unknown name raises an error that lists the models."""

from pathlib import Path

import pytest

from cairn.errors import ModelError
from cairn.inference import zoo
from cairn.inference.lifter import Lifter
from cairn.inference.network import OnnxNetwork
from cairn.inference.resolution import Resolution


@pytest.mark.parametrize("name", zoo.embedded())
def test_every_bundled_model_states_license_and_sources(name: str) -> None:
    spec = (Lifter if name == "person-lift" else OnnxNetwork)(zoo.path_of(name), threads=1).spec
    assert spec.name == name
    assert spec.license
    assert spec.sources


def test_names_are_the_stems_of_the_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("person.onnx", "face.onnx", "person.md"):
        (tmp_path / name).touch()
    monkeypatch.setattr(zoo, "_folder", lambda: tmp_path)
    assert zoo.embedded() == ("face", "person")
    assert zoo.path_of("face") == tmp_path / "face.onnx"
    for wrong in ("horse", "../person", "person.md", ""):
        with pytest.raises(ModelError, match=r"bundled: face, person; or give the path"):
            zoo.path_of(wrong)


def test_a_bundled_model_is_known_by_its_name_and_by_every_path_to_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = zoo.path_of("person")
    monkeypatch.chdir(file.parent)
    (tmp_path / "link.onnx").symlink_to(file)
    (tmp_path / "person.onnx").touch()
    paths = (file, str(file), Path("person.onnx"), file.parent / ".." / file.parent.name / file.name)
    for model in ("person", *paths, tmp_path / "link.onnx"):
        assert zoo.bundled_name(model) == "person"
        assert zoo.image_refinement(model) == zoo.REFINED_IMAGES["person"]
    for model in ("persons", tmp_path / "person.onnx", file.parent, file.with_name("absent")):
        assert zoo.image_refinement(model) is None


@pytest.mark.parametrize(("given", "expected"), [
    (None, Resolution(longest=352, scales=1)),
    (640, Resolution(longest=640, scales=1)),
    (Resolution(scales=2), Resolution(longest=352, scales=2)),
    (Resolution(height=368), Resolution(height=368, scales=1)),
    (Resolution(640, scales=4, scale_gap=0.2), Resolution(640, scales=4, scale_gap=0.2)),
])  # fmt: skip
def test_people_of_images_are_found_at_one_scale_unless_more_are_given(
    given: int | Resolution | None, expected: Resolution
) -> None:
    assert zoo.ImageRefinement(352, 0.1).resolution(given) == expected
    assert zoo.ImageRefinement().resolution(given) == given
