"""`cairn calibrate` as a user runs it, on images of boards that are made here."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import cairn
from cairn.cli import main
from cairn.multiview.boards import parse_board
from cairn.multiview.cameras import read_cameras, read_intrinsics, write_cameras
from cairn.structures.camera import Rig
from support.made_boards import made_boards, made_rig, write_images

BOARD = "charuco:5x4:70mm"
RIG = Rig(tuple(replace(camera, distortion=np.zeros(5)) for camera in made_rig(3)))


def ended(arguments: list[str]) -> int:
    """Exit status of the command line."""
    with pytest.raises(SystemExit) as error:
        main(arguments)
    return int(error.value.code or 0)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    board = parse_board(BOARD)
    return write_images(tmp_path_factory.mktemp("rig"), RIG, board, made_boards(board, 12))


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("known") / "cameras.json"
    write_cameras(RIG, path)
    return path


def test_cameras_and_report_are_written(images: Path, known: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "new" / "cameras.toml"
    assert ended(["calibrate", str(images), "--board", BOARD, "--intrinsics", str(known), "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "3 cameras, RMS 0." in printed
    assert f"meters -> {out}, {out.with_name('calibration.html')}" in printed
    found = read_cameras(out)
    truth = RIG.moved(RIG[0].rotation, RIG[0].translation)
    for one, other in zip(found, truth, strict=True):
        assert one.name == other.name
        assert np.linalg.norm(one.center - other.center) < 0.01
    report = out.with_name("calibration.html").read_text()
    assert "http://" not in report.replace("http://www.w3.org", "")
    assert all(name in report for name in RIG.names)
    assert ended(["calibrate", str(images), "--board", BOARD, "--out", str(out)]) == 2
    assert "already exists" in capsys.readouterr().err


def test_python_returns_a_rig(images: Path) -> None:
    rig = cairn.calibrate([images / name for name in RIG.names], board=BOARD, intrinsics=None)
    assert isinstance(rig, cairn.Rig)
    assert rig.names == RIG.names
    assert rig.rms < 1
    assert rig.square == pytest.approx(0.07, rel=0.01)
    assert rig.files == ()


def test_only_intrinsics_and_points_of_the_scene(images: Path, known: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "lenses.toml"
    run = ["calibrate", str(images), "--board", BOARD, "--out"]
    assert ended([*run, str(out), "--only-intrinsics", "--no-report"]) == 0
    assert set(read_intrinsics(out)) == set(RIG.names)
    places = np.random.default_rng(0).uniform(-0.2, 0.2, (8, 3))
    rows = [
        f"{camera.name},{x},{y},{z},{u},{v}"
        for camera in RIG
        for (x, y, z), (u, v) in zip(places, camera.project(places), strict=True)
    ]
    (tmp_path / "points.csv").write_text("camera,x,y,z,u,v\n" + "\n".join(rows))
    posed = tmp_path / "cameras.toml"
    assert ended([*run, str(posed), "--points", str(tmp_path / "points.csv"), "--intrinsics", str(known)]) == 0
    for one, other in zip(read_cameras(posed), RIG, strict=True):
        np.testing.assert_allclose(one.extrinsics, other.extrinsics, atol=1e-5)
    capsys.readouterr()
    (tmp_path / "points.csv").write_text("camera,x,y,z,u,v\n" + "\n".join(rows[:3]))
    assert ended([*run, str(posed), "--points", str(tmp_path / "points.csv"), "--intrinsics", str(known)]) == 2


def test_convert_and_draw(known: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "rig.qca.txt"
    assert ended(["calibrate", "--convert", str(known), "--out", str(out)]) == 0
    np.testing.assert_allclose(read_cameras(out).project([[0, 0, 0.1]]), RIG.project([[0, 0, 0.1]]), atol=1e-6)
    assert ended(["calibrate", "--draw-board", str(tmp_path / "b.pdf"), "--board", BOARD]) == 0
    assert "b.pdf: A2" in capsys.readouterr().out
    assert ended(["calibrate", "--draw-board", str(tmp_path / "b.pdf"), "--board", BOARD]) == 2
    assert ended(["calibrate", "--draw-board", str(tmp_path / "c.pdf")]) == 2
    assert not (tmp_path / "c.pdf").exists()


@pytest.mark.parametrize(
    ("board", "reason"),
    [
        ("charuco:5x4:54m", "implausible"),
        ("charuco:5x4:54", "with its unit"),
        ("charuco:5x4:70mm:inverted", "pass --board charuco:5x4:70mm"),
        ("auto", "images do not show how long a square is"),
    ],
)
def test_wrong_boards_are_one_line(images: Path, tmp_path: Path, capsys, board: str, reason: str) -> None:
    out = tmp_path / "cameras.toml"
    assert ended(["calibrate", str(images), "--board", board, "--out", str(out)]) == 2
    error = capsys.readouterr().err.strip()
    assert reason in error
    assert len(error.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_board_that_is_found_out(images: Path, known: Path, capsys, tmp_path: Path) -> None:
    out = tmp_path / "cameras.toml"
    arguments = ["calibrate", str(images), "--board", "auto:70mm", "--out", str(out), "--intrinsics", str(known)]
    assert ended([*arguments, "--no-report"]) == 0
    assert "board: charuco:5x4:70mm" in capsys.readouterr().err


def test_missing_sources(tmp_path: Path, capsys) -> None:
    assert ended(["calibrate", "--board", BOARD]) == 2
    assert "nothing to calibrate" in capsys.readouterr().err
    assert ended(["calibrate", str(tmp_path), "--board", BOARD]) == 2
    assert "no image or video" in capsys.readouterr().err
