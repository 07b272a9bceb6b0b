"""Laws: what is written is read as the same cameras, whatever the format."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from cairn.errors import CairnError, CameraError
from cairn.multiview.cameras import FORMATS, read_cameras, read_intrinsics, write_cameras
from cairn.structures.camera import Camera, Rig, rotation_matrix

PRECISION = 1e-6


def rig(lengths: tuple[int, ...] = (5, 4, 0), names: tuple[str, ...] = ("left", "top-2", "cam_03")) -> Rig:
    rng = np.random.default_rng(3)
    cameras = []
    for name, length in zip(names, lengths, strict=True):
        matrix = [[900 + 90 * rng.random(), 0, 640 + rng.random()], [0, 910.1, 350.2], [0, 0, 1]]
        distortion = 0.05 * rng.standard_normal(length)
        rotation = rotation_matrix(0.3 * rng.standard_normal(3))
        cameras.append(Camera(name, matrix, distortion, rotation, rng.normal([0, 0, 4]), (720, 1281)))
    return Rig(tuple(cameras))


def points() -> np.ndarray:
    return np.random.default_rng(5).uniform(-0.5, 0.5, (40, 3))


def same(one: Rig, other: Rig) -> None:
    np.testing.assert_allclose(one.project(points()), other.project(points()), atol=PRECISION)
    assert [camera.size for camera in one] == [camera.size for camera in other]
    assert [camera.fisheye for camera in one] == [camera.fisheye for camera in other]


@pytest.mark.parametrize("each", FORMATS, ids=lambda each: each.name)
@pytest.mark.parametrize("lengths", [(5, 4, 0), (5, 5, 5), (0, 0, 0), (4, 4, 4)])
def test_round_trip_keeps_projections(tmp_path: Path, each, lengths: tuple[int, ...]) -> None:
    cameras = rig(lengths)
    suffix = next(iter(each.suffixes), ".toml")
    path = tmp_path / (suffix if suffix == "camera_array.toml" else f"cameras{suffix}")
    write_cameras(cameras, path, each.name)
    found = read_cameras(path)
    same(cameras, found)
    if each.name != "caliscope":  # which has numbers alone
        assert found.names == cameras.names


@pytest.mark.parametrize("each", [entry for entry in FORMATS if entry.fisheye], ids=lambda each: each.name)
def test_round_trip_of_fisheye_and_long_distortion(tmp_path: Path, each) -> None:
    cameras = rig((8, 12, 5))
    bent = rig((4, 4, 4), ("a", "b", "c"))[0]
    bent = Camera(bent.name, bent.matrix, bent.distortion, bent.rotation, bent.translation, bent.size, fisheye=True)
    cameras = Rig((*cameras.cameras, bent))
    path = tmp_path / f"cameras{next(iter(each.suffixes), '.toml').removeprefix('camera_array')}"
    write_cameras(cameras, path, each.name)
    same(cameras, read_cameras(path))


@pytest.mark.parametrize("each", [entry for entry in FORMATS if not entry.fisheye], ids=lambda each: each.name)
def test_a_camera_that_a_format_cannot_hold_is_refused(tmp_path: Path, each) -> None:
    bent = rig((4, 4, 4))[0]
    bent = Camera(bent.name, bent.matrix, bent.distortion, bent.rotation, bent.translation, bent.size, fisheye=True)
    path = tmp_path / "out"
    with pytest.raises(CameraError, match="fisheye"):
        write_cameras(Rig((bent,)), path, each.name)
    with pytest.raises(CameraError, match="has 8"):
        write_cameras(rig((8, 5, 5)), path, each.name)
    assert not path.exists()


@pytest.mark.parametrize(
    ("name", "format"),
    [
        ("cameras.toml", "cairn"),
        ("camera_array.toml", "caliscope"),
        ("Calib.qca.txt", "qualisys"),
        ("x.yml", "opencv"),
        ("x.YAML", "opencv"),
        ("x.json", "json"),
        ("folder", "easymocap"),
    ],
)
def test_format_follows_from_the_name(tmp_path: Path, name: str, format: str) -> None:
    cameras = rig()
    write_cameras(cameras, tmp_path / "a" / name)
    write_cameras(cameras, tmp_path / "b" / name, format)
    files = [path for path in (tmp_path / "a").rglob("*") if path.is_file()]
    assert files
    for file in files:
        assert file.read_bytes() == (tmp_path / "b" / file.relative_to(tmp_path / "a")).read_bytes()


def test_names_that_need_quotes(tmp_path: Path) -> None:
    cameras = rig(names=('Kamera "1"', "übersicht.mp4", "a\\b"))
    for name, format in (("a.toml", "cairn"), ("b.toml", "pose2sim"), ("c.qca.txt", None), ("d.json", None)):
        write_cameras(cameras, tmp_path / name, format)
        assert read_cameras(tmp_path / name).names == cameras.names


def test_matrices_are_read_by_opencv(tmp_path: Path) -> None:
    """The files of OpenCV and EasyMocap are what cv2.FileStorage reads."""
    cameras = rig()
    write_cameras(cameras, tmp_path / "x.yml")
    file = cv2.FileStorage(str(tmp_path / "x.yml"), cv2.FILE_STORAGE_READ)
    np.testing.assert_array_equal(
        np.asarray(file.getNode("Ks").mat()).reshape(3, 3, 3), [camera.matrix for camera in cameras]
    )
    write_cameras(cameras, tmp_path / "e")
    file = cv2.FileStorage(str(tmp_path / "e" / "extri.yml"), cv2.FILE_STORAGE_READ)
    np.testing.assert_array_equal(file.getNode("T_left").mat().reshape(3), cameras["left"].translation)


def test_what_opencv_writes_is_read(tmp_path: Path) -> None:
    """The result of OpenCV's sample of multi-view calibration, and of its calibration of one camera and of a pair."""
    cameras = rig((5, 5, 5))
    file = cv2.FileStorage(str(tmp_path / "multi.yaml"), cv2.FILE_STORAGE_WRITE)
    file.write("cam_ids", ",".join(cameras.names))
    file.write("Ks", np.array([camera.matrix for camera in cameras]))
    file.write("distortions", np.array([camera.distortion[None] for camera in cameras]))
    file.write("rvecs", np.array([cv2.Rodrigues(camera.rotation)[0] for camera in cameras]))
    file.write("Ts", np.array([camera.translation[:, None] for camera in cameras]))
    file.write("image_sizes", np.array([camera.size[::-1] for camera in cameras]))
    file.write("is_fisheye", np.zeros(3, int))
    file.release()
    same(cameras, read_cameras(tmp_path / "multi.yaml"))

    one = cameras[0]
    file = cv2.FileStorage(str(tmp_path / "one.yml"), cv2.FILE_STORAGE_WRITE)
    file.write("image_width", 1281)
    file.write("image_height", 720)
    file.write("camera_matrix", one.matrix)
    file.write("distortion_coefficients", one.distortion[:, None])
    file.release()
    with pytest.raises(CameraError, match="no pose of camera one"):
        read_cameras(tmp_path / "one.yml")
    found = read_intrinsics(tmp_path / "one.yml")["one"]
    np.testing.assert_array_equal(found.matrix, one.matrix)
    np.testing.assert_array_equal(found.distortion, one.distortion)
    assert found.size == one.size

    file = cv2.FileStorage(str(tmp_path / "intrinsics.yml"), cv2.FILE_STORAGE_WRITE)
    for i in (0, 1):
        file.write(f"M{i + 1}", cameras[i].matrix)
        file.write(f"D{i + 1}", cameras[i].distortion[None])
    file.release()
    relative = cameras[1].rotation @ cameras[0].rotation.T
    file = cv2.FileStorage(str(tmp_path / "extrinsics.yml"), cv2.FILE_STORAGE_WRITE)
    file.write("R", relative)
    file.write("T", (cameras[1].translation - relative @ cameras[0].translation)[:, None])
    file.release()
    pair = read_cameras(tmp_path / "intrinsics.yml")
    inside = cameras[0].to_camera(points())
    np.testing.assert_allclose(pair.project(inside), cameras.project(points())[:2], atol=PRECISION)


