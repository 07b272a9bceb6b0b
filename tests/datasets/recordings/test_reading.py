"""Recordings: the poses of every frame with their confidence, from results and labels of any format."""

import csv
import json
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import pytest

from cairn.datasets.recordings import read_recording
from cairn.errors import CairnError, LabelError
from cairn.media.names import ImageName
from cairn.results import Detections, WriterOptions, create_writers
from cairn.structures.poses import Poses
from cairn.structures.skeleton import load_skeleton
from support.made_rigs import STANDING, poses_of


def openpose(folder: Path, people: list[list[Any]], name: str = "cam1.{:04d}", ending: str = "") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for i, frame in enumerate(people):
        rows = [{"person_id": [-1], "pose_keypoints_2d": np.ravel(person).tolist()} for person in frame]
        (folder / f"{name.format(i)}{ending}.json").write_text(json.dumps({"version": 1.3, "people": rows}))
    return folder


def person(skeleton: str, scale: float = 300.0) -> np.ndarray:
    """(K, 3) a standing person with the joints of a skeleton that has COCO's joints."""
    coco, own = load_skeleton("coco17"), load_skeleton(skeleton)
    rows = {joint: STANDING[i, 1:] for i, joint in enumerate(coco.joints)}
    rows["neck"] = (rows["left_shoulder"] + rows["right_shoulder"]) / 2
    rows["mid_hip"] = (rows["left_hip"] + rows["right_hip"]) / 2
    rows["head"] = rows["nose"] + [0, 0.15]
    foot = rows["left_ankle"] + [0.1, -0.05]
    points = np.array([rows.get(joint, foot) for joint in own.joints])
    return np.column_stack([scale * points * [1, -1] + [600, 700], np.full(len(points), 0.8)])


@pytest.mark.parametrize("skeleton", ["body25", "body25b"])
@pytest.mark.parametrize("ending", ["", "_keypoints"])
def test_openpose_in_frames_with_the_right_order_of_25_keypoints(tmp_path: Path, skeleton: str, ending: str) -> None:
    points = person(skeleton)
    low = points.copy()
    low[3] = 0
    path = openpose(tmp_path / "cam1_json", [[points], [], [low, points]], ending=ending)
    recording = read_recording(path)
    assert recording.skeleton is load_skeleton(skeleton)
    assert [len(poses) for poses in recording.frames] == [1, 0, 2]
    assert recording.frames[0].confidence[0] == pytest.approx(0.8)
    assert np.isnan(recording.frames[2].keypoints[0, 3]).all()
    assert recording.frames[2].confidence[0, 3] == 0
    assert recording.frames[0].keypoints[0] == pytest.approx(points[:, :2], abs=1e-3)


def test_a_given_order_of_25_keypoints_wins(tmp_path: Path) -> None:
    path = openpose(tmp_path / "json", [[person("body25")]])
    assert read_recording(path, load_skeleton("body25b")).skeleton.name == "body25b"


def test_frames_are_ordered_by_number_and_gaps_are_empty(tmp_path: Path) -> None:
    folder = tmp_path / "json"
    for number in (10, 9, 12):
        openpose(folder, [[person("body25")]], name=f"clip_{number}")
    recording = read_recording(folder)
    assert recording.start == 9
    assert [len(poses) for poses in recording.frames] == [1, 1, 0, 1]


def test_frames_that_are_counted_from_1_start_at_0(tmp_path: Path) -> None:
    openpose(tmp_path / "json", [[person("body25")]], name="frame_000001")
    openpose(tmp_path / "json", [[person("body25")]], name="frame_000002")
    assert read_recording(tmp_path / "json").start == 0


def test_keypoints_in_shares_of_the_image_are_an_error(tmp_path: Path) -> None:
    path = openpose(tmp_path / "json", [[person("body25") / 1000]])
    with pytest.raises(LabelError, match="keypoint_scale 0"):
        read_recording(path)


def results(folder: Path, formats: list[str], frames: list[Poses], rate: float = 25.0) -> None:
    """Writes results of a video as `cairn detect` does."""
    clip = folder / "cam1.mp4"
    options = WriterOptions(folder, "made")
    writers = create_writers(formats, options)
    for writer in writers:
        writer.__enter__()
    for i, poses in enumerate(frames):
        name = ImageName(clip, PurePath("cam1", f"{i}"), PurePath("cam1"), i, i / rate)
        for writer in writers:
            writer.write(Detections(name, (1080, 1920), poses, rate=rate))
    for writer in writers:
        writer.__exit__(None, None, None)


