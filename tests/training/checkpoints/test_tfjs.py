"""Models of TensorFlow.js: what was written is read; damaged files are one-line errors."""

import json
from pathlib import Path

import numpy as np
import pytest

from cairn.errors import ModelError
from cairn.training.checkpoints.tfjs import read_tfjs
from support.tfjs_files import write_tfjs

WEIGHTS = {
    "a/kernel": np.random.default_rng(0).normal(size=(3, 3, 2, 4)).astype(np.float32),
    "a/bias": np.linspace(-1, 2, 4, dtype=np.float32),
    "scalar": np.array(0.25, np.float32),
    "none": np.zeros((0, 3), np.float32),
}


@pytest.mark.parametrize(("stored", "error"), [("float32", 0), ("float16", 2e-3), ("uint16", 1e-4), ("uint8", 2e-2)])
def test_weights_that_were_written_are_read(stored: str, error: float, tmp_path: Path) -> None:
    weights = {name: value for name, value in WEIGHTS.items() if value.size or not stored.startswith("u")}
    read = read_tfjs(write_tfjs(tmp_path / "model.json", weights, stored))
    assert list(read) == list(weights)
    for name, value in weights.items():
        assert read[name].shape == value.shape
        assert read[name].dtype == np.float32
        assert np.abs(read[name] - value).max(initial=0) <= error


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "model-2.bin").unlink(), "needs model-2.bin beside it"),
        (lambda folder: (folder / "model-2.bin").write_bytes(b"1234"), "is truncated: .* ends at byte"),
        (lambda folder: (folder / "model.json").write_text("{"), "not JSON"),
        (lambda folder: (folder / "model.json").write_text('{"images": []}'), "no weightsManifest"),
        (lambda folder: (folder / "model.json").write_text("[" * 10**5), "not JSON"),
        (lambda folder: (folder / "model.json").unlink(), "cannot read"),
        (lambda folder: change(folder, "shape", [-3, 4]), "damaged weightsManifest|truncated"),
        (lambda folder: change(folder, "shape", "abc"), "damaged weightsManifest"),
        (lambda folder: change(folder, "dtype", "complex"), "damaged weightsManifest"),
        (lambda folder: change(folder, "quantization", {"dtype": 5}), "damaged weightsManifest"),
    ],
)
def test_a_damaged_model_is_one_line(damage, message: str, tmp_path: Path) -> None:
    path = write_tfjs(tmp_path / "model.json", WEIGHTS, "float32")
    damage(tmp_path)
    with pytest.raises(ModelError, match=message) as caught:
        read_tfjs(path)
    assert "\n" not in str(caught.value)


def test_a_path_in_the_manifest_never_leaves_the_folder(tmp_path: Path) -> None:
    (tmp_path / "secret.bin").write_bytes(bytes(10**4))
    (tmp_path / "inner").mkdir()
    path = write_tfjs(tmp_path / "inner" / "model.json", WEIGHTS, "float32")
    content = json.loads(path.read_text())
    content["weightsManifest"][0]["paths"] = ["../secret.bin"]
    path.write_text(json.dumps(content))
    with pytest.raises(ModelError, match=r"needs secret\.bin beside it"):
        read_tfjs(path)


def change(folder: Path, key: str, value: object) -> None:
    content = json.loads((folder / "model.json").read_text())
    content["weightsManifest"][0]["weights"][0][key] = value
    (folder / "model.json").write_text(json.dumps(content))
