"""Files of shapes and landmarks in folders with other files."""

import pytest

from cairn.errors import CloudError
from cairn.pointclouds.shapes.names import find_landmarks, find_shapes


def touched(folder, *names):
    for name in names:
        (folder / name).touch()


def test_names_are_those_of_specimens(tmp_path):
    touched(tmp_path, "a.b.ply", "a.b.mrk.json", "C.OBJ", "C.fcsv", "d.csv", "notes.txt", ".hidden.ply")
    assert {name: path.name for name, path in find_shapes(tmp_path).items()} == {"C": "C.OBJ", "a.b": "a.b.ply"}
    assert list(find_landmarks(tmp_path)) == ["C", "a.b", "d"]


def test_one_file_is_itself(tmp_path):
    touched(tmp_path, "a.ply")
    assert find_shapes(tmp_path / "a.ply") == {"a": tmp_path / "a.ply"}


def test_results_in_several_formats_are_one(tmp_path):
    touched(tmp_path, *(f"a.keypoints{suffix}" for suffix in (".csv", ".json", ".mrk.json", ".ply")), "a.ply")
    assert find_landmarks(tmp_path) == {"a": tmp_path / "a.keypoints.mrk.json"}
    assert find_shapes(tmp_path) == {"a": tmp_path / "a.ply"}


def test_two_label_files_of_one_specimen_contradict_each_other(tmp_path):
    touched(tmp_path, "a.csv", "a.fcsv")
    with pytest.raises(CloudError, match="both landmarks of a: keep one"):
        find_landmarks(tmp_path)
    touched(tmp_path, "a.ply", "a.stl")
    with pytest.raises(CloudError, match="both a shape of a: keep one"):
        find_shapes(tmp_path)
