"""Files of tracks in 3D, read by readers written from the documentation of each format."""

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest

from cairn.errors import LabelError, OutputError
from cairn.multiview.axes import Y_UP, with_y_up, with_z_up
from cairn.multiview.cameras import read_cameras
from cairn.multiview.reconstruction import Reconstruction, ReconstructionOptions, reconstruct
from cairn.multiview.results import FORMATS, read_tracks, write_results
from cairn.multiview.results.overlay import reprojected
from cairn.multiview.results.table import COLUMNS
from support.made_rigs import detected, ring, walking
from support.trc_files import read_trc


@pytest.fixture(scope="module")
def result() -> Reconstruction:
    rig, truth = ring(4), walking(12, 2)
    recordings = detected(rig, truth, noise=1)
    for name in ("cam1", "cam2", "cam3"):
        recordings[name][4].keypoints[:, 9] = np.nan  # known by one camera only
        recordings[name][4].confidence[:, 9] = 0
    return reconstruct(rig, list(recordings.values()), 50, ReconstructionOptions(fill=0.1), start=3)


def test_trc_is_what_opensim_reads(result: Reconstruction, tmp_path: Path) -> None:
    paths = write_results(result, tmp_path, ["trc"])
    assert [path.name for path in paths] == ["poses3d-1.trc", "poses3d-2.trc"]
    for row, path in enumerate(paths):
        header, markers, _, points = read_trc(path)
        assert (header["Units"], float(header["DataRate"]), header["OrigDataStartFrame"]) == ("m", 50, "4")
        assert markers == list(result.trajectories.skeleton.joints)
        own = result.trajectories.keypoints[:, row]
        assert np.allclose(points[..., 1], own[..., 2], atol=1e-6, equal_nan=True)  # Y is up
        nose, ankle = points[:, markers.index("nose"), 1], points[:, markers.index("left_ankle"), 1]
        assert (nose > ankle + 1).all()


def test_a_missing_marker_of_a_trc_is_nan(tmp_path: Path) -> None:
    rig = ring(2)
    recordings = detected(rig, walking(3))
    for frames in recordings.values():
        frames[1].keypoints[0, 16] = np.nan
    found = reconstruct(rig, list(recordings.values()), 29.97, ReconstructionOptions())
    (path,) = write_results(found, tmp_path, ["trc"])
    header, _, _, points = read_trc(path)
    assert np.isnan(points[1, 16]).all()
    assert np.isfinite(points).sum() == points.size - 3
    assert float(header["DataRate"]) == pytest.approx(29.97)


def test_c3d_is_in_millimeters(result: Reconstruction, tmp_path: Path) -> None:
    ezc3d = pytest.importorskip("ezc3d", reason="c3d needs ezc3d, which is in the multiview extra")
    for row, path in enumerate(write_results(result, tmp_path, ["c3d"])):
        file = ezc3d.c3d(str(path))
        parameters = file["parameters"]["POINT"]
        assert parameters["UNITS"]["value"] == ["mm"]
        assert parameters["RATE"]["value"][0] == 50
        assert parameters["LABELS"]["value"] == list(result.trajectories.skeleton.joints)
        assert parameters["Y_SCREEN"]["value"] == ["+Z"]
        points = file["data"]["points"][:3].transpose(2, 1, 0)
        own = 1000 * result.trajectories.keypoints[:, row]
        assert np.allclose(points, own, atol=0.01, equal_nan=True)


def test_tables_have_a_row_for_each_known_keypoint(result: Reconstruction, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="parquet needs pyarrow")
    csv_path, parquet_path = write_results(result, tmp_path, ["csv", "parquet"])
    with csv_path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    table = parquet.read_table(parquet_path)
    assert tuple(rows[0]) == tuple(table.column_names) == COLUMNS
    tracks = result.trajectories
    assert len(rows) == table.num_rows == tracks.known.sum()
    for row, same in zip(rows, table.to_pylist(), strict=True):
        at = (int(row["frame"]) - 3, int(row["id"]) - 1, tracks.skeleton.index(row["joint"]))
        assert [float(row[f"{axis}_m"]) for axis in "xyz"] == pytest.approx(tracks.keypoints[at].tolist(), abs=1e-6)
        assert same["x_m"] == float(row["x_m"])
        assert float(row["seconds"]) == pytest.approx(int(row["frame"]) / 50)
    marked = [row for row in rows if row["interpolated"] == "1"]
    assert {(row["frame"], row["joint"]) for row in marked} == {("7", "left_wrist")}
    assert {row["up"] for row in rows} == {"z"}
    assert table.schema.metadata[b"cairn.units"] == b"m"


def test_json_reads_back_and_has_the_cameras(result: Reconstruction, tmp_path: Path) -> None:
    (path,) = write_results(result, tmp_path, ["json"])
    content = json.loads(path.read_text())
    assert (content["format"], content["units"], content["up"], content["rate"]) == ("cairn-3d", "m", "z", 50)
    tracks, own = read_tracks(path), result.trajectories
    assert np.allclose(tracks.keypoints, own.keypoints, atol=1e-6, equal_nan=True)
    assert np.allclose(tracks.confidence, own.confidence, atol=1e-4)
    assert own.errors is not None
    assert tracks.errors is not None
    assert np.allclose(tracks.errors, own.errors, atol=0.01, equal_nan=True)
    assert np.array_equal(tracks.interpolated, own.interpolated)
    assert (tracks.rate, tracks.start, tracks.skeleton, tracks.ids.tolist()) == (50, 3, own.skeleton, [1, 2])
    points = np.nan_to_num(own.keypoints)
    assert np.abs(read_cameras(path).project(points) - result.rig.project(points)).max() < 1e-6


