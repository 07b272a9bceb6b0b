"""Model files: a round trip, and files that are none."""

import json
import zipfile

import numpy as np
import pytest

from cairn.errors import ModelError
from cairn.pointclouds.shapes.files import read_shape_model, write_shape_model
from support.shapes import taught


def test_a_model_is_the_same_after_writing_and_reading(tmp_path):
    write_shape_model(tmp_path / "a.cairn", taught())
    write_shape_model(tmp_path / "b.cairn", taught())
    assert (tmp_path / "a.cairn").read_bytes() == (tmp_path / "b.cairn").read_bytes()
    read = read_shape_model(tmp_path / "a.cairn")
    assert repr(read) == repr(taught())
    assert (read.unit, read.symmetric, read.residual) == (taught().unit, taught().symmetric, taught().residual)
    for one, other in zip(read.templates, taught().templates, strict=True):
        np.testing.assert_allclose(one.shape.points, other.shape.points, atol=1e-6)
        np.testing.assert_allclose(one.landmarks, other.landmarks)
        assert one.shape.oriented == other.shape.oriented


def test_no_model(tmp_path):
    path = tmp_path / "a.cairn"
    with pytest.raises(ModelError, match="cannot read"):
        read_shape_model(path)
    for content in (b"", b"solid", b"PK\x03\x04 but no archive"):
        path.write_bytes(content)
        with pytest.raises(ModelError, match="truncated or no model"):
            read_shape_model(path)
    write_shape_model(path, taught())
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match="truncated"):
        read_shape_model(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("other.txt", "")
    with pytest.raises(ModelError, match="expected a model of landmarks"):
        read_shape_model(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 2}, "update Cairn"),
        ({"kind": "other"}, "expected a model"),
        ({"landmarks": ["a"]}, "is damaged"),
        ({"radius": None}, "is damaged"),
    ],
)
def test_damaged_models(tmp_path, change, message):
    path, changed = tmp_path / "a.cairn", tmp_path / "b.cairn"
    write_shape_model(path, taught())
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(changed, "w") as target:
        for name in archive.namelist():
            data = archive.read(name)
            target.writestr(name, json.dumps(json.loads(data) | change) if name == "model.json" else data)
    with pytest.raises(ModelError, match=message):
        read_shape_model(changed)