def test_deeplabcut_predictions_have_likelihoods(tmp_path: Path) -> None:
    rows = [
        ["scorer", *["DLC_net"] * 6],
        ["bodyparts", *["snout"] * 3, *["tail"] * 3],
        ["coords", *["x", "y", "likelihood"] * 2],
        *[[i, 10 + i, 20.5, 0.9, 30, 40 + i, 0.05] for i in range(4)],
    ]
    path = tmp_path / "cam1DLC_net.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    recording = read_recording(path)
    assert recording.skeleton.joints == ("snout", "tail")
    assert len(recording) == 4
    assert recording.frames[3].keypoints[0].tolist() == [[13, 20.5], [30, 43]]
    assert recording.frames[3].confidence[0] == pytest.approx([0.9, 0.05])


def test_labels_are_frames_in_order(tmp_path: Path) -> None:
    content = {
        "images": [{"id": i, "file_name": f"f{i}.png", "width": 640, "height": 480} for i in (3, 1, 2)],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "keypoints": [5, 6, 2, 0, 0, 0], "num_keypoints": 1},
            {"id": 2, "image_id": 2, "category_id": 1, "keypoints": [7, 8, 1, 9, 10, 2], "num_keypoints": 2},
        ],
        "categories": [{"id": 1, "name": "fly", "keypoints": ["head", "wing"], "skeleton": [[1, 2]]}],
    }
    path = tmp_path / "cam1.json"
    path.write_text(json.dumps(content))
    recording = read_recording(path)
    assert [len(poses) for poses in recording.frames] == [0, 1, 1]
    assert recording.size == (480, 640)
    assert recording.frames[1].confidence[0].tolist() == [1, 0]
    assert recording.frames[2].keypoints[0].tolist() == [[7, 8], [9, 10]]


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        ("", "cam1.json", "is empty"),
        ("[1, 2", "cam1.csv", "not valid JSON"),
        ('{"people": [{"pose_keypoints_2d": [1, 2]}]}', "cam1.json", "x, y, confidence"),
        ('{"people": []}', "cam1.json", "no person in 1 files"),
        ('{"people": [{"pose_keypoints_2d": [1, 2, 0.5]}]}', "cam1.json", "people have 1 keypoints"),
        ("image,frame,person,joint,x,y,confidence\na.mp4,0,0,nose,left,2,0.5\n", "a.csv", "x must be a number"),
        ("image,frame,person,joint,x,y,confidence\na.mp4,0,0,nose,nan,2,0.5\n", "a.csv", "x must be finite"),
        ("image,frame,person,joint,x,y,confidence\n", "a.csv", "no column|no keypoints|has no"),
        (
            "image,frame,person,id,joint,x,y,confidence\na.mp4,0,0,,nose,1,2,0.5\nb.mp4,1,0,,nose,1,2,0.5\n",
            "a.csv",
            "several videos",
        ),
        ("image,frame,person,id,joint,x,y,confidence\na.mp4,-7,0,,nose,1,2,0.5\n", "a.csv", "frame numbers must be"),
    ],
)
def test_damaged_files_are_one_line(tmp_path: Path, text: str, name: str, message: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(CairnError, match=message) as error:
        read_recording(path)
    assert "\n" not in str(error.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match="no keypoints at"):
        read_recording(tmp_path / "none.json")


def written(poses: Poses) -> list[Poses]:
    return [poses, Poses.empty(poses.skeleton), poses]


@pytest.mark.parametrize(
    ("write", "file"),
    [("json", "cam1.cairn.jsonl"), ("csv", "cam1.cairn.csv"), ("parquet", "cam1.cairn.parquet")],
)
def test_results_of_detect(tmp_path: Path, write: str, file: str) -> None:
    if write == "parquet":
        pytest.importorskip("pyarrow")
    pixels = person("coco17")[None, :, :2]
    pixels[0, 4] = np.nan
    poses = poses_of(pixels, confidence=0.625)
    results(tmp_path, [write], written(poses))
    recording = read_recording(tmp_path / file)
    assert recording.skeleton.joints == poses.skeleton.joints
    assert [len(each) for each in recording.frames] == [1, 0, 1]
    assert recording.rate == pytest.approx(25, rel=1e-3)
    assert np.allclose(recording.frames[2].keypoints, poses.keypoints, atol=0.006, equal_nan=True)
    assert np.allclose(recording.frames[2].confidence, poses.confidence)
