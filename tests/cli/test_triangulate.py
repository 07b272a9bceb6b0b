"""`cairn triangulate`: output, files and errors of one line."""

from pathlib import Path

import numpy as np
import pytest

from cairn.cli import main
from cairn.media.video import has_pyav, open_video, write_video
from cairn.multiview.cameras import write_cameras
from support.made_rigs import detected, ring, walking


def run(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as stopped:
        main(["triangulate", *map(str, arguments)])
    return int(stopped.value.code or 0)


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with cameras.toml, cam1.csv, cam2.csv and cam3.csv."""
    rig = ring(3)
    write_cameras(rig, tmp_path / "cameras.toml")
    for name, frames in detected(rig, walking(12), noise=1).items():
        lines = ["image,frame,seconds,person,id,score,joint,x,y,confidence"]
        for i, poses in enumerate(frames):
            for joint, (x, y) in zip(poses.skeleton.joints, poses.keypoints[0], strict=True):
                lines.append(f"{name}.mp4,{i},{i / 25},0,,0.9,{joint},{x:.3f},{y:.3f},0.9")
        (tmp_path / f"{name}.csv").write_text("\n".join(lines))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_three_cameras_to_trc(session: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("cam1.csv", "cam2.csv", "cam3.csv", "--cameras", "cameras.toml") == 0
    out = capsys.readouterr().out
    assert "1 instance of coco17 in 12 frames at 25 Hz, 100% of keypoints known" in out
    assert "cam3" in out
    assert "meters, z up (.trc: Y up; .c3d: millimeters) -> triangulation" in out
    assert sorted(path.name for path in (session / "triangulation").iterdir()) == [
        "poses3d.html",
        "poses3d.json",
        "poses3d.trc",
    ]
    assert run("cam1.csv", "cam2.csv", "cam3.csv", "--cameras", "cameras.toml") == 0
    assert (session / "triangulation-2" / "poses3d.trc").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["cam1.csv", "cam2.csv", "cam3.csv", "--cameras", "none.toml"], "no cameras at none.toml"),
        (["cam1.csv", "--cameras", "cameras.toml"], "at least two cameras, got only cam1"),
        (["cam1=cam2.csv", "cam2=cam1.csv", "cam3=cam3.csv", "--cameras", "cameras.toml"], "cam1 and cam2 seem to be"),
        (["cam1.csv", "cam2.csv", "--cameras", "cameras.toml", "--write", "bvh"], "got 'bvh'"),
        (["cam1.csv", "cam2.csv", "--cameras", "cameras.toml", "--draw"], "camera cam1 has no video to draw on"),
    ],
)
def test_errors_are_one_line_and_leave_nothing(
    session: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    before = sorted(session.iterdir())
    assert run(*arguments) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert message in lines[-1]
    assert lines[-1].startswith("cairn: ")
    assert sorted(session.iterdir()) == before


def test_the_report_of_evaluate(session: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("cam1.csv", "cam2.csv", "cam3.csv", "--cameras", "cameras.toml", "--out", "a")
    run("cam1.csv", "cam2.csv", "cam3.csv", "--cameras", "cameras.toml", "--out", "b", "--smooth", "1")
    capsys.readouterr()
    with pytest.raises(SystemExit) as stopped:
        main(["evaluate", "b/poses3d.json", "a/poses3d.json"])
    assert not stopped.value.code
    out = capsys.readouterr().out
    assert "PA-MPJPE" in out
    assert "12 of 12 instances of the ground truth have a track" in out
    assert (session / "evaluation-poses3d" / "metrics.json").is_file()


def test_reprojections_are_drawn_on_the_videos(session: Path) -> None:
    suffix = ".mp4" if has_pyav() else ".webm"
    for i in (1, 2, 3):
        with write_video(session / f"view{i}{suffix}", (270, 480), 25.0) as writer:
            for _ in range(4):
                writer.write(np.zeros((270, 480, 3), np.uint8))
    videos = [word for i in (1, 2, 3) for word in ("--videos", f"cam{i}=view{i}{suffix}")]
    inputs = ["cam1.csv", "cam2.csv", "cam3.csv"]
    assert run(*inputs, "--cameras", "cameras.toml", "--out", "drawn", "--draw", *videos, "--threads", "1") == 0
    with open_video(session / "drawn" / f"cam2.reprojected{suffix}") as video:
        images = [frame.image for frame in video if frame.image is not None]
    assert len(images) == 4
    assert all(image.max() > 100 for image in images)
