"""Visibility in the files of results, and in the labels that are read from them."""

import json
from dataclasses import replace
from pathlib import Path, PurePath

import numpy as np
import pytest

from cairn.datasets.formats import ReadOptions
from cairn.datasets.problems import Problems
from cairn.datasets.reading import read_labels
from cairn.errors import LabelError
from cairn.media.names import ImageName
from cairn.results import Detections, WriterOptions, create_writers
from cairn.structures.poses import Poses
from support.fake_network import TOTEM
from support.fake_poses import random_poses
from support.made_labels import SIZE, draw_images

FILES = {"json": "out/a.cairn.json", "coco": "out/a.cairn.coco.json"}


def seen(people: int = 4) -> Poses:
    poses = random_poses(0, people)
    values = np.random.default_rng(9).random(poses.confidence.shape)
    return replace(poses, visibility=np.where(poses.detected, values, np.nan).astype(np.float32))


def write(folder: Path, form: str, poses: Poses) -> Path:
    draw_images(folder, ["a.png"])
    (writer,) = create_writers([form], WriterOptions(folder / "out", "totems", [folder / "a.png"], single=True))
    with writer:
        writer.write(Detections(ImageName(folder / "a.png", PurePath("a")), SIZE, poses))
    return folder / FILES[form]


@pytest.mark.parametrize("form", FILES)
def test_labels_from_results_are_occluded_where_the_model_says_so(tmp_path, form):
    poses = seen()
    path = write(tmp_path, form, poses)
    options = ReadOptions(problems=Problems(), confidence=0.2, skeleton=TOTEM if form == "coco" else None)
    annotation = read_labels(path, options).images[0].annotation
    labeled = poses.detected & (np.round(poses.confidence, 4) >= 0.2)
    expected = np.where(labeled, np.where(poses.visibility < 0.5, 1, 2), 0)
    assert np.array_equal(annotation.visibility, expected[labeled.any(axis=1)])


@pytest.mark.parametrize("form", FILES)
def test_files_without_visibility_are_as_before(tmp_path, form):
    content = json.loads(write(tmp_path, form, random_poses(0, 2)).read_text())
    people = content["people"] if form == "json" else content
    for person in people:
        assert not {"visibility", "confidence"} & set(person)


@pytest.mark.parametrize(
    ("form", "value", "message"),
    [
        ("json", 0.5, "must be a probability or null for each joint"),
        ("json", {"top": 2}, "must be a probability or null for each joint"),
        ("json", {"top": "yes"}, "must be a probability or null for each joint"),
        ("json", {"top": float("nan")}, "must be a probability or null for each joint"),
        ("coco", [0.5], "needs the confidence of each of 3 joints"),
        ("coco", "high", "needs the confidence of each of 3 joints"),
        ("coco", [3.5, 0.2, 0.2], "must be from 0 to 1"),
    ],
)
def test_damaged_values_are_one_line(tmp_path, form, value, message):
    poses = seen()
    path = write(tmp_path, form, poses)
    content = json.loads(path.read_text())
    record = content["people"][0] if form == "json" else content[0]
    record["visibility" if form == "json" else "confidence"] = value
    if form == "coco":
        record["keypoints"] = [10, 10, 2] * 3
    path.write_text(json.dumps(content))
    with pytest.raises(LabelError, match=message) as caught:
        read_labels(path, ReadOptions(problems=Problems(), skeleton=TOTEM if form == "coco" else None))
    assert "\n" not in str(caught.value)


def test_a_third_value_that_is_no_v_beside_a_confidence_is_an_error(tmp_path):
    path = write(tmp_path, "coco", seen())
    content = json.loads(path.read_text())
    content[0]["keypoints"] = [10, 10, 0.7] * 3
    path.write_text(json.dumps(content))
    with pytest.raises(LabelError, match="third value must be 0, 1 or 2"):
        read_labels(path, ReadOptions(problems=Problems(), skeleton=TOTEM))
