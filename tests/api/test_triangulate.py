"""`cairn.triangulate`: inputs of several kinds, matched to cameras, aligned and checked."""

import json
import logging
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import cairn
from cairn.api.camera_names import cameras_of
from cairn.api.camera_recordings import aligned, in_pixels_of, read_offsets
from cairn.datasets.recordings import Recording
from cairn.errors import CairnError, CameraError, LabelError, OutputError
from cairn.media.video import has_pyav, write_video
from cairn.multiview.cameras import write_cameras
from cairn.structures.camera import Rig
from cairn.structures.poses import Poses
from cairn.structures.skeleton import load_skeleton
from support.made_rigs import BODY, detected, poses_of, ring, walking

CAMERAS = ("cam1", "cam2", "cam3")


def jsonl(path: Path, frames: list[Poses], size: tuple[int, int] = (1080, 1920), rate: float = 25.0) -> Path:
    """Writes results as `cairn detect` does for a video."""
    skeleton = frames[0].skeleton
    lines = []
    for i, poses in enumerate(frames):
        people = [
            {
                "score": 0.9,
                "keypoints": {
                    joint: [float(x), float(y), 0.9] if np.isfinite(x) else None
                    for joint, (x, y) in zip(skeleton.joints, points, strict=True)
                },
            }
            for points in poses.keypoints
        ]
        lines.append(
            {
                **{"format": "cairn", "version": 1, "image": "x.mp4", "frame": i, "seconds": i / rate},
                **{"width": size[1], "height": size[0], "model": "made", "people": people},
                "skeleton": {"name": skeleton.name, "joints": list(skeleton.joints), "limbs": []},
            }
        )
    path.write_text("\n".join(map(json.dumps, lines)))
    return path


@pytest.fixture
def rig() -> Rig:
    return ring(3)


@pytest.fixture
def truth() -> np.ndarray:
    return walking(15)


@pytest.fixture
def files(rig: Rig, truth: np.ndarray, tmp_path: Path) -> list[Path]:
    return [jsonl(tmp_path / f"{name}.cairn.jsonl", own) for name, own in detected(rig, truth).items()]


def worst(result: Any, truth: np.ndarray) -> float:
    return float(np.abs(result.trajectories.keypoints - truth).max())


def test_poses_by_camera_and_a_rig(rig: Rig, truth: np.ndarray) -> None:
    result = cairn.triangulate(detected(rig, truth), rig, rate=25)
    assert worst(result, truth) < 1e-3
    assert result.trajectories.rate == 25


def test_files_and_a_file_of_cameras(rig: Rig, truth: np.ndarray, files: list[Path], tmp_path: Path) -> None:
    write_cameras(rig, tmp_path / "cameras.toml")
    out = tmp_path / "out"
    result = cairn.triangulate(files[::-1], tmp_path / "cameras.toml", out=out)
    assert worst(result, truth) < 0.01
    assert sorted(path.name for path in out.iterdir()) == ["poses3d.html", "poses3d.json", "poses3d.trc"]
    report = cairn.evaluate(out / "poses3d.json", out / "poses3d.json")
    assert report.metrics["MPJPE"] == 0


def test_a_subset_of_the_cameras(rig: Rig, truth: np.ndarray, files: list[Path], caplog: Any) -> None:
    with caplog.at_level(logging.WARNING):
        result = cairn.triangulate(files[1:], rig)
    assert worst(result, truth) < 0.05
    assert "no input is of camera cam1" in caplog.text


@pytest.mark.parametrize(
    ("inputs", "cameras", "expected"),
    [
        (["cam2.mp4", "cam1.mp4"], ("cam1", "cam2"), ["cam1.mp4", "cam2.mp4"]),
        (["x/cam_02_json", "x/cam_01_json"], ("cam1", "cam2"), ["x/cam_01_json", "x/cam_02_json"]),
        (
            ["trial1_2.cairn.jsonl", "trial1_1.cairn.jsonl"],
            ("1", "2"),
            ["trial1_1.cairn.jsonl", "trial1_2.cairn.jsonl"],
        ),
        (["left/video.mp4", "right/video.mp4"], ("right", "left"), ["right/video.mp4", "left/video.mp4"]),
        (["cam1/pose/k.json", "cam0/pose/k.json"], ("cam0", "cam1"), ["cam0/pose/k.json", "cam1/pose/k.json"]),
        (["cam12.mp4", "cam1.mp4"], ("cam1", "cam12"), ["cam1.mp4", "cam12.mp4"]),
        (["b=x.mp4", "a=y.mp4"], ("a", "b"), ["y.mp4", "x.mp4"]),
        (["GX01.mp4", "GX02.mp4"], ("front", "side"), ["GX01.mp4", "GX02.mp4"]),
    ],
)
def test_inputs_are_matched_to_cameras(inputs: list[str], cameras: tuple[str, ...], expected: list[str]) -> None:
    found, note = cameras_of(inputs, cameras)
    assert list(found) == list(cameras)
    assert list(found.values()) == expected
    assert (note is None) == ("GX01.mp4" not in inputs)
    if note:
        assert "front GX01.mp4, side GX02.mp4" in note


