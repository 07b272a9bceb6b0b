import json

import cv2
import numpy as np
import pytest

import cairn
from cairn.errors import CairnError, CloudError, OutputError
from cairn.pointclouds.neighbors import resolution
from support.clouds import FACES, SQUARE, ascii_ply, bumpy_sphere

POINTS = bumpy_sphere(1500)


@pytest.fixture
def scan(tmp_path):
    path = tmp_path / "scan.ply"
    path.write_bytes(ascii_ply(POINTS, comments=["units mm"]))
    return path


def test_files_points_and_clouds_give_the_same_keypoints(scan):
    read = cairn.read_cloud(scan)
    expected = cairn.keypoints(scan)
    assert len(expected) > 10
    for source in (read, read.points, str(scan)):
        np.testing.assert_array_equal(cairn.keypoints(source).indices, expected.indices)
    several = cairn.keypoints([scan, read.points])
    assert [len(each) for each in several] == [len(expected)] * 2


def test_radii_in_multiples_and_in_units_are_the_same(scan):
    spacing = resolution(cairn.read_cloud(scan))
    relative = cairn.keypoints(scan, salient_radius=5, nms_radius="3")
    absolute = cairn.keypoints(scan, salient_radius=f"{5e-3 * spacing}m", nms_radius=f"{3 * spacing}mm")
    assert set(absolute.indices) == set(relative.indices)
    meters = cairn.keypoints(scan, unit="m", salient_radius=f"{5 * spacing}m", nms_radius=3)
    assert set(meters.indices) == set(relative.indices)


def test_the_best_keypoints(scan):
    every = cairn.keypoints(scan)
    np.testing.assert_array_equal(cairn.keypoints(scan, num_keypoints=5).indices, every.indices[:5])


def test_every_format_holds_the_keypoints(scan, tmp_path):
    found = cairn.keypoints(scan, out=tmp_path / "out", write="ply,csv,json,mrk,fcsv", html=True, png=True)
    stem = tmp_path / "out" / "scan.keypoints"
    for suffix in (".mrk.json", ".fcsv", ".csv", ".json"):
        if suffix != ".csv":
            np.testing.assert_allclose(cairn.read_landmarks(f"{stem}{suffix}").points, found.points)
    np.testing.assert_array_equal(cairn.read_cloud(f"{stem}.ply").points, found.points)
    table = np.genfromtxt(f"{stem}.csv", delimiter=",", names=True)
    np.testing.assert_array_equal(table["index"], found.indices)
    np.testing.assert_allclose(table["saliency"], found.scores)
    content = json.loads((tmp_path / "out/scan.keypoints.json").read_text())
    assert [each["index"] for each in content["keypoints"]] == found.indices.tolist()
    assert content["unit"] == "mm"
    assert cv2.imread(f"{stem}.png").shape[0] == 700
    assert "<canvas" in (tmp_path / "out/scan.keypoints.html").read_text()


def test_files_are_not_overwritten_unless_asked(scan, tmp_path):
    (tmp_path / "scan.keypoints.csv").write_text("mine")
    with pytest.raises(OutputError, match=r"scan\.keypoints\.csv exists.*--overwrite"):
        cairn.keypoints(scan, out=tmp_path, write="json,csv")
    assert (tmp_path / "scan.keypoints.csv").read_text() == "mine"
    assert not (tmp_path / "scan.keypoints.json").exists()
    cairn.keypoints(scan, out=tmp_path, write="csv", overwrite=True)
    assert (tmp_path / "scan.keypoints.csv").read_text().startswith("index,x,y,z,saliency\n")


def test_two_sources_of_one_name_are_an_error(scan, tmp_path):
    other = tmp_path / "other" / "scan.ply"
    other.parent.mkdir()
    other.write_bytes(scan.read_bytes())
    with pytest.raises(OutputError, match="would both be written"):
        cairn.keypoints([scan, other], write="csv", out=tmp_path / "out")


