"""OpenPose's JSON as labels."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cairn.datasets.formats import ReadOptions
from cairn.datasets.problems import Problems
from cairn.datasets.reading import detect_format, read_labels
from cairn.errors import LabelError
from cairn.structures.skeleton import Skeleton, load_skeleton
from support.made_labels import draw_images


def person(count: int = 25, start: float = 2.0, confidence: float = 0.9, **more: Any) -> dict[str, Any]:
    flat = [value for i in range(count) for value in (start + i, start + 2 * i, confidence)]
    return {"person_id": [-1], "pose_keypoints_2d": flat, "face_keypoints_2d": [], **more}


def file(path: Path, *people: Any, version: float = 1.3) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"version": version, "people": list(people)}))
    return path


@pytest.mark.parametrize(("count", "name"), [(25, "body25"), (18, "coco18"), (15, "mpii15"), (17, "coco17")])
def test_the_number_of_keypoints_selects_the_skeleton(tmp_path: Path, count: int, name: str) -> None:
    draw_images(tmp_path, ("photo.jpg",))
    labels = read_labels(file(tmp_path / "photo_keypoints.json", person(count), person(count, 3, person_id=[4])))
    assert labels.skeleton is load_skeleton(name)
    rows = labels.images[0].annotation
    assert rows.keypoints[0, 1].tolist() == [3, 4]
    assert rows.tracks is not None
    assert rows.tracks.tolist() == [-1, 4]


def test_confidence_selects_the_labeled_keypoints(tmp_path: Path) -> None:
    draw_images(tmp_path, ("a.png",))
    values = person(15)
    values["pose_keypoints_2d"][:9] = [0, 0, 0, 5, 6, 0.3, 7, 8, 0.5]
    path = file(tmp_path / "a_keypoints.json", values, person(15, confidence=0.1))
    problems = Problems(log_notes=False)
    rows = read_labels(path, ReadOptions(problems=problems)).images[0].annotation
    assert rows.visibility[:, :3].tolist() == [[0, 0, 2]]
    assert any("at least the confidence 0.5" in note for note in problems.notes)
    rows = read_labels(path, ReadOptions(confidence=0.0)).images[0].annotation
    assert rows.visibility[:, :3].tolist() == [[0, 2, 2], [2, 2, 2]]


def test_frames_of_a_video_in_a_folder(tmp_path: Path) -> None:
    names = [f"clip_{n:012d}" for n in (0, 11)]
    draw_images(tmp_path / "images", tuple(f"{name}.png" for name in names))
    file(tmp_path / "json" / f"{names[0]}_keypoints.json", person(hand_left_keypoints_2d=[1, 2, 1]))
    file(tmp_path / "json" / f"{names[1]}_keypoints.json")
    (tmp_path / "json/other.json").write_text("{}")
    problems = Problems(log_notes=False)
    labels = read_labels(tmp_path / "json", ReadOptions(problems=problems))
    assert [(image.frame, image.groups, len(image.annotation)) for image in labels] == [
        (0, ("video clip",), 1), (11, ("video clip",), 0),
    ]  # fmt: skip
    assert any("faces and hands are ignored" in note for note in problems.notes)
    assert any("other JSON files" in note for note in problems.notes)
    deep = tmp_path / "deep"
    (tmp_path / "images").rename(deep)
    with pytest.raises(LabelError, match=r"no image clip_000000000000\.jpg or \.png .*extract the frames"):
        read_labels(tmp_path / "json")
    assert len(read_labels(tmp_path / "json", ReadOptions(deep))) == 2


def test_version_1_0_and_alphapose_per_frame(tmp_path: Path) -> None:
    draw_images(tmp_path, ("a.png", "b.png"))
    flat = person(18)["pose_keypoints_2d"]
    file(tmp_path / "json/a_keypoints.json", {"pose_keypoints": flat}, version=0.1)
    (tmp_path / "json/b.json").write_text(json.dumps({"version": "AlphaPose v0.3", "bodies": [{"joints": flat}]}))
    labels = read_labels(tmp_path / "json")
    np.testing.assert_array_equal(labels.images[0].annotation.keypoints, labels.images[1].annotation.keypoints)


def test_other_numbers_need_a_skeleton(tmp_path: Path) -> None:
    draw_images(tmp_path, ("a.png",))
    path = file(tmp_path / "a_keypoints.json", person(2))
    with pytest.raises(LabelError, match=r"people have 2 keypoints: expected 25 \(body25\)"):
        read_labels(path)
    leaf = Skeleton("leaf", ("stem", "tip"))
    assert read_labels(path, ReadOptions(skeleton=leaf)).skeleton is leaf


@pytest.mark.parametrize(
    ("people", "message"),
    [
        ([{"pose_keypoints_2d": [0.1, 0.2, 0.9] * 25}], "between -1 and 1: write pixels with --keypoint_scale 0"),
        ([{"pose_keypoints_2d": [1, 2, 3, 4]}], "must be a list x, y, confidence"),
        ([{"pose_keypoints_2d": ["x", 2, 3] * 25}], "must have finite numbers, got 'x'"),
        ([{"pose_keypoints_2d": [float("nan"), 2, 3] * 25}], "must have finite numbers, got nan"),
        ([{"pose_keypoints_2d": [10**400, 2, 3] * 25}], "must have finite numbers"),
        ([person(), person(18)], "a person with other than 25 keypoints"),
        ([{"a": 1}], "person 0 needs pose_keypoints_2d"),
        ([1], "expected an object with a list of people"),
        ([], "no person"),
        ([person(confidence=0.0)], "no instance has a labeled joint"),
    ],
)
def test_an_invalid_file_is_a_one_line_error(tmp_path: Path, people: list[Any], message: str) -> None:
    draw_images(tmp_path, ("a.png",))
    with pytest.raises(LabelError, match=message) as caught:
        read_labels(file(tmp_path / "a_keypoints.json", *people))
    assert "\n" not in str(caught.value)


def test_results_of_cairn_are_another_format(tmp_path: Path) -> None:
    content = {"format": "cairn", "version": 1, "image": "a.png", "people": []}
    (tmp_path / "a.json").write_text(json.dumps(content))
    assert detect_format(tmp_path / "a.json").name != "openpose"


def test_there_is_one_category(tmp_path: Path) -> None:
    draw_images(tmp_path, ("a.png",))
    path = file(tmp_path / "a_keypoints.json", person())
    assert len(read_labels(path, ReadOptions(category="person"))) == 1
    with pytest.raises(LabelError, match="no category 'dog': it has person"):
        read_labels(path, ReadOptions(category="dog"))


def test_two_images_with_the_name_are_ambiguous(tmp_path: Path) -> None:
    draw_images(tmp_path, ("a.png", "a.jpg"))
    with pytest.raises(LabelError, match="have the same name: keep one of them"):
        read_labels(file(tmp_path / "a_keypoints.json", person()))