def test_a_folder_alone_stands_for_what_names_cameras_in_it(tmp_path: Path) -> None:
    for name in ("cam2.mp4", "cam_01_json", "notes.txt", "cameras.toml", ".cam3.mp4"):
        (tmp_path / name).mkdir()
    found, note = cameras_of([str(tmp_path)], CAMERAS)
    assert found == {"cam1": tmp_path / "cam_01_json", "cam2": tmp_path / "cam2.mp4"}
    assert note is None
    (tmp_path / "cam1.mp4").mkdir()  # which of the two is meant?
    with pytest.raises(CameraError, match=r"1 input for 3 cameras .* give CAMERA=PATH"):
        cameras_of([str(tmp_path)], CAMERAS)
    assert cameras_of([str(tmp_path)], ("cam1",))[0] == {"cam1": str(tmp_path)}


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ([], "no inputs"),
        ({}, "no inputs"),
        (["a.mp4", "b.mp4"], "2 inputs for 3 cameras .* give CAMERA=PATH"),
        (["a.mp4", "b.mp4", "c.mp4", "d.mp4"], "4 inputs for 3 cameras"),
        ({"cam9": "a.mp4"}, "no camera 'cam9': it has cam1, cam2, cam3"),
        (["cam1=a.mp4", "cam1=b.mp4"], "camera cam1 has two inputs, a.mp4 and b.mp4"),
    ],
)
def test_inputs_of_no_camera_are_one_line(inputs: Any, message: str) -> None:
    with pytest.raises(CameraError, match=message):
        cameras_of(inputs, CAMERAS)


def recording(rig: Rig, scale: float = 1.0, size: tuple[int, int] | None = (1080, 1920), **more: Any) -> Recording:
    pixels = scale * (rig["cam1"].project(walking(4)) + 0.5) - 0.5
    return Recording(tuple(poses_of(own) for own in pixels), BODY, size=size, **more)


def test_smaller_images_of_the_same_aspect_are_scaled(rig: Rig, caplog: Any) -> None:
    with caplog.at_level(logging.WARNING):
        moved = in_pixels_of(rig["cam1"], recording(rig, 0.5, (540, 960)))
    assert "images of 960x540: the keypoints are scaled by 2" in caplog.text
    assert np.allclose(moved.frames[2].keypoints, recording(rig).frames[2].keypoints, atol=1e-2)


def test_a_few_missing_columns_are_a_warning(rig: Rig, caplog: Any) -> None:
    with caplog.at_level(logging.WARNING):
        moved = in_pixels_of(rig["cam1"], recording(rig, 1, (1080, 1912)))
    assert "1920x1080, its images of 1912x1080: rows or columns are missing" in caplog.text
    assert np.array_equal(moved.frames[0].keypoints, recording(rig).frames[0].keypoints)


@pytest.mark.parametrize(
    ("size", "scale", "message"),
    [
        ((1080, 1440), 1.0, "other aspect ratio|another aspect ratio"),
        ((1920, 1080), 1.0, "rotate them"),
        ((960, 540), 0.5, "rotate them"),
        (None, 2.5, "in pixels of larger images"),
    ],
)
def test_images_that_do_not_fit_the_calibration(
    rig: Rig, size: tuple[int, int] | None, scale: float, message: str
) -> None:
    with pytest.raises(CameraError, match=message):
        in_pixels_of(rig["cam1"], recording(rig, scale, size))


def several(*lengths: int, rates: tuple[float | None, ...] = (), starts: tuple[int, ...] = ()) -> dict[str, Recording]:
    poses = poses_of(np.full((1, 17, 2), 100.0))
    rates, starts = rates or (25.0,) * len(lengths), starts or (0,) * len(lengths)
    return {
        f"cam{i}": Recording((poses,) * length, BODY, start, rate)
        for i, (length, rate, start) in enumerate(zip(lengths, rates, starts, strict=True), start=1)
    }


