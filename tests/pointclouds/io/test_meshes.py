import numpy as np
import pytest

from cairn.errors import CloudError
from cairn.pointclouds.io import read_cloud
from support.clouds import FACES, SQUARE

OBJ = b"# unit: mm\no thing\nv 0 0 0\nv 1 0 0\nvt 0 0\nvt 1 1\nvn 0 0 1\nv 1 1 0.5\nv 0 1 0.25\nv 9 9 9\n"
OBJ += b"f 1/1/1 2/2/1 3/1/1\nf 1/2/1 3/1 -2/2\n"
OFF = b"OFF\n# comment\n4 2 0\n0 0 0\n1 0 0\n1 1 0.5\n0 1 0.25\n3 0 1 2\n3 0 2 3 255 0 0\n"


def read(tmp_path, data, name="mesh"):
    path = tmp_path / name
    path.write_bytes(data)
    return read_cloud(path)


def stl(points, faces, title=b""):
    triangles = np.zeros(len(faces), [("n", "<f4", 3), ("p", "<f4", (3, 3)), ("a", "<u2")])
    triangles["p"] = points[faces]
    return title.ljust(80, b"\0") + np.array(len(faces), "<u4").tobytes() + triangles.tobytes()


def ascii_stl(points, faces):
    lines = ["solid thing"]
    for face in faces:
        corners = ["vertex " + " ".join(f"{value:g}" for value in points[i]) for i in face]
        lines += ["facet normal 0 0 1", "outer loop", *corners, "endloop", "endfacet"]
    return "\n".join([*lines, "endsolid thing", ""]).encode()


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_obj_keeps_all_vertices_in_order(tmp_path, end):
    mesh = read(tmp_path, OBJ.replace(b"\n", end))
    np.testing.assert_array_equal(mesh.points, [*SQUARE, [9, 9, 9]])
    np.testing.assert_array_equal(mesh.faces, [[0, 1, 2], [0, 2, 3]])
    assert mesh.unit == "mm"


def test_obj_colors_and_polygons(tmp_path):
    data = b"v 0 0 0 1 0 0\nv 1 0 0 0 1 0\nv 1 1 0 0 0 1\nv 0 1 0 0.5 0.5 0.5\nf 1 2 3 4\n"
    mesh = read(tmp_path, data)
    assert mesh.colors.tolist() == [[255, 0, 0], [0, 255, 0], [0, 0, 255], [128, 128, 128]]
    assert mesh.faces.tolist() == [[0, 1, 2], [0, 2, 3]]


@pytest.mark.parametrize("head", [b"OFF\n", b"OFF ", b"OFF"])  # ModelNet has files without a break
def test_off(tmp_path, head):
    mesh = read(tmp_path, OFF.replace(b"OFF\n# comment\n", head))
    np.testing.assert_array_equal(mesh.points, SQUARE)
    np.testing.assert_array_equal(mesh.faces, FACES)


def test_off_with_colors(tmp_path):
    mesh = read(tmp_path, b"COFF\n3 1 0\n0 0 0 255 0 0 255\n1 0 0 0 255 0 255\n0 1 0 0 0 255 255\n3 0 1 2\n")
    assert mesh.colors.tolist() == [[255, 0, 0], [0, 255, 0], [0, 0, 255]]


@pytest.mark.parametrize("make", [stl, ascii_stl])
def test_stl_joins_corners_at_the_same_place(tmp_path, make):
    mesh = read(tmp_path, make(SQUARE, FACES))
    assert len(mesh) == 4
    np.testing.assert_array_equal(mesh.points[mesh.faces], SQUARE[FACES])


def test_a_binary_stl_whose_title_begins_with_solid(tmp_path):
    mesh = read(tmp_path, stl(SQUARE, FACES, b"solid 3D Slicer output. SPACE=LPS"))
    assert (len(mesh), mesh.coordinate_system) == (4, "LPS")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (OFF[: OFF.index(b"3 0 2")], "truncated: expected 4 vertices and 2 faces"),
        (OFF.replace(b"4 2 0", b"4"), "expected the numbers of vertices and faces"),
        (OFF.replace(b"3 0 2 3", b"4 0 2 3").replace(b" 255 0 0", b""), "face 1 cannot be read"),
        (OFF.replace(b"3 0 2 3", b"3 0 2 4"), "a face has vertex 4"),
        (OFF.replace(b"OFF\n", b"OFF BINARY\n"), "binary OFF"),
        (OFF.replace(b"1 1 0.5", b"1 1"), "vertex 2 has 2 values"),
        (OBJ.replace(b"-2/2", b"7/2"), "a face has vertex 6"),
        (OBJ.replace(b"-2/2", b"0/2"), "OBJ numbers vertices from 1"),
        (OBJ.replace(b"-2/2", b"x"), "a face cannot be read"),
        (OBJ.replace(b"v 9 9 9", b"v 9 9"), "vertex 4 has 2 values"),
        (b"o thing\nvn 0 0 1\nvn 0 0 1\n", "expected points, but it has none"),
        (ascii_stl(SQUARE, FACES)[:-40], "truncated"),
        (b"solid nothing\nendsolid\n", "expected triangles"),
        (b"OFF\n0 0 0\n", "has none"),
        (b"OFF\n100000000 0 0\n", "more than the 20,000,000"),
    ],
)
def test_damaged_files_are_one_line(tmp_path, data, message):
    with pytest.raises(CloudError, match=message) as raised:
        read(tmp_path, data)
    assert "\n" not in str(raised.value)


def test_truncated_binary_stl_is_an_error(tmp_path):
    with pytest.raises(CloudError):
        read(tmp_path, stl(SQUARE, FACES)[:-10])
