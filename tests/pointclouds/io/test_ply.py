import numpy as np
import pytest

from cairn.errors import CloudError
from cairn.pointclouds.io import read_cloud
from cairn.pointclouds.io.ply import write_ply
from support.clouds import FACES, SQUARE, ascii_ply

RANGE_GRID = b"""ply
format ascii 1.0
obj_info num_cols 3
element vertex 4
property float x
property float y
property float z
element range_grid 3
property list uchar int vertex_indices
end_header
0 0 0
1 0 0
1 1 0.5
1 0 0
1 0
0
2 1 2
"""


def read(tmp_path, data, name="cloud.ply"):
    path = tmp_path / name
    path.write_bytes(data)
    return read_cloud(path)


def binary_ply(order, faces=(), kinds=("float", "f4"), counts=("uchar", "u1")):
    sign = {"little": "<", "big": ">"}[order]
    header = [f"ply\nformat binary_{order}_endian 1.0\nelement vertex {len(SQUARE)}"]
    header += [f"property {kinds[0]} {name}" for name in "xyz"]
    header += [f"element face {len(faces)}\nproperty uchar flag\nproperty list {counts[0]} int vertex_index"]
    data = ("\n".join([*header, "end_header"]) + "\n").encode() + SQUARE.astype(sign + kinds[1]).tobytes()
    for face in faces:
        data += b"\7" + np.array(len(face), sign + counts[1]).tobytes() + np.array(face, sign + "i4").tobytes()
    return data


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_ascii_with_any_line_ending(tmp_path, end):
    cloud = read(tmp_path, ascii_ply(SQUARE, FACES, end, comments=["units mm", "SPACE=RAS"]))
    np.testing.assert_allclose(cloud.points, SQUARE)
    np.testing.assert_array_equal(cloud.faces, FACES)
    assert (cloud.unit, cloud.coordinate_system) == ("mm", "RAS")


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_range_grids_keep_every_vertex_also_equal_ones(tmp_path, end):
    cloud = read(tmp_path, RANGE_GRID.replace(b"\n", end))
    assert cloud.points.tolist() == [[0, 0, 0], [1, 0, 0], [1, 1, 0.5], [1, 0, 0]]
    assert cloud.faces is None


@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize(("kinds", "counts"), [(("float", "f4"), ("uchar", "u1")), (("double", "f8"), ("int", "i4"))])
def test_binary_in_both_orders_with_other_properties(tmp_path, order, kinds, counts):
    cloud = read(tmp_path, binary_ply(order, FACES, kinds, counts))
    np.testing.assert_allclose(cloud.points, SQUARE)
    np.testing.assert_array_equal(cloud.faces, FACES)


@pytest.mark.parametrize("order", ["little", "big"])
def test_polygons_of_different_lengths_become_triangles(tmp_path, order):
    cloud = read(tmp_path, binary_ply(order, [[0, 1, 2, 3], [0, 1, 2]]))
    assert {tuple(face) for face in cloud.faces.tolist()} == {(0, 1, 2), (0, 2, 3)}
    text = read(tmp_path, ascii_ply(SQUARE, [[0, 1, 2, 3], [0, 1, 2]]), "text.ply")
    np.testing.assert_array_equal(text.faces, cloud.faces)


def test_colors_and_normals(tmp_path):
    extra = ["property uchar red", "property uchar green", "property uchar blue"]
    extra += ["property float nx", "property float ny", "property float nz"]
    rows = np.column_stack([SQUARE, np.tile([255, 10, 0, 0, 0, 2], (4, 1))])
    cloud = read(tmp_path, ascii_ply(rows, extra=extra))
    assert cloud.colors[0].tolist() == [255, 10, 0]
    assert cloud.normals[0].tolist() == [0, 0, 1]
    zero = np.column_stack([SQUARE, np.zeros((4, 6))])
    assert read(tmp_path, ascii_ply(zero, extra=extra)).normals is None


def test_written_points_are_read_back_exactly(tmp_path):
    points = np.random.default_rng(0).normal(size=(50, 3))
    x, y, z = points.T
    write_ply(tmp_path / "a.ply", {"x": x, "y": y, "z": z, "index": np.arange(50, dtype=np.int32)}, ["units mm"])
    cloud = read_cloud(tmp_path / "a.ply")
    np.testing.assert_array_equal(cloud.points, points)
    assert cloud.unit == "mm"


ASCII, BINARY = ascii_ply(SQUARE, FACES), binary_ply("little", FACES)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (ASCII[:60], "truncated or damaged"),
        (ASCII[: ASCII.index(b"1 1 0.5")], "truncated: expected 4 rows of vertex, got 2"),
        (ASCII[: ASCII.rindex(b"3 0")], "truncated: expected 2 rows of face, got 1"),
        (ASCII.replace(b"1 1 0.5", b"1 1"), "vertex 2 has 2 values, expected 3"),
        (ASCII.replace(b"1 1 0.5", b"1 x 0.5"), "vertex 2 has 'x', expected a number"),
        (ASCII.replace(b"1 1 0.5", b"1 1 0.5 7"), "vertex 2 has 4 values"),
        (ASCII.replace(b"3 0 2 3", b"3 0 2"), "face 1 cannot be read"),
        (ASCII.replace(b"3 0 2 3", b"3 0 2 9"), "a face has vertex 9"),
        (ASCII.replace(b"vertex 4", b"vertex 0"), "has none"),
        (ASCII.replace(b"vertex 4", b"vertex 100000000"), "100,000,000 points, more than the 20,000,000"),
        (ASCII.replace(b"element vertex", b"element vortex"), "expected an element vertex"),
        (ASCII.replace(b"property float y", b"property quad y"), "unexpected line in the PLY header"),
        (ASCII.replace(b"ascii", b"binary_middle_endian"), "unexpected line in the PLY header"),
        (ASCII.replace(b"format ascii 1.0\n", b""), "states no format"),
        (ASCII.replace(b"float x", b"float red"), "x is missing"),
        (BINARY[:-1], "truncated: expected"),
        (BINARY[: BINARY.index(b"end_header") + 30], "truncated: expected 4 rows of vertex, got 1"),
    ],
)
def test_damaged_files_are_one_line(tmp_path, data, message):
    with pytest.raises(CloudError, match=message) as raised:
        read(tmp_path, data)
    assert "\n" not in str(raised.value)


def test_every_truncation_of_a_binary_file_is_an_error(tmp_path):
    for length in range(len(BINARY) - 1, 3, -7):
        with pytest.raises(CloudError):
            read(tmp_path, BINARY[:length])
