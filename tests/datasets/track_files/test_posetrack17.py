"""PoseTrack 2017: people, IDs and regions to ignore of the layout of the official evaluation."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cairn.datasets.track_files import read_track_file
from cairn.datasets.track_files.posetrack17 import JOINTS
from cairn.errors import LabelError
from cairn.evaluation.tracking import evaluate_track_files


def person(track: int | None, x: float, joints: int = len(JOINTS)) -> dict[str, Any]:
    points = [{"id": [i], "x": [x + 3 * i], "y": [100 + 10 * i], "is_visible": [1]} for i in range(joints)]
    ids = {} if track is None else {"track_id": [track]}
    return {"x1": [x], "y1": [90], "x2": [x + 9], "y2": [99], **ids, "annopoints": [{"point": points}]}


def video(path: Path, edit: Callable[[list[dict[str, Any]]], None] = lambda _: None, first: int = 1) -> Path:
    """Five frames of two people; the last is not labeled."""
    names = [f"images/bonn/000342_mpii/{i + first:08}.jpg" for i in range(5)]
    people = [[person(0, 9 * i), person(4, 500)] for i in range(4)] + [[]]
    frames = [{"image": [{"name": name}], "annorect": rows} for name, rows in zip(names, people, strict=True)]
    edit(frames)
    path.write_text(json.dumps({"annolist": frames}))
    return path


def test_people_have_their_keypoints_by_name_and_boxes_around_them(tmp_path: Path) -> None:
    file = read_track_file(video(tmp_path / "a.json"))
    assert [number for _, number in file.frames] == [1, 2, 3, 4]
    assert file.joints is not None
    frame = file.frames["", 2]
    assert frame.ids.tolist() == [0, 4]
    assert frame.keypoints[0, file.joints.index("nose")].tolist() == [9 + 39, 230, 2]
    np.testing.assert_array_equal(frame.boxes[0], [9, 100, 42, 140])


def test_perfect_tracks_score_100_by_oks_and_a_frame_without_people_is_not_measured(tmp_path: Path) -> None:
    def add(frames: list[dict[str, Any]]) -> None:
        frames[4]["annorect"] = [person(0, 36), person(4, 500)]

    truth, found = video(tmp_path / "truth.json"), video(tmp_path / "found.json", add)
    result = evaluate_track_files(read_track_file(found), read_track_file(truth))
    assert (result.measure, result.frames, result.metrics.mota, result.metrics.idf1) == ("OKS", 4, 100, 100)


def test_regions_to_ignore_and_people_without_an_id_or_a_keypoint_do_not_count(tmp_path: Path) -> None:
    def blank(frames: list[dict[str, Any]]) -> None:
        frames[0]["annorect"] += [person(None, 300), person(7, 300, joints=0), {"track_id": [8], "annopoints": []}]
        corners = [(290, 50), (400, 50), (400, 300)]
        frames[1]["ignore_regions"] = [{"point": [{"x": [x], "y": [y]} for x, y in corners]}]

    def more(frames: list[dict[str, Any]]) -> None:
        frames[1]["annorect"].append(person(9, 300))

    truth, found = video(tmp_path / "truth.json", blank), video(tmp_path / "found.json", more)
    result = evaluate_track_files(read_track_file(found), read_track_file(truth))
    assert (result.metrics.mota, result.ignored, result.tracks) == (100, 1, 2)


def damaged(change: Callable[[dict[str, Any]], object]) -> Callable[[list[dict[str, Any]]], None]:
    return lambda frames: change(frames[1]) and None


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (damaged(lambda f: f.pop("image")), "frame 2 has no image"),
        (damaged(lambda f: f.update(image=[{"name": [5]}])), "frame 2 needs the name of its image"),
        (damaged(lambda f: f.update(annorect={"a": 1})), "annorect must be a list of people"),
        (damaged(lambda f: f["annorect"][0]["annopoints"][0]["point"][0].update(id=[15])), "must be 0 to 14, got 15"),
        (damaged(lambda f: f["annorect"][0]["annopoints"][0]["point"][0].pop("x")), "frame 2 has no x"),
        (damaged(lambda f: f["annorect"][0]["annopoints"][0]["point"][0].update(y=["a"])), "2 finite numbers"),
        (damaged(lambda f: f["annorect"][0].update(annopoints=[{"point": 3}])), "needs a list of points"),
        (damaged(lambda f: f["annorect"][1].update(track_id=[0])), "frame 2 has track ID 0 twice"),
        (lambda frames: frames.append(frames[0]), "has two images of one frame: 1"),
        (lambda frames: [one.pop("track_id") for f in frames for one in f["annorect"]], "no person with a track ID"),
    ],
)
def test_what_is_damaged_is_an_error_of_one_line(tmp_path: Path, edit: Any, message: str) -> None:
    with pytest.raises(LabelError, match=message) as raised:
        read_track_file(video(tmp_path / "a.json", edit))
    assert "\n" not in str(raised.value)
    assert "a.json" in str(raised.value)