def test_indices_count_missing_points(tmp_path):
    points = np.insert(POINTS, 0, [[np.nan] * 3] * 3, axis=0)
    path = tmp_path / "scan.ply"
    path.write_bytes(ascii_ply(points))
    cairn.keypoints(path, out=tmp_path, write="csv")
    table = np.genfromtxt(tmp_path / "scan.keypoints.csv", delimiter=",", names=True)
    np.testing.assert_allclose(points[table["index"].astype(int)], np.stack([table[n] for n in "xyz"], 1), atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "sift"}, "one of iss, usip; got 'sift'"),
        ({"method": "iss", "model": "x"}, "the method iss has no model"),
        ({"method": "usip", "gamma_21": 0.5}, "gamma-21 is for the method iss"),
        ({"gamma_21": 2}, "gamma-21 must be"),
        ({"salient_radius": "large"}, "salient-radius must be"),
        ({"salient_radius": -2}, "salient-radius must be"),
        ({"num_keypoints": 0}, "num-keypoints must be at least 1"),
        ({"write": "xls"}, "expected formats of"),
        ({"unit": "mile"}, "expected a unit of length"),
        ({"threads": "all"}, "threads must be"),
    ],
)
def test_wrong_options_are_one_line(scan, options, message):
    with pytest.raises(CairnError, match=message) as raised:
        cairn.keypoints(scan, **options)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "points", [np.zeros((0, 3)), np.zeros((1, 3)), np.ones((9, 3)), np.full((9, 3), np.nan), "none.ply"]
)
def test_wrong_clouds_are_one_line(points):
    with pytest.raises(CloudError) as raised:
        cairn.keypoints(points)
    assert "\n" not in str(raised.value)


def test_registration_of_files(scan, tmp_path):
    motion = np.eye(4)
    motion[:3, 3] = [1, 2, 3]
    moved = tmp_path / "moved.ply"
    moved.write_bytes(ascii_ply(POINTS + motion[:3, 3], comments=["units mm"]))
    found = cairn.register(scan, moved, out=tmp_path, html=True)
    np.testing.assert_allclose(found.transform, motion, atol=1e-4)
    np.testing.assert_array_equal(np.loadtxt(tmp_path / "scan-to-moved.txt"), found.transform)
    content = json.loads((tmp_path / "scan-to-moved.json").read_text())
    np.testing.assert_array_equal(content["transform"], found.transform)
    assert content["unit"] == "mm"
    assert "<canvas" in (tmp_path / "scan-to-moved.html").read_text()
    with pytest.raises(OutputError, match="exists"):
        cairn.register(scan, moved, out=tmp_path)


def test_weak_registrations_are_refused_with_their_overlap(scan):
    noise = np.random.default_rng(0).uniform(-1, 1, (2000, 3))
    with pytest.raises(CloudError, match=r"cannot be registered: (their features|the overlap)"):
        cairn.register(scan, noise)
    with pytest.raises(CloudError, match="check their units"):
        cairn.register(scan, 1000 * POINTS)
    with pytest.raises(CairnError, match="min-overlap must be a share"):
        cairn.register(scan, scan, min_overlap=7)
    with pytest.raises(CairnError, match="html needs a folder"):
        cairn.register(scan, scan, html=True)


def test_repeatability_of_pairs(scan, tmp_path):
    (tmp_path / "other.ply").write_bytes(scan.read_bytes())
    (tmp_path / "pairs.json").write_text(
        json.dumps({"pairs": [{"a": "scan.ply", "b": "other.ply", "transform": np.eye(4).tolist()}]})
    )
    result = cairn.evaluate(repeatability=tmp_path / "pairs.json", num_keypoints=20, out=tmp_path / "report")
    assert result.at("iss", 2) == 1
    assert result.table()[0] == ["iss", "100.0%", "100.0%", "100.0%"]
    content = json.loads((tmp_path / "report" / "repeatability.json").read_text())
    assert content["pairs"][0]["num_keypoints"] == [20, 20]
    with pytest.raises(OutputError, match="exists"):
        result.save(tmp_path / "report")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"repeatability": "pairs.json", "labels": "val.json"}, "give either labels or pairs"),
        ({"num_keypoints": 3, "model": "person", "labels": "x"}, "num-keypoints is for repeatability"),
        ({"model": "person"}, "expected a model and the labels"),
        ({"repeatability": "none.json"}, "cannot read"),
    ],
)
def test_arguments_of_evaluate_that_contradict(arguments, message):
    with pytest.raises(CairnError, match=message):
        cairn.evaluate(**arguments)


def test_a_mesh_has_keypoints_too(tmp_path):
    (tmp_path / "square.ply").write_bytes(ascii_ply(SQUARE, FACES))
    assert len(cairn.keypoints(tmp_path / "square.ply")) <= 4