def test_offsets_move_frames() -> None:
    common = aligned(several(10, 10), {"cam2": 3}, None)
    assert [[len(poses) for poses in own] for own in common.frames] == [[1] * 10 + [0] * 3, [0] * 3 + [1] * 10]
    assert (common.start, common.rate, common.shifts) == (0, 25, {"cam1": 0, "cam2": 3})


def test_frame_numbers_of_files_count() -> None:
    common = aligned(several(10, 8, starts=(5, 7)), {}, None)
    assert common.start == 5
    assert [sum(len(poses) for poses in own) for own in common.frames] == [10, 8]
    assert len(common.frames[1][1]) == 0


def test_different_lengths_are_a_warning(caplog: Any) -> None:
    with caplog.at_level(logging.WARNING):
        aligned(several(100, 80), {}, None)
    assert "different lengths (frames cam1 0 to 99, cam2 0 to 79)" in caplog.text


def test_an_unknown_rate_is_a_warning(caplog: Any) -> None:
    with caplog.at_level(logging.WARNING):
        assert aligned(several(3, 3, rates=(None, None)), {}, None).rate == 30
    assert "30 Hz is assumed" in caplog.text
    assert aligned(several(3, 3, rates=(None, 50.0)), {}, None).rate == 50


@pytest.mark.parametrize(
    ("recordings", "offsets", "message"),
    [
        (several(5, 5, rates=(25.0, 30.0)), {}, "camera cam1 has 25 Hz, cam2 30 Hz"),
        (several(5, 5), {"cam7": 1}, "'cam7'"),
        (several(5, 5), {"cam2": 40}, "no two cameras have a common frame: cam1 0 to 4, cam2 40 to 44"),
    ],
)
def test_recordings_that_cannot_be_aligned(
    recordings: dict[str, Recording], offsets: dict[str, float], message: str
) -> None:
    with pytest.raises(CameraError, match=message):
        aligned(recordings, offsets, None)


def test_a_rate_that_is_given_wins() -> None:
    assert aligned(several(5, 5, rates=(25.0, 30.0)), {}, 60).rate == 60


def test_offsets_of_text_files_and_mappings(tmp_path: Path) -> None:
    (tmp_path / "o.json").write_text('{"offsets": {"cam2": 3, "cam3": -1.5}}')
    (tmp_path / "o.toml").write_text("[offsets]\ncam2 = 3\ncam3 = -1.5\n")
    expected = {"cam2": 3.0, "cam3": -1.5}
    for given in ("cam2=3,cam3=-1.5", tmp_path / "o.json", tmp_path / "o.toml", expected):
        assert read_offsets(given) == expected
    assert read_offsets(None) == {}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("cam2:3", "expected CAMERA=FRAMES"),
        ("cam2=x", "offset of cam2 must be a number of frames, got 'x'"),
        ("cam2=nan", "must be finite"),
        ({"cam2": "a"}, "must be a number"),
    ],
)
def test_wrong_offsets_are_one_line(given: Any, message: str) -> None:
    with pytest.raises(CameraError, match=message):
        read_offsets(given)


def test_cameras_in_millimeters(rig: Rig, truth: np.ndarray, tmp_path: Path) -> None:
    write_cameras(rig.moved(np.eye(3), np.zeros(3), 1000), tmp_path / "cameras.json")
    text = (tmp_path / "cameras.json").read_text()
    (tmp_path / "cameras.json").write_text(text.replace('"units": "m"', '"units": "mm"'))
    result = cairn.triangulate(detected(rig, truth), tmp_path / "cameras.json", rate=25)
    assert worst(result, truth) < 1e-3


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"min_views": 1}, CairnError, "min_views must be at least 2"),
        ({"min_confidence": 2}, CairnError, "min_confidence must be from 0 to 1"),
        ({"max_error": 0}, CairnError, "max_error must be a positive"),
        ({"people": 0}, CairnError, "people must be from 1"),
        ({"smooth": -1}, CairnError, "smooth must be a number from 0"),
        ({"rate": 0}, CairnError, "rate must be a positive"),
        ({"unit": "mm"}, CairnError, "a rig is in meters"),
        ({"write": "trc"}, CairnError, "need a folder"),
        ({"draw": True}, CairnError, "need a folder"),
        ({"videos": ["a.mp4"]}, CairnError, "turn on draw"),
        ({"write": "xls", "out": "out"}, OutputError, "got 'xls'"),
        ({"draw": True, "out": "out"}, CairnError, "camera cam1 has no video to draw on"),
        ({"offsets": {"cam9": 1}}, CameraError, "'cam9'"),
    ],
)
def test_wrong_options_are_one_line_and_write_nothing(
    rig: Rig, truth: np.ndarray, tmp_path: Path, options: dict[str, Any], error: type[CairnError], message: str
) -> None:
    options = {name: tmp_path / value if name == "out" else value for name, value in options.items()}
    with pytest.raises(error, match=message):
        cairn.triangulate(detected(rig, truth), rig, **{"rate": 25, **options})
    assert list(tmp_path.iterdir()) == []


