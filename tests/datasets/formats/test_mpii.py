"""MPII as published and as ports have it, in files of a few people."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cairn.datasets.formats import ReadOptions
from cairn.datasets.problems import Problems
from cairn.datasets.reading import read_labels
from cairn.datasets.writing import write_labels
from cairn.errors import LabelError
from cairn.evaluation.protocols import PROTOCOLS
from support.matlab_files import images, save, struct_array

pytest.importorskip("scipy", reason="writing .mat files needs scipy, which is in the train extra")

NAMES = ("a.jpg", "b.jpg", "test.jpg", "empty.jpg")


def point(joint: int, x: float, y: float, visible: Any) -> dict[str, Any]:
    return {"id": joint, "x": x, "y": y, "is_visible": visible}


def rect(points: list[dict[str, Any]] | None, scale: float | None = 0.1) -> dict[str, Any]:
    entry: dict[str, Any] = {"x1": 1, "y1": 2, "x2": 4, "y2": 6}
    if scale is not None:
        entry |= {"scale": scale, "objpos": {"x": 11, "y": 21}}
    if points is not None:
        entry["annopoints"] = {"point": struct_array(points)}
    return entry


def release() -> dict[str, Any]:
    """Two people in one image, one of them without points; one point alone in another; a test image."""
    first = rect([point(9, 5, 6, "1"), point(0, 7.5, 8, "0"), point(6, 9, 10, np.zeros((0, 0)))])
    annolist = [
        {"image": {"name": "a.jpg"}, "annorect": struct_array([first, rect(None)])},
        {"image": {"name": "test.jpg"}, "annorect": struct_array([{"scale": 1.0, "objpos": {"x": 1, "y": 1}}])},
        {"image": {"name": "b.jpg"}, "annorect": struct_array([rect([point(15, 3, 4, 1)], scale=None)])},
        {"image": {"name": "empty.jpg"}},
    ]
    return {"annolist": struct_array(annolist), "img_train": np.array([[1, 0, 1, 1]])}


def test_the_published_mat_is_read(tmp_path: Path) -> None:
    images(tmp_path, NAMES)
    labels = read_labels(save(tmp_path / "mpii.mat", RELEASE=release()))
    assert labels.skeleton.name == "mpii16"
    assert [image.path.name for image in labels] == ["a.jpg", "b.jpg"]
    assert labels.splits == ("train",)
    first, second = (image.annotation for image in labels)
    assert labels.images[0].size == (30, 40)
    assert len(first) == 2
    np.testing.assert_array_equal(first.labeled, [True, False])
    np.testing.assert_array_equal(first.keypoints[0, 9], [4, 5])  # MATLAB counts from 1
    np.testing.assert_array_equal(first.keypoints[0, 0], [6.5, 7])
    np.testing.assert_array_equal(first.visibility[0, [9, 0, 6, 1]], [2, 1, 2, 0])
    # Scale 0.1: the crop before its margin is a square of 20 around (10, 20 + 1.5).
    np.testing.assert_allclose(first.boxes, [[0, 11.5, 20, 20]] * 2, atol=1e-5)
    np.testing.assert_allclose(second.boxes, [[2, 3, 0, 0]])
    np.testing.assert_allclose(first.heads, [5, 5])
    np.testing.assert_allclose(PROTOCOLS["mpii"].lengths(first, labels.skeleton), [3, 3])


def test_numbers_of_a_mat_beyond_single_precision_are_reported(tmp_path: Path) -> None:
    images(tmp_path, NAMES)
    people = struct_array([rect([point(9, 5, 1e300, "1")]), rect([point(9, 5, 6, "1")])])
    annolist = [{"image": {"name": "a.jpg"}, "annorect": people}]
    content = {"annolist": struct_array(annolist), "img_train": 1}
    path = save(tmp_path / "mpii.mat", RELEASE=content)
    with pytest.raises(LabelError, match=r"mpii\.mat: person 1 of a\.jpg: joint 10 is at \[4\.0, 1e\+300\]"):
        read_labels(path)
    problems = Problems(skip=True)
    labels = read_labels(path, ReadOptions(problems=problems))
    assert [len(image.annotation) for image in labels] == [1]
    assert len(problems.skipped) == 1


@pytest.mark.parametrize("fields", [{"scale": 1e300}, {"objpos": {"x": -1e300, "y": 2}}])
def test_a_center_or_scale_that_is_too_large_gives_no_box(tmp_path: Path, fields: dict[str, Any]) -> None:
    images(tmp_path, ["b.jpg"])
    person = rect([point(15, 3, 4, 1), point(14, 7, 9, 1)]) | fields
    annolist = struct_array([{"image": {"name": "b.jpg"}, "annorect": struct_array([person])}])
    (image,) = read_labels(save(tmp_path / "mpii.mat", RELEASE={"annolist": annolist, "img_train": 1}))
    np.testing.assert_allclose(image.annotation.boxes, [[2, 3, 4, 5]])  # that of the joints


def test_an_invalid_mat_is_a_one_line_error(tmp_path: Path) -> None:
    images(tmp_path, NAMES[:1])
    path = save(tmp_path / "mpii.mat", RELEASE=release())
    with pytest.raises(LabelError, match=r"mpii\.mat: 1 of 2 images are missing, the first is .*b\.jpg"):
        read_labels(path)
    with pytest.raises(LabelError, match="has no validation split"):
        read_labels(path, ReadOptions(split="val"))
    short = save(tmp_path / "short.mat", RELEASE={**release(), "img_train": np.array([[1, 0]])})
    with pytest.raises(LabelError, match=r"as many annolist \(4\) as img_train \(2\)"):
        read_labels(short)
    unlabeled = {"annolist": struct_array([{"image": {"name": "a.jpg"}}]), "img_train": 1}
    with pytest.raises(LabelError, match="no instance has a labeled joint"):
        read_labels(save(tmp_path / "unlabeled.mat", RELEASE=unlabeled))


def person(name: str, joint: int, x: float, visible: int) -> dict[str, Any]:
    joints = np.full((16, 2), -1.0)
    joints[joint] = x, 10
    seen = [visible if k == joint else 0 for k in range(16)]
    return {"image": name, "joints": joints.tolist(), "joints_vis": seen, "center": [11, 21], "scale": 0.1}


def test_json_of_joints_and_center(tmp_path: Path) -> None:
    images(tmp_path, NAMES)
    people = [person("a.jpg", 3, 5, 1), person("b.jpg", 4, 6, 0), person("a.jpg", 5, 7, 1)]
    path = tmp_path / "valid.json"
    path.write_text(json.dumps(people))
    labels = read_labels(path)
    assert [len(image.annotation) for image in labels] == [2, 1]
    first, second = (image.annotation for image in labels)
    np.testing.assert_array_equal(first.keypoints[[0, 1], [3, 5]], [[4, 9], [6, 9]])
    np.testing.assert_array_equal(second.visibility[0, [4, 3]], [1, 0])
    np.testing.assert_allclose(first.boxes[0], [0, 11.5, 20, 20], atol=1e-5)
    assert first.heads is None
    corners = np.zeros((2, 2, 3))
    corners[1] = [[3, 30, 6], [4, 40, 8]]  # x, then y, of three people
    save(tmp_path / "gt_valid.mat", headboxes_src=corners)
    first, second = (image.annotation for image in read_labels(path))
    np.testing.assert_allclose(first.heads, [5, 10])
    np.testing.assert_allclose(second.heads, [50])


@pytest.mark.parametrize("root", [False, True])
def test_json_of_joint_self_and_its_splits(tmp_path: Path, root: bool) -> None:
    images(tmp_path, NAMES)
    people = []
    for name, validation in (("a.jpg", 0.0), ("b.jpg", 1.0)):
        joints = np.zeros((16, 3))
        joints[2] = 5, 6, 1
        joints[7] = 8, 9, 0
        people.append(
            {"img_paths": name, "joint_self": joints.tolist(), "objpos": [11.0, 21.0], "scale_provided": 0.1,
             "isValidation": validation}
        )  # fmt: skip
    path = tmp_path / "mpii_annotations.json"
    path.write_text(json.dumps({"root": people} if root else people))
    both, train, val = (read_labels(path, ReadOptions(split=split)) for split in (None, "train", "val"))
    assert [[image.path.name for image in part] for part in (both, train, val)] == [
        ["a.jpg", "b.jpg"],
        ["a.jpg"],
        ["b.jpg"],
    ]
    assert [image.split for image in both] == ["train", "val"]
    annotation = val.images[0].annotation
    np.testing.assert_array_equal(annotation.keypoints[0, [2, 7]], [[4, 5], [7, 8]])
    np.testing.assert_array_equal(annotation.visibility[0, [2, 7, 0]], [2, 1, 0])


@pytest.mark.parametrize(
    ("corrupt", "message"),
    [
        ({"joints": [[1, 2]]}, "entry 1 must have 16 joints of MPII, got 1"),
        ({"scale": "large"}, "entry 1 is not in a format of MPII"),
        ({"center": [3]}, "entry 1 is not in a format of MPII"),
        ({"joints": [["x", 1]] * 16}, "entry 1 is not in a format of MPII"),
        ({"joints": [[10**400, 1]] * 16}, "entry 1 is not in a format of MPII"),
    ],
)
def test_invalid_json_is_a_one_line_error(tmp_path: Path, corrupt: dict[str, Any], message: str) -> None:
    images(tmp_path, NAMES)
    path = tmp_path / "train.json"
    path.write_text(json.dumps([person("a.jpg", 3, 5, 1), person("b.jpg", 3, 5, 1) | corrupt]))
    with pytest.raises(LabelError, match=rf"train\.json: {message}"):
        read_labels(path)
    with pytest.raises(LabelError, match="does not state which people are for training"):
        read_labels(path, ReadOptions(split="val"))
    path.write_text(json.dumps([{"name": 1}]))
    with pytest.raises(LabelError, match=r"entry 0 is not in a format of MPII .*joints"):
        read_labels(path)
    path.write_text("[1, 2")
    with pytest.raises(LabelError, match="is not valid JSON"):
        read_labels(path)


def test_an_image_with_people_of_both_splits_is_not_trained_on(tmp_path: Path) -> None:
    images(tmp_path, NAMES)
    people = [
        person(name, 3, 5, 1) | {"isValidation": validation}
        for name, validation in (("a.jpg", 0.0), ("b.jpg", 0), ("a.jpg", "1.0"))
    ]
    path = tmp_path / "people.json"
    path.write_text(json.dumps(people))
    problems = Problems()
    labels = read_labels(path, ReadOptions(problems=problems))
    assert [(image.path.name, image.split, len(image.annotation)) for image in labels] == [
        ("a.jpg", "val", 2),
        ("b.jpg", "train", 1),
    ]
    (note,) = problems.notes
    assert note.endswith("a.jpg")
    train, val = (read_labels(path, ReadOptions(split=split)) for split in ("train", "val"))
    assert [[image.path.name for image in part] for part in (train, val)] == [["b.jpg"], ["a.jpg"]]


@pytest.mark.parametrize("missing", [("center",), ("scale",), ("joints_vis",), ("center", "scale", "joints_vis")])
def test_fields_of_json_that_are_not_needed_may_be_missing_or_null(tmp_path: Path, missing: tuple[str, ...]) -> None:
    images(tmp_path, NAMES)
    full = person("a.jpg", 3, 5, 1) | {"isValidation": False}
    path = tmp_path / "people.json"
    for values in ({key: value for key, value in full.items() if key not in missing}, full | dict.fromkeys(missing)):
        if values.get("joints_vis", ()) is None:
            continue
        path.write_text(json.dumps([values]))
        annotation = read_labels(path).images[0].annotation
        assert annotation.visibility[0].tolist() == [0] * 3 + [2] + [0] * 12
        expected = [0, 11.5, 20, 20] if missing == ("joints_vis",) else [4, 9, 0, 0]  # of the joints
        np.testing.assert_allclose(annotation.boxes[0], expected, atol=1e-5)


def test_joints_without_numbers_are_not_labeled(tmp_path: Path) -> None:
    images(tmp_path, NAMES)
    entry = person("a.jpg", 3, 5, 1)
    entry["joints"][4:7] = [[float("nan"), 3], [None, None], [0, 0]]
    path = tmp_path / "people.json"
    path.write_text(json.dumps([entry]))
    annotation = read_labels(path).images[0].annotation
    assert np.flatnonzero(annotation.visibility[0]).tolist() == [3]
    entry["joints"][5] = [float("inf"), 2]
    path.write_text(json.dumps([entry]))
    with pytest.raises(LabelError, match=r"entry 0: joint 6 is at \[inf"):
        read_labels(path)


@pytest.mark.parametrize("form", ["joints", "joint_self"])
def test_labeled_joints_may_be_outside_the_image(tmp_path: Path, form: str) -> None:
    images(tmp_path, NAMES)
    places = [(-3, 10), (5, -7.5), (0, 8), (9, 0), (0, 0), (-1, -1), (-1, 4)]
    joints = np.full((16, 2), -1.0)
    joints[: len(places)] = places
    visible = np.array([1, 1, 0, 1, 1, 0, 1] + [0] * 9)
    entry = person("a.jpg", 0, 1, 1) | {"joints": joints.tolist(), "joints_vis": visible.tolist()}
    if form == "joint_self":
        table = np.concatenate([joints, visible[:, None]], axis=1)
        entry = {"img_paths": "a.jpg", "joint_self": table.tolist(), "objpos": [11.0, 21.0], "scale_provided": 0.1}
    path = tmp_path / "valid.json"
    path.write_text(json.dumps([entry]))
    annotation = read_labels(path).images[0].annotation
    np.testing.assert_array_equal(annotation.visibility[0, :8], [2, 2, 1, 2, 0, 0, 2, 0])
    np.testing.assert_array_equal(annotation.keypoints[0, [0, 1, 6]], [[-4, 9], [4, -8.5], [-2, 3]])


@pytest.mark.parametrize("target", ["labels.json", "labels.csv", "labels.parquet"])
def test_head_sizes_survive_conversion(tmp_path: Path, target: str) -> None:
    if target.endswith("parquet"):
        pytest.importorskip("pyarrow")
    images(tmp_path, NAMES)
    source = read_labels(save(tmp_path / "mpii.mat", RELEASE=release()))
    heads = [np.array([5.25, np.nan], np.float32), np.array([7.3], np.float32)]
    given = replace(
        source,
        images=tuple(
            replace(image, annotation=replace(image.annotation, heads=own))
            for image, own in zip(source, heads, strict=True)
        ),
    )
    assert not any("head sizes" in line for line in write_labels(given, tmp_path / target))
    again = read_labels(tmp_path / target)
    for image, own in zip(again, heads, strict=True):
        np.testing.assert_array_equal(image.annotation.heads, own)
    if target != "labels.json":
        return
    without = replace(
        source, images=tuple(replace(image, annotation=replace(image.annotation, heads=None)) for image in source)
    )
    write_labels(without, tmp_path / target)
    assert all(image.annotation.heads is None for image in read_labels(tmp_path / target))


@pytest.mark.parametrize("value", [-2, 0, "wide", True, None])
def test_a_head_size_that_is_none_is_ignored_with_a_note(tmp_path: Path, value: Any) -> None:
    images(tmp_path, NAMES)
    write_labels(read_labels(save(tmp_path / "mpii.mat", RELEASE=release())), tmp_path / "labels.json")
    content = json.loads((tmp_path / "labels.json").read_text())
    content["annotations"][0]["head_size"] = value
    (tmp_path / "labels.json").write_text(json.dumps(content))
    problems = Problems()
    heads = read_labels(tmp_path / "labels.json", ReadOptions(problems=problems)).images[0].annotation.heads
    np.testing.assert_array_equal(heads, [np.nan, 5])
    assert bool(problems.notes) == (value is not None)


def test_formats_without_head_sizes_say_so(tmp_path: Path) -> None:
    images(tmp_path, NAMES)
    labels = read_labels(save(tmp_path / "mpii.mat", RELEASE=release()))
    assert any("head sizes are skipped" in line for line in write_labels(labels, tmp_path / "yolo"))
