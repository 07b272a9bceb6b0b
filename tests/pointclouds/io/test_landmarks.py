import json

import numpy as np
import pytest

from cairn.errors import CloudError
from cairn.pointclouds.io.landmarks import read_landmarks, write_landmarks
from cairn.structures.cloud import Landmarks

MARKS = Landmarks(("nasion", "left, ear", "3"), [[1.5, -2, 3], [1e-7, 2, 1 / 3], [np.nan] * 3], "RAS", "mm")


def read(tmp_path, text, name="marks"):
    (tmp_path / name).write_text(text, newline="")
    return read_landmarks(tmp_path / name)


@pytest.mark.parametrize("name", ["a.mrk.json", "a.csv", "a.json"])
@pytest.mark.parametrize("system", ["LPS", "RAS"])
def test_written_landmarks_are_read_back(tmp_path, name, system):
    write_landmarks(tmp_path / name, MARKS.in_system(system))
    back = read_landmarks(tmp_path / name)
    assert (back.names, back.coordinate_system, back.unit) == (MARKS.names, system, "mm")
    np.testing.assert_array_equal(back.in_system("RAS").points, MARKS.points)


def test_fcsv_omits_landmarks_without_a_position(tmp_path):
    write_landmarks(tmp_path / "a.fcsv", MARKS)
    back = read_landmarks(tmp_path / "a.fcsv")
    assert (back.names, back.coordinate_system) == (MARKS.names[:2], "RAS")
    np.testing.assert_array_equal(back.points, MARKS.points[:2])


@pytest.mark.parametrize(("stated", "system"), [("0", "RAS"), ("1", "LPS"), ("LPS", "LPS"), ("RAS", "RAS")])
def test_systems_of_fcsv_files_of_all_versions(tmp_path, stated, system):
    text = f"# Markups fiducial file version = 4.6\n# CoordinateSystem = {stated}\n# columns = id,x,y,z,label\n"
    marks = read(tmp_path, text + "vtk_0,1,2,3,AC\nvtk_1,4,5,6,PC\n")
    assert (marks.coordinate_system, marks.names) == (system, ("AC", "PC"))
    np.testing.assert_array_equal(marks.in_system("RAS")["AC"], [1, 2, 3] if system == "RAS" else [-1, -2, 3])


@pytest.mark.parametrize(
    ("text", "names", "system"),
    [
        ("name,x,y,z\na,1,2,3\nb,4,5,6\n", ("a", "b"), None),
        ("label,l,p,s,defined,selected\na,1,2,3,1,1\nb,4,5,6,1,1\n", ("a", "b"), "LPS"),
        ("1,2,3\n4,5,6\n", ("1", "2"), None),
        ("a 1 2 3\nb 4 5 6\n", ("a", "b"), None),
        ("a;1,0;2,0;3,0\nb;4;5;6\n", ("a", "b"), None),
        ('{"a": [1, 2, 3], "b": [4, 5, 6]}', ("a", "b"), None),
        ("[[1, 2, 3], [4, 5, 6]]", ("1", "2"), None),
        (
            '{"coordinate_system": "RAS", "landmarks": [{"name": "a", "position": [1, 2, 3]}, '
            '{"name": "b", "position": [4, 5, 6]}]}',
            ("a", "b"),
            "RAS",
        ),
    ],
)
def test_tables_and_json(tmp_path, text, names, system):
    marks = read(tmp_path, text)
    assert (marks.names, marks.coordinate_system) == (names, system)
    np.testing.assert_array_equal(marks.points, [[1, 2, 3], [4, 5, 6]])


def markups(**changes):
    point = {"label": "a", "position": [1, 2, 3], "positionStatus": "defined"}
    markup = {"type": "Fiducial", "coordinateSystem": "RAS", "controlPoints": [point]} | changes
    return {"markups": [markup]}


def test_markups_without_a_system_are_lps_and_undefined_points_have_no_position(tmp_path):
    content = markups()
    del content["markups"][0]["coordinateSystem"]
    content["markups"][0]["controlPoints"].append({"label": "b", "position": [0, 0, 0], "positionStatus": "undefined"})
    marks = read(tmp_path, json.dumps(content))
    assert (marks.coordinate_system, marks.known.tolist()) == ("LPS", [True, False])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty file"),
        ('{"markups": [', "truncated or no JSON"),
        (json.dumps({"markups": []}), "have none"),
        (json.dumps({"markups": 3}), "a list of markups"),
        (json.dumps(markups(coordinateSystem="IJK")), "expected the coordinate system LPS or RAS, got IJK"),
        (json.dumps(markups(controlPoints=[{"label": "a"}])), "landmark a has no position"),
        (json.dumps(markups(controlPoints=[{"label": "a", "position": [1, 2]}])), "expected x, y and z of landmark a"),
        (json.dumps(markups(controlPoints=[{"label": "a", "position": ["1", 2, 3]}])), "expected x, y and z"),
        (
            json.dumps(markups(controlPoints=markups()["markups"][0]["controlPoints"] * 2)),
            "two landmarks have the name",
        ),
        ("# Markups fiducial file version = 4.6\n# CoordinateSystem = 2\n", "LPS or RAS, got 2"),
        ("# Markups fiducial file version = 4.6\n# CoordinateSystem = 0\nid,1,2\n", "expected x, y and z of landmark"),
        ("# Markups fiducial file version = 4.6\n# CoordinateSystem = 0\n", "has none"),
        ("name,x,y,z\na,1,2\n", "row 1 has 3 values"),
        ("name,x,y,z\na,1,2,three\n", "expected x, y and z of landmark a"),
        ("a,b\n1,2\n", "expected columns name, x, y and z"),
        ('{"a": 3}', "expected x, y and z of landmark a"),
        ("3", "expected columns"),
    ],
)
def test_wrong_files_are_one_line(tmp_path, text, message):
    with pytest.raises(CloudError, match=message) as raised:
        read(tmp_path, text)
    assert "\n" not in str(raised.value)


def test_foreign_files(tmp_path):
    (tmp_path / "a.json").write_bytes(bytes([0xFF, 0xFE, 0x00, 0x81]) * 9)
    with pytest.raises(CloudError, match="binary data"):
        read_landmarks(tmp_path / "a.json")
    with pytest.raises(CloudError, match="cannot read"):
        read_landmarks(tmp_path / "none.json")
    with pytest.raises(CloudError, match="expected a landmark file"):
        write_landmarks(tmp_path / "a.xlsx", MARKS)