def test_existing_results_stay(rig: Rig, files: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "poses3d-2.trc").write_text("mine")
    with pytest.raises(OutputError, match=r"poses3d-2\.trc already exists"):
        cairn.triangulate(files, rig, out=out)
    assert [path.name for path in out.iterdir()] == ["poses3d-2.trc"]


def test_a_missing_input_is_named(rig: Rig, tmp_path: Path) -> None:
    with pytest.raises(LabelError, match=r"no keypoints or video at .*cam1\.jsonl"):
        cairn.triangulate([tmp_path / f"cam{i}.jsonl" for i in (1, 2, 3)], rig)


def test_inputs_that_are_no_poses(rig: Rig) -> None:
    with pytest.raises(CairnError, match="expected a path, or the Poses of each frame, got ndarray"):
        cairn.triangulate({"cam1": [np.zeros((17, 3))], "cam2": [np.zeros((17, 3))]}, rig, rate=25)


def test_a_failure_writes_nothing(rig: Rig, truth: np.ndarray, tmp_path: Path) -> None:
    recordings = detected(rig, truth)
    swapped = {"cam1": recordings["cam2"], "cam2": recordings["cam1"], "cam3": recordings["cam3"]}
    with pytest.raises(CameraError, match="cam1 and cam2 seem to be swapped"):
        cairn.triangulate(swapped, rig, rate=25, out=tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_joints_in_another_order_are_the_same_joints(rig: Rig, truth: np.ndarray) -> None:
    recordings: dict[str, Any] = detected(rig, truth)
    order = np.arange(17)[::-1]
    skeleton = replace(
        BODY, name="reversed", joints=BODY.joints[::-1], limbs=(), redundant=(), flip_pairs=(), sigmas=()
    )
    recordings["cam2"] = [poses_of(poses.keypoints[:, order], skeleton) for poses in recordings["cam2"]]
    assert worst(cairn.triangulate(recordings, rig, rate=25), truth) < 1e-3


class Detector:
    """A predictor that knows where people are in the frames of each video."""

    skeleton = BODY

    def __init__(self, recordings: dict[str, list[Poses]]) -> None:
        self.recordings = recordings

    def __call__(self, image: Any) -> Poses:
        raise AssertionError("videos are streamed")

    def stream(self, source: str, **options: Any) -> Any:
        for index, poses in enumerate(self.recordings[Path(source).stem]):
            yield SimpleNamespace(poses=poses, rate=25.0, time=index / 25, size=(1080, 1920), count=None)


def test_videos_are_detected_in_and_triangulated(rig: Rig, truth: np.ndarray, tmp_path: Path) -> None:
    suffix = ".mp4" if has_pyav() else ".webm"
    for name in rig.names:
        with write_video(tmp_path / f"{name}{suffix}", (64, 64), 25.0) as writer:
            writer.write(np.zeros((64, 64, 3), np.uint8))
    done: list[tuple[str, int, int]] = []
    result = cairn.triangulate(
        [tmp_path / f"{name}{suffix}" for name in rig.names],
        rig,
        model=Detector(detected(rig, truth)),  # type: ignore[arg-type]
        progress=lambda *values: done.append(values),
    )
    assert worst(result, truth) < 1e-3
    assert result.trajectories.rate == 25
    assert done[-1] == ("detecting cam3", 15, 15)


def test_body25b_is_a_skeleton_with_feet() -> None:
    skeleton = load_skeleton("body25b")
    assert len(skeleton) == 25
    assert skeleton.joints[:17] == load_skeleton("coco17").joints
    assert skeleton.joints[17:] == (
        *("neck", "head", "left_big_toe", "left_small_toe", "left_heel"),
        *("right_big_toe", "right_small_toe", "right_heel"),
    )
    assert len(skeleton.flip_pairs) == 11
