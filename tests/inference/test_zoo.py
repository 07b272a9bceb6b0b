"""Bundled models are loaded by name; an unknown name raises an error that lists the models."""

from pathlib import Path

import pytest

from cairn.errors import ModelError
from cairn.inference import zoo
from cairn.inference.lifter import Lifter
from cairn.inference.network import OnnxNetwork


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
