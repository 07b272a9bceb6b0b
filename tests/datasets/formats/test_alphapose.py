"""AlphaPose's results as labels."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cairn.datasets.formats import ReadOptions
from cairn.datasets.formats.alphapose import halpe
from cairn.datasets.problems import Problems
from cairn.datasets.reading import detect_format, read_labels
from cairn.errors import LabelError
from cairn.structures.skeleton import Skeleton, load_skeleton
from support.made_labels import draw_images


def person(name: Any = "a.png", count: int = 17, confidence: float = 0.9, **more: Any) -> dict[str, Any]:
    flat = [value for i in range(count) for value in (2.0 + i, 3.5, confidence)]
    return {"image_id": name, "category_id": 1, "keypoints": flat, "score": 2.9, **more}


def file(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    draw_images(tmp_path, ("a.png", "b.png"))
    return tmp_path


def test_people_of_images_with_boxes_and_tracks(folder: Path) -> None:
    people = [person(box=[1, 2, 30, 20], idx=[3]), person("b.png", idx=1), person("b.png", idx=[[7]], confidence=0.1)]
    labels = read_labels(file(folder / "alphapose-results.json", people))
    assert labels.skeleton is load_skeleton("coco17")
    assert [image.path.name for image in labels] == ["a.png", "b.png"]
    rows = labels.images[0].annotation
    assert rows.boxes.tolist() == [[1, 2, 30, 20]]
    assert [image.annotation.tracks.tolist() for image in labels if image.annotation.tracks is not None] == [[3], [1]]
    assert len(read_labels(folder / "alphapose-results.json", ReadOptions(confidence=0)).images[1].annotation) == 2


@pytest.mark.parametrize("count", [26, 136])
def test_halpe(folder: Path, count: int) -> None:
    labels = read_labels(file(folder / "r.json", [person(count=count)]))
    skeleton = labels.skeleton
    assert (skeleton, len(skeleton)) == (halpe(count), count)
    assert skeleton.joints[17:20] == ("head", "neck", "mid_hip")
    flips = skeleton.flip_order
    assert skeleton.joints[flips[skeleton.index("left_heel")]] == "right_heel"
    if count == 136:
        assert skeleton.joints[flips[skeleton.index("face_jaw_0")]] == "face_jaw_16"
        assert skeleton.joints[flips[skeleton.index("left_hand_thumb_1")]] == "right_hand_thumb_1"
        assert skeleton.parts["left_hand_"] == list(range(94, 115))


@pytest.mark.parametrize(("people", "pose"), [("people", "pose_keypoints_2d"), ("bodies", "joints")])
def test_the_formats_open_and_cmu(folder: Path, people: str, pose: str) -> None:
    flat = person(count=18)["keypoints"]
    content = {name: {"version": "AlphaPose v0.3", people: [{pose: flat}]} for name in ("a.png", "b.png")}
    labels = read_labels(file(folder / "r.json", content))
    assert (labels.skeleton, len(labels)) == (load_skeleton("coco18"), 2)


def test_results_of_coco_are_another_format(folder: Path) -> None:
    assert detect_format(file(folder / "r.json", [person()])).name == "alphapose"
    assert detect_format(file(folder / "r.json", [person(139, idx=1)])).name == "alphapose"
    assert detect_format(file(folder / "r.json", [person(139)])).name != "alphapose"


def test_other_numbers_need_a_skeleton(folder: Path) -> None:
    path = file(folder / "r.json", [person(count=2)])
    with pytest.raises(LabelError, match="people have 2 keypoints: expected 17, 26, 136, or give a --skeleton"):
        read_labels(path)
    leaf = Skeleton("leaf", ("stem", "tip"))
    assert read_labels(path, ReadOptions(skeleton=leaf)).skeleton is leaf


@pytest.mark.parametrize(
    ("people", "message"),
    [
        ([person(), person(count=26)], "entry 1 has 26 keypoints, others have 17"),
        ([person(), person(keypoints=None)], "entry 1: keypoints must be a list"),
        ([person(keypoints=[])], "entry 0 has 0 keypoints"),
        ([person(), person(None)], "entry 1 needs an image_id"),
        ([person(), 3], "entry 1 must be a person, got 3"),
        ([person(box=[1, 2])], "box must be"),
        ([person(box=[1, 2, -3, 4])], "negative width"),
        ([person(box=[1, 2, float("inf"), 4])], "finite"),
        ([person("c.png")], "1 of 1 images are missing"),
        ([person(confidence=0.2)], "no instance has a labeled joint"),
    ],
)
def test_an_invalid_file_is_a_one_line_error(folder: Path, people: list[Any], message: str) -> None:
    with pytest.raises(LabelError, match=rf"r\.json.*{message}") as caught:
        read_labels(file(folder / "r.json", people))
    assert "\n" not in str(caught.value)


def test_invalid_entries_are_skipped_and_counted(folder: Path) -> None:
    problems = Problems(skip=True)
    path = file(folder / "r.json", [person(), person(count=26), person(keypoints=[1])])
    (image,) = read_labels(path, ReadOptions(problems=problems))
    assert len(problems.skipped) == 2
    np.testing.assert_array_equal(image.annotation.keypoints[0, :, 1], np.full(17, 3.5, np.float32))