def test_ros_camera_info_is_read(tmp_path: Path) -> None:
    path = tmp_path / "info.yaml"
    path.write_text(
        "image_width: 640\nimage_height: 480\ncamera_name: front\ncamera_matrix:\n  rows: 3\n  cols: 3\n"
        "  data: [500.5, 0, 320, 0, 501, 240, 0, 0, 1]\ndistortion_model: plumb_bob\n"
        "distortion_coefficients:\n  rows: 1\n  cols: 5\n  data: [0.1, -0.2, 0, 0, 0.01]\n"
    )
    found = read_intrinsics(path)["front"]
    np.testing.assert_array_equal(found.matrix, [[500.5, 0, 320], [0, 501, 240], [0, 0, 1]])
    np.testing.assert_array_equal(found.distortion, [0.1, -0.2, 0, 0, 0.01])
    assert found.size == (480, 640)


def in_millimeters(tmp_path: Path, metadata: str = "") -> Path:
    cameras = rig()
    path = tmp_path / "calibration.toml"
    write_cameras(cameras.moved(np.eye(3), np.zeros(3), 1000.0), path, "anipose")
    if metadata:
        path.write_text(re.sub(r"\[metadata\](?s:.*)", f"[metadata]\n{metadata}\n", path.read_text()))
    return path


def test_unit_is_an_option_and_a_wrong_one_is_noticed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = in_millimeters(tmp_path)
    with caplog.at_level(logging.WARNING):
        same(rig(), read_cameras(path, unit="mm"))
        assert not caplog.messages
        read_cameras(path)
        assert len(caplog.messages) == 1
        assert "millimeters" in caplog.messages[0]
        assert str(path) in caplog.messages[0]
    caplog.clear()
    write_cameras(rig(), tmp_path / "m.json")
    with caplog.at_level(logging.WARNING):
        read_cameras(tmp_path / "m.json", unit="mm")
        assert "probably larger" in caplog.messages[0]
    with pytest.raises(CameraError, match="unknown unit 'inch'"):
        read_cameras(path, unit="inch")


