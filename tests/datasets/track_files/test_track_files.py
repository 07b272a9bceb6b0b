"""Files of tracks: MOT text, COCO and PoseTrack JSON, and Cairn's own."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cairn.datasets.track_files import read_track_file
from cairn.errors import LabelError

POINTS = [10, 20, 2, 30, 40, 1, 0, 0, 0]


def coco(path: Path, **changes: Any) -> Path:
    content: dict[str, Any] = {
        "images": [{"id": 5, "file_name": "v/000003.jpg"}, {"id": 7, "file_name": "v/000004.jpg"}],
        "categories": [{"id": 1, "name": "person", "keypoints": ["a", "b", "c"]}],
        "annotations": [
            {"id": 1, "image_id": 5, "track_id": 4, "keypoints": POINTS, "bbox": [1, 2, 30, 40], "area": 900},
            {"id": 2, "image_id": 7, "track_id": 4, "keypoints": POINTS},
            {"id": 3, "image_id": 7, "keypoints": POINTS},
            {"id": 4, "image_id": 7, "iscrowd": 1, "bbox": [0, 0, 9, 9]},
        ],
    }
    path.write_text(json.dumps(content | changes))
    return path


def test_mot_text_counts_from_1_and_marks_distractors(tmp_path: Path) -> None:
    path = tmp_path / "gt.txt"
    path.write_text("1,3,10,20,30,40,1,1,1\n2,3,11,20,30,40,1,1,0.5\n2,4,50,20,30,40,0,1,1\n2,5,90,20,30,40,0,8,1\n")
    file = read_track_file(path)
    assert list(file.frames) == [("", 0), ("", 1)]
    second = file.frames["", 1]
    assert second.ids.tolist() == [3]
    assert second.boxes.tolist() == [[11, 20, 30, 40]]
    assert second.distractors.tolist() == [[90, 20, 30, 40]]


def test_mot_results_and_spaces_are_read(tmp_path: Path) -> None:
    path = tmp_path / "results.txt"
    path.write_text("1 3 10 20 30 40 0.7 -1 -1 -1\n")
    assert read_track_file(path).frames["", 0].ids.tolist() == [3]


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("1,2,3", "line 1 must be frame,id"),
        ("0,2,3,4,5,6,1", "a frame, from 1"),
        ("1,x,3,4,5,6,1", "must be frame,id"),
        ("1,1,3,4,5,nan,1", "must be frame,id"),
        ("1,1,3,4,-5,6,1", "a width and a height of at least 0"),
        ("1,1,3,4,5,6,1\n1,1,9,4,5,6,1", "track ID 1 twice"),
        ("", "no line of MOT text"),
    ],
)
def test_invalid_mot_text_raises(tmp_path: Path, line: str, what: str) -> None:
    path = tmp_path / "gt.txt"
    path.write_text(line)
    with pytest.raises(LabelError, match=what):
        read_track_file(path)


def test_coco_frames_are_numbered_by_their_names(tmp_path: Path) -> None:
    file = read_track_file(coco(tmp_path / "a.json"))
    assert list(file.frames) == [("", 3), ("", 4)]
    assert file.joints == ("a", "b", "c")
    second = file.frames["", 4]
    assert second.ids.tolist() == [4]
    assert second.boxes.tolist() == [[10, 20, 20, 20]]  # around its keypoints
    assert second.regions.tolist() == [[0, 0, 9, 9]]
    assert file.frames["", 3].areas.tolist() == [900]


def test_posetrack_leaves_out_unlabeled_frames_and_has_regions_to_ignore(tmp_path: Path) -> None:
    images = [
        {"id": 10, "file_name": "images/val/1/000000.jpg", "vid_id": "1", "frame_id": 10, "is_labeled": False},
        {"id": 11, "file_name": "images/val/1/000001.jpg", "vid_id": "1", "frame_id": 11, "is_labeled": True}
        | {"ignore_regions_x": [[0, 4, 4], [20, 30]], "ignore_regions_y": [[0, 0, 8], [20, 40]]},
    ]
    rows = [{"id": 1, "image_id": i, "track_id": 0, "keypoints": POINTS, "bbox": [0, 0, 5, 5]} for i in (10, 11)]
    file = read_track_file(coco(tmp_path / "a.json", images=images, annotations=rows))
    assert list(file.frames) == [("", 1)]
    assert file.frames["", 1].regions.tolist() == [[0, 0, 4, 8], [20, 20, 10, 20]]


def test_videos_of_one_file_are_kept_apart(tmp_path: Path) -> None:
    images = [{"id": i, "file_name": f"{'ab'[i]}/1.jpg"} for i in range(2)]
    rows = [{"id": i, "image_id": i, "track_id": 1, "bbox": [0, 0, 5, 5]} for i in range(2)]
    assert list(read_track_file(coco(tmp_path / "a.json", images=images, annotations=rows)).frames) == [
        ("a", 1),
        ("b", 1),
    ]


def test_results_need_no_images_or_have_them_beside(tmp_path: Path) -> None:
    path = tmp_path / "clip.cairn.coco.json"
    path.write_text(json.dumps([{"image_id": 1, "track_id": 2, "keypoints": POINTS}]))
    assert list(read_track_file(path).frames) == [("", 1)]
    beside = tmp_path / "clip.cairn.coco-images.json"
    beside.write_text(json.dumps({"images": [{"id": 1, "file_name": "clip", "frame": 0}, {"id": 2, "frame": 1}]}))
    file = read_track_file(path)
    assert list(file.frames) == [("", 0), ("", 1)]
    assert file.base == 0


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"images": None}, "needs a list of images"),
        ({"images": [{"id": 5, "file_name": "1.jpg"}, {"id": 7, "file_name": "1.jpg"}]}, "two images of one frame"),
        ({"annotations": [{"image_id": 9, "track_id": 1}]}, "not listed"),
        ({"annotations": [{"image_id": 5, "bbox": [0, 0, 1, 1]}]}, "no annotation with a track ID"),
        ({"annotations": [{"image_id": 5, "track_id": 1, "bbox": [0, 0, 1]}]}, "must be 4 finite numbers"),
        ({"annotations": [{"image_id": 5, "track_id": 1, "keypoints": [1, 2]}]}, "x, y, v of each joint"),
        ({"annotations": 2 * [{"image_id": 5, "track_id": 1, "bbox": [0, 0, 1, 1]}]}, "track ID 1 twice"),
    ],
)
def test_invalid_coco_raises(tmp_path: Path, changes: dict[str, Any], what: str) -> None:
    with pytest.raises(LabelError, match=what):
        read_track_file(coco(tmp_path / "a.json", **changes))


def test_cairns_lines_of_both_kinds(tmp_path: Path) -> None:
    person = {"id": 3, "score": 0.5, "keypoints": {"a": [1.0, 2.0, 0.5], "b": None}}
    unknown = person | {"id": None}
    for key in ("people", "poses"):
        path = tmp_path / f"{key}.jsonl"
        path.write_text("".join(json.dumps({"frame": i, key: [person, unknown][: 2 - i]}) + "\n" for i in range(2)))
        file = read_track_file(path)
        assert list(file.frames) == [("", 0), ("", 1)]
        assert file.frames["", 0].ids.tolist() == [3]
        np.testing.assert_allclose(file.frames["", 0].keypoints[0], [[1, 2, 0.5], [0, 0, 0]])


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("{", "line 1 is not valid JSON"),
        ('{"frame": 0}', "must have a frame, and people"),
        ('{"frame": 0, "people": []}\n{"frame": 0, "people": []}', "frame 0 again"),
        ('{"frame": 0, "people": [{"keypoints": {"a": [1, 2, 1]}}]}', "no track ID"),
        ('{"frame": 0, "people": [{"id": 1, "keypoints": {"a": [1, 2]}}]}', "must be 3 finite numbers"),
    ],
)
def test_invalid_lines_raise(tmp_path: Path, text: str, what: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(text)
    with pytest.raises(LabelError, match=what):
        read_track_file(path)


def test_other_files_raise(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match="is no file of tracks"):
        read_track_file(tmp_path / "a.csv")
    with pytest.raises(LabelError, match="no such file"):
        read_track_file(tmp_path / "a.json")
