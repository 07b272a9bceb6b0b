import cv2
import numpy as np
import pytest

from cairn.errors import CloudError
from cairn.pointclouds.io import read_cloud
from support.clouds import FACES, SQUARE, ascii_ply, pcd


@pytest.mark.parametrize("name", ["cloud", "cloud.obj", "cloud.pcd", "cloud.jpg", "cloud.txt"])
def test_formats_are_recognized_by_content(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(ascii_ply(SQUARE, FACES))
    assert len(read_cloud(path).faces) == 2
    path.write_bytes(pcd(SQUARE, "binary"))
    np.testing.assert_array_equal(read_cloud(path).points, SQUARE)


def test_the_given_unit_and_system_win(tmp_path):
    path = tmp_path / "a.ply"
    path.write_bytes(ascii_ply(SQUARE, comments=["units mm"]))
    assert read_cloud(path).unit == "mm"
    cloud = read_cloud(path, unit="meters", coordinate_system="ras")
    assert (cloud.unit, cloud.coordinate_system) == ("m", "RAS")
    with pytest.raises(CloudError, match="expected a unit of length"):
        read_cloud(path, unit="mile")


def foreign(tmp_path):
    image = tmp_path / "image.ply"
    cv2.imwrite(str(tmp_path / "image.png"), np.zeros((9, 9, 3), np.uint8))
    image.write_bytes((tmp_path / "image.png").read_bytes())
    contents = {
        "empty.ply": b"",
        "page.ply": b"<html><body>404</body></html>\n",
        "words.xyz": b"these are words\nand more words\n",
        "zeros.pcd": bytes(5000),
        "labels.json": b'{"images": [], "annotations": []}',
        "archive.zip": b"PK\x03\x04" + bytes(100),
        "random.stl": np.random.default_rng(0).bytes(3000),
        "ply.ply": b"ply",
        "mp4.ply": b"\0\0\0\x18ftypmp42" + bytes(400),
    }
    for name, data in contents.items():
        (tmp_path / name).write_bytes(data)
    return [image, *(tmp_path / name for name in contents)]


def test_foreign_files_are_one_line(tmp_path):
    for path in foreign(tmp_path):
        with pytest.raises(CloudError) as raised:
            read_cloud(path)
        assert "\n" not in str(raised.value)
        assert path.name in str(raised.value)


def test_the_size_is_checked_before_a_file_is_read(tmp_path):
    path = tmp_path / "large.obj"
    with path.open("wb") as file:
        file.write(b"v 0 0 0\n")
        file.truncate(5_000_000_000)  # sparse: takes no space
    with pytest.raises(CloudError, match=r"5\.0 GB, more than the 4 GB"):
        read_cloud(path)


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(CloudError, match=r"cannot read .*No such file"):
        read_cloud(tmp_path / "none.ply")
    with pytest.raises(CloudError, match="got a folder"):
        read_cloud(tmp_path)


def test_faces_of_missing_vertices_are_dropped_with_them(tmp_path, caplog):
    points = SQUARE.copy()
    points[1] = np.nan
    (tmp_path / "a.ply").write_bytes(ascii_ply(points, FACES))
    mesh = read_cloud(tmp_path / "a.ply")
    np.testing.assert_array_equal(mesh.points, SQUARE[[0, 2, 3]])
    assert mesh.faces.tolist() == [[0, 1, 2]]  # the face 0 2 3
    assert mesh.file_rows([1]).tolist() == [2]
    assert "1 of 4 points" in caplog.text


def test_las_needs_its_extra_and_says_so(tmp_path, monkeypatch):
    from cairn.errors import MissingExtra

    (tmp_path / "a.las").write_bytes(b"LASF" + bytes(400))
    monkeypatch.setattr("cairn.extras.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"cairn-pose\[las\]"):
        read_cloud(tmp_path / "a.las")


@pytest.mark.parametrize("name", ["a.las", "a.laz"])
def test_las_and_laz(tmp_path, name):
    laspy = pytest.importorskip("laspy")
    las = laspy.create(point_format=2)
    las.header.scales = [0.001] * 3
    las.x, las.y, las.z = (1000 + SQUARE).T
    las.red = [65535, 0, 257, 0]
    las.write(tmp_path / name)
    cloud = read_cloud(tmp_path / name)
    np.testing.assert_allclose(cloud.points, 1000 + SQUARE, atol=1e-9)
    assert cloud.colors[:, 0].tolist() == [255, 0, 1, 0]
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[: len(data) - 40])
    with pytest.raises(CloudError, match="truncated"):
        read_cloud(tmp_path / name)
