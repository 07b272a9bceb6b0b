import numpy as np
import pytest

from cairn.errors import CloudError
from cairn.pointclouds.io import read_cloud
from support.clouds import SQUARE


def read(tmp_path, data, name="cloud.dat"):
    path = tmp_path / name
    path.write_bytes(data)
    return read_cloud(path)


@pytest.mark.parametrize(
    "text",
    [
        b"0 0 0\n1 0 0\n1 1 0.5\n0 1 0.25\n",
        b"0\t0\t0\r\n1\t0\t0\r\n1\t1\t0.5\r\n0\t1\t0.25\r\n",
        b"x,y,z\n0,0,0\n1,0,0\n1,1,0.5\n0,1,0.25",
        b"# a comment\n// another\n\n0, 0, 0\n1, 0, 0\n1, 1, 5e-1\n0, 1, 0.25\n\n",
        b"0;0;0\n1;0;0\n1;1;0,5\n0;1;0,25\n",
        b"4\n0 0 0\n1 0 0\n1 1 0.5\n0 1 0.25\n",
        b"\xef\xbb\xbfid;X;Y;Z\n7;0;0;0\n8;1;0;0\n9;1;1;0.5\n10;0;1;0.25\n",
        b'"X","Y","Z"\n0,0,0\n1,0,0\n1,1,0.5\n0,1,0.25\n',
        b"0 0 0 17\n1 0 0 18\n1 1 0.5 19\n0 1 0.25 300\n",
    ],
)
def test_tables_of_many_dialects(tmp_path, text):
    np.testing.assert_array_equal(read(tmp_path, text).points, SQUARE)


def test_columns_with_units_normals_and_colors(tmp_path):
    cloud = read(tmp_path, b"x [mm],y [mm],z [mm],nx,ny,nz\n1,2,3,0,0,1\n4,5,6,0,2,0\n")
    assert cloud.unit == "mm"
    assert cloud.normals.tolist() == [[0, 0, 1], [0, 1, 0]]
    assert read(tmp_path, b"1 2 3 0 0 1\n4 5 6 0 1 0\n").normals is not None
    assert read(tmp_path, b"1 2 3 255 0 1\n4 5 6 7 100 9\n").colors.tolist() == [[255, 0, 1], [7, 100, 9]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"0 0 0\n1 0\n", "point 1 has 2 values, expected 3"),
        (b"0 0 0\n1 0 0 0\n0 0\n", "point 1 has 4 values, expected 3"),
        (b"0 0 0\n1 0 zero\n", "has 'zero', expected a number"),
        (b"r,g,b\n1,2,3\n4,5,6\n", "no column x, y, z; it has r, g, b"),
        (b"9\n0 0 0\n1 1 1\n", "truncated: expected 9 points, got 2"),
        (b"nan nan nan\nnan nan nan\n", "all 2 points are NaN or infinite"),
        (b"x,y,z\n1,2,3\n4,5\n", "point 1 has 2 values"),
        (b"1 2\n3 4\n", "expected a point cloud or a mesh"),
    ],
)
def test_wrong_tables_are_one_line(tmp_path, text, message):
    with pytest.raises(CloudError, match=message) as raised:
        read(tmp_path, text)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.float16, np.int32])
def test_arrays(tmp_path, kind):
    np.save(tmp_path / "a.npy", (4 * SQUARE).astype(kind))
    np.testing.assert_array_equal(read_cloud(tmp_path / "a.npy").points, 4 * SQUARE)


def test_structured_and_organized_arrays(tmp_path):
    fields = np.zeros(4, [("z", "f4"), ("x", "f8"), ("y", "f4"), ("intensity", "u1")])
    for i, name in enumerate("xyz"):
        fields[name] = SQUARE[:, i]
    np.save(tmp_path / "a.npy", fields)
    np.testing.assert_array_equal(read_cloud(tmp_path / "a.npy").points, SQUARE)
    np.save(tmp_path / "b.npy", SQUARE.reshape(2, 2, 3))
    np.testing.assert_array_equal(read_cloud(tmp_path / "b.npy").points, SQUARE)


def test_archives_by_the_names_of_their_arrays(tmp_path):
    normals = np.tile([0, 0, 2.0], (4, 1))
    np.savez(tmp_path / "a.npz", xyz=SQUARE, normals=normals, faces=[[0, 1, 2]], other=np.zeros(7))
    cloud = read_cloud(tmp_path / "a.npz")
    np.testing.assert_array_equal(cloud.points, SQUARE)
    assert cloud.faces.tolist() == [[0, 1, 2]]
    assert cloud.normals[0].tolist() == [0, 0, 1]
    np.savez(tmp_path / "b.npz", whatever=SQUARE)
    np.testing.assert_array_equal(read_cloud(tmp_path / "b.npz").points, SQUARE)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((3, 200)), "transpose it"),
        (np.zeros((5, 2)), "expected points"),
        (np.zeros(9), "expected points"),
        (np.zeros((0, 3)), "has none"),
        (np.full((2, 3), np.inf), "all 2 points are NaN or infinite"),
        (np.array([["a", "b", "c"]]), "of numbers"),
        (np.array([{}, 3], object), "Python objects"),
    ],
)
def test_wrong_arrays_are_one_line(tmp_path, array, message):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(CloudError, match=message) as raised:
        read_cloud(tmp_path / "a.npy")
    assert "\n" not in str(raised.value)


def test_truncated_arrays_and_archives(tmp_path):
    np.save(tmp_path / "a.npy", SQUARE)
    np.savez(tmp_path / "a.npz", points=SQUARE)
    for name in ("a.npy", "a.npz"):
        path = tmp_path / name
        path.write_bytes(path.read_bytes()[:-30])
        with pytest.raises(CloudError, match="truncated or damaged"):
            read_cloud(path)


def test_the_number_of_points_is_checked_before_they_are_read(tmp_path):
    array = np.lib.format.open_memmap(tmp_path / "a.npy", mode="w+", dtype="u1", shape=(100_000_000, 3))
    del array
    with pytest.raises(CloudError, match="100,000,000 points, more than the 20,000,000"):
        read_cloud(tmp_path / "a.npy")