@pytest.mark.parametrize("metadata", ['units = "mm"', "charuco_square_size = 39", "board = {square_length_mm = 58.0}"])
def test_unit_that_a_file_states(tmp_path: Path, metadata: str) -> None:
    same(rig(), read_cameras(in_millimeters(tmp_path, metadata)))


def test_qualisys_convention(tmp_path: Path) -> None:
    """A camera at (0, 0, 5000) mm that faces down, its sensor's first 10 columns not recorded."""
    path = tmp_path / "a.qca.txt"
    path.write_text(
        '<?xml version="1.0"?><calibration><cameras>'
        '<camera serial="1" model="Oqus marker"/>'
        '<camera serial="2" model="Miqus video"><fov_video left="10" right="109" top="0" bottom="49"/>'
        '<transform r11="1" r12="0" r13="0" r21="0" r22="1" r23="0" r31="0" r32="0" r33="1" x="0" y="0" z="5000"/>'
        '<intrinsic focalLengthU="6400" focalLengthV="6400" centerPointU="3840" centerPointV="1600" '
        'radialDistortion1="0" radialDistortion2="0" tangentalDistortion1="0" tangentalDistortion2="0"/></camera>'
        "</cameras></calibration>"
    )
    (camera,) = read_cameras(path)
    assert (camera.name, camera.size) == ("2", (50, 100))
    np.testing.assert_allclose(camera.center, [0, 0, 5])
    np.testing.assert_allclose(camera.project([[0, 0, 0], [1, 0, 0], [0, 1, 0]]), [[50, 25], [70, 25], [50, 5]])


def test_caliscope_skips_cameras_that_are_not_calibrated(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_cameras(rig(), tmp_path / "camera_array.toml")
    path = tmp_path / "camera_array.toml"
    path.write_text(path.read_text().replace("ignore = false", "ignore = true", 1) + "[cameras.9]\nsize = [1, 1]\n")
    with caplog.at_level(logging.WARNING):
        assert len(read_cameras(path)) == 2
    assert len(caplog.messages) == 2


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.toml", "[cam_0]\nname = 'a'\nmatrix = [[1,0,0],[0,1,0],[0,0,1]]\n"),
        ("a.toml", "x = 1"),
        ("a.toml", "[cam_0"),
        ("a.toml", "[cam_0]\nmatrix = 'no'\ndistortions = []\nrotation = [0,0,0]\ntranslation = [0,0,0]\n"),
        ("a.toml", "[c]\nmatrix = [[1,0,0],[0,1,0],[0,0,1]]\ndistortions=[1,2]\nrotation=[0,0]\ntranslation=[0,0,0]\n"),
        (
            "a.toml",
            "[c]\nmatrix = [[1,0,0],[0,1,0],[0,0,1]]\ndistortions=[]\nrotation=[0,0,0]\ntranslation=[nan,0,0]\n",
        ),
        (
            "a.json",
            '{"cameras": {"a": {"K": [[1,0,0],[0,1,0],[0,0,1]], "R": [[1,0,0],[0,1,0],[0,0,-1]], "t": [0,0,0]}}}',
        ),
        ("a.json", '{"units": "ft", "cameras": {"a": {"K": 1}}}'),
        ("a.json", "[1, 2]"),
        ("a.json", "{"),
        ("a.qca.txt", "<calibration><camera><transform/></camera></calibration>"),
        ("a.qca.txt", "<!DOCTYPE a><calibration><camera><transform/></camera></calibration>"),
        ("a.qca.txt", "<calibration><camera>"),
        ("a.yml", "%YAML:1.0\n---\nKs: 3\ndistortions: [1]\n"),
        ("a.yml", "%YAML:1.0\n---\nKs: [1, 2]\ndistortions: [1]\n"),
        ("a.yml", "%YAML:1.0\n---\nKs: [1, 0, 2, 0, 1, 2, 0, 0, 1]\ndistortions: [1]\nrvecs: [1]\n"),
        ("a.yml", "{{{{"),
        ("a.yml", "a: 1"),
        ("intri.yml", '%YAML:1.0\n---\nnames:\n   - "1"\n'),
        ("a.txt", "hello"),
        ("a.bin", "\0"),
    ],
)
def test_damaged_files_are_one_line(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(CairnError) as error:
        read_cameras(tmp_path / name)
    assert str(tmp_path) in str(error.value)
    assert "\n" not in str(error.value)


def test_missing_file_and_unknown_names(tmp_path: Path) -> None:
    with pytest.raises(CameraError, match="no cameras at"):
        read_cameras(tmp_path / "nothing.toml")
    with pytest.raises(CameraError, match="unknown format"):
        write_cameras(rig(), tmp_path / "a.toml", "vicon")
    with pytest.raises(CairnError, match=r"expected \.toml"):
        write_cameras(rig(), tmp_path / "a.xcp")
    assert not list(tmp_path.iterdir())