def test_other_units_are_read_in_meters(result: Reconstruction, tmp_path: Path) -> None:
    (path,) = write_results(result, tmp_path, ["json"])
    content = json.loads(path.read_text())
    content["units"] = "mm"
    path.write_text(json.dumps(content))
    expected = result.trajectories.keypoints / 1000
    assert np.allclose(read_tracks(path).keypoints, expected, atol=1e-6, equal_nan=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "cairn"}, "no tracks in 3D"),
        ({"version": 2}, "version 2"),
        ({"units": "feet"}, "units m, cm or mm, got 'feet'"),
        ({"rate": 0}, "positive rate"),
        ({"rate": True}, "positive rate"),
        ({"rate": None}, "positive rate"),
        ({"frames": []}, "list of frames"),
        ({"skeleton": None}, "needs a skeleton"),
        ({"frames": [{"frame": -1, "people": []}]}, "its own number, got -1"),
        ({"frames": [{"frame": 0, "people": []}, {"frame": 0, "people": []}]}, "its own number"),
        ({"frames": [{"frame": 0}]}, "frame 0 needs a list of people"),
        ({"frames": [{"frame": 0, "people": [{"keypoints": {}}]}]}, "their own id"),
        ({"frames": [{"frame": 0, "people": [{"id": 1, "keypoints": {"tail": [1, 2, 3, 1]}}]}]}, "'tail' is no joint"),
        ({"frames": [{"frame": 0, "people": [{"id": 1, "keypoints": {"nose": [1, 2]}}]}]}, "nose must be x, y, z"),
        ({"frames": [{"frame": 0, "people": [{"id": 1, "keypoints": {"nose": [1, 2, "3"]}}]}]}, "nose must be x, y, z"),
        ({"frames": [{"frame": 0, "people": [{"id": 1, "keypoints": {"nose": [1, 2, math.nan]}}]}]}, "nose must be"),
    ],
)
def test_damaged_tracks_are_one_line(
    result: Reconstruction, tmp_path: Path, change: dict[str, object], message: str
) -> None:
    (path,) = write_results(result, tmp_path, ["json"])
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(LabelError, match=message) as error:
        read_tracks(path)
    assert "\n" not in str(error.value)


def test_the_player_opens_offline(result: Reconstruction, tmp_path: Path) -> None:
    (path,) = write_results(result, tmp_path, ["html"])
    text = path.read_text(encoding="utf-8")
    assert "http://" not in text.replace("http://www.w3.org", "")
    assert "https://" not in text
    for name in ("instance 1", "instance 2", "cameras", "cam3"):
        assert name in text


@pytest.mark.parametrize("up", Y_UP)
def test_axes_are_turned_and_not_mirrored(up: str) -> None:
    matrix = np.array(Y_UP[up], np.float64)
    assert np.linalg.det(matrix) == 1
    direction = np.zeros(3)
    direction["xyz".index(up[-1])] = -1 if up[0] == "-" else 1
    assert with_y_up(direction, up).tolist() == [0, 1, 0]
    assert with_z_up(direction, up).tolist() == [0, 0, 1]
    assert np.linalg.det(with_z_up(np.eye(3), up)) == 1


def test_existing_files_stay(result: Reconstruction, tmp_path: Path) -> None:
    (tmp_path / "poses3d.csv").write_text("mine")
    with pytest.raises(OutputError, match=r"poses3d\.csv already exists"):
        write_results(result, tmp_path, ["json", "csv"])
    assert [path.name for path in tmp_path.iterdir()] == ["poses3d.csv"]
    assert (tmp_path / "poses3d.csv").read_text() == "mine"


def test_unknown_formats_are_listed(result: Reconstruction, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="json,trc,c3d,csv,parquet,html, got 'xlsx'"):
        write_results(result, tmp_path / "new", ["json", "xlsx"])
    assert not (tmp_path / "new").exists()


def test_reprojected_keypoints_are_those_of_the_image(result: Reconstruction) -> None:
    truth = walking(12, 2)
    pixels = result.rig["cam2"].project(truth[5])
    poses = reprojected(result, "cam2", 8, (1080, 1920))
    assert poses.ids is not None
    nearest = np.linalg.norm(poses.keypoints[:, None] - pixels, axis=-1).mean(axis=-1).min(axis=1)
    assert (nearest < 2).all()
    half = reprojected(result, "cam2", 8, (540, 960))
    assert np.allclose(half.keypoints, (poses.keypoints + 0.5) / 2 - 0.5, atol=0.01)
    assert len(reprojected(result, "cam2", 2, (1080, 1920))) == 0


def test_every_format_is_written(result: Reconstruction, tmp_path: Path) -> None:
    pytest.importorskip("ezc3d")
    pytest.importorskip("pyarrow")
    paths = write_results(result, tmp_path, list(FORMATS))
    assert all(path.stat().st_size > 100 for path in paths)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(path.name for path in paths)
