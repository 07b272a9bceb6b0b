"""Recordings of real cameras: a few seconds of the data set `rigs`, unpacked in .data/rigs."""

from pathlib import Path

import numpy as np
import pytest

import cairn
from shelf import measure
from support import DATA
from support.trc_files import read_trc

pytestmark = pytest.mark.data


@pytest.fixture(scope="module")
def rigs() -> Path:
    if not (DATA / "rigs" / "shelf" / "cameras.json").is_file():
        pytest.skip(f"no data set at {DATA / 'rigs'}")
    return DATA / "rigs"


def test_openpose_json_of_four_cameras_becomes_a_trc(rigs: Path, tmp_path: Path) -> None:
    folder = rigs / "pose2sim"
    if not (folder / "cam01_json").is_dir():
        pytest.skip(f"pose.tar.gz is not unpacked in {folder}")
    result = cairn.triangulate(
        {f"cam0{i}": folder / f"cam0{i}_json" for i in range(1, 5)},
        folder / "calibration" / "Calib.qca.txt",
        skeleton="body25b",
        people=1,
        rate=60,
        out=tmp_path / "out",
        write=["trc"],
    )
    assert (len(result.trajectories), result.up) == (100, "z")
    assert np.nanmedian(result.residuals) < 13.8  # px, of plain triangulation
    assert max(result.camera_errors().values()) < 20
    header, markers, _, points = read_trc(next((tmp_path / "out").glob("*.trc")))
    assert (header["Units"], float(header["DataRate"]), len(points)) == ("m", 60, 100)
    height = points[:, markers.index("nose"), 1] - points[:, markers.index("left_heel"), 1]
    assert 1.2 < np.nanmedian(height) < 1.9  # Y up, in meters


def test_people_of_shelf_are_matched_without_ground_truth(rigs: Path) -> None:
    if not (rigs / "shelf" / "detections" / "cam0").is_dir():
        pytest.skip(f"detections.tar.gz is not unpacked in {rigs / 'shelf' / 'detections'}")
    measured = measure(rigs / "shelf", 40)
    assert measured.average(central=False) >= 95
    assert np.nanmedian(measured.errors) < 0.06
