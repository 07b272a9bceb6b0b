"""Duplicates of instances, and areas and boxes that do not fit their keypoints; nothing for right labels."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cairn.datasets.checks.instance_checks import (
    areas_fit,
    boxes_fit,
    check_instances,
    duplicate_instances,
    keypoint_boxes,
    reference_areas,
    reference_boxes,
)
from cairn.datasets.labels import LabeledImage, Labels
from cairn.structures.annotation import AREA_PER_BOX, Annotation
from support.made_objects import ANIMAL, animals

SIZE = (400, 500)


def rows_of(keypoints: np.ndarray, margin: float = 4) -> Annotation:
    """Instances with boxes around their keypoints, and half of the box as area."""
    low, high = np.nanmin(keypoints, axis=1) - margin, np.nanmax(keypoints, axis=1) + margin
    return Annotation(
        keypoints.astype(np.float32),
        np.where(np.isfinite(keypoints[..., 0]), 2, 0).astype(np.uint8),
        np.concatenate([low, high - low], axis=1).astype(np.float32),
        (0.5 * (high - low).prod(axis=1)).astype(np.float32),
        np.zeros(len(keypoints), bool),
    )


def labels_of(*images: Annotation) -> Labels:
    listed = tuple(LabeledImage(i, Path(f"{i}.png"), SIZE, rows) for i, rows in enumerate(images))
    return Labels(ANIMAL, listed, np.ones(len(ANIMAL), bool))


@pytest.fixture
def right() -> Labels:
    """Two or three instances in each of eight images, none in the last."""
    points = animals(20) + np.random.default_rng(5).uniform(60, 200, (20, 1, 2))
    parts = np.split(points, [3, 5, 8, 10, 13, 15, 18])
    return labels_of(*map(rows_of, parts), rows_of(points)[:0])


def changed(labels: Labels, **columns: np.ndarray) -> Labels:
    """The labels with other columns; their rows are those of all images in order."""
    images, at = [], 0
    for image in labels:
        count = len(image.annotation)
        part = {name: values[at : at + count].astype(np.float32) for name, values in columns.items()}
        images.append(replace(image, annotation=replace(image.annotation, **part)))
        at += count
    return replace(labels, images=tuple(images))


def all_rows(labels: Labels) -> Annotation:
    return Annotation.concatenate([image.annotation for image in labels])


def test_right_labels_have_no_findings(right):
    assert check_instances("set", right) == []
    assert check_instances("set", replace(right, images=())) == []
    assert check_instances("set", replace(right, images=right.images[-1:])) == []


# Duplicates


def test_copies_are_counted_with_the_first_example(right):
    rows = right.images[1].annotation
    order = [0, 1, 1, 0, 1]
    twice = labels_of(right.images[0].annotation, rows[order])
    (finding,) = check_instances("set", twice)
    assert finding.kind == "duplicate_instances"
    assert finding.line.startswith("set: 3 instances occur twice")
    assert (
        "1.png (instance 3) = instance 2; 1.png (instance 4) = instance 1; 1.png (instance 5) = instance 2"
        in finding.line
    )
    assert [case["instance"] for case in finding.cases] == [2, 3, 4]


@pytest.mark.parametrize(("shift", "found"), [(0.0, 1), (0.2, 1), (3.0, 0)])
def test_a_copy_may_differ_by_rounding(right, shift, found):
    rows = right.images[0].annotation
    copy = replace(rows[[0]], keypoints=rows.keypoints[[0]] + np.float32(shift), boxes=rows.boxes[[0]])
    both = Annotation.concatenate([rows, copy])
    assert len(duplicate_instances(both, np.zeros(len(both), int))) == found


def test_the_same_keypoints_in_another_image_or_class_are_no_copy(right):
    rows = right.images[0].annotation[[0, 0]]
    assert duplicate_instances(rows, np.array([0, 0])) == {1: 0}
    assert duplicate_instances(rows, np.array([0, 1])) == {}
    assert duplicate_instances(replace(rows, classes=np.array([0, 1])), np.array([0, 0])) == {}
    assert duplicate_instances(replace(rows, classes=np.array([1, 1])), np.array([0, 0])) == {1: 0}


def test_instances_that_differ_in_one_keypoint_are_no_copies(right):
    rows = right.images[0].annotation[[0, 0]]
    moved, hidden = rows.keypoints.copy(), rows.visibility.copy()
    moved[1, 2] += [9, 0]
    hidden[1, 2] = 0
    assert duplicate_instances(replace(rows, keypoints=moved), np.zeros(2, int)) == {}
    assert duplicate_instances(replace(rows, visibility=hidden), np.zeros(2, int)) == {}


def test_a_single_keypoint_is_a_copy_only_with_the_same_box():
    points = np.full((2, len(ANIMAL), 2), np.nan)
    points[:, 0] = 50, 60
    rows = rows_of(points)
    assert duplicate_instances(rows, np.zeros(2, int)) == {1: 0}
    other = rows.boxes.copy()
    other[1] += [0, 0, 30, 30]
    assert duplicate_instances(replace(rows, boxes=other), np.zeros(2, int)) == {}


def test_copies_equal_those_of_all_pairs():
    rng = np.random.default_rng(0)
    points = rng.choice(animals(6), 60) + rng.choice([0.0, 0.3, 40.0], (60, 1, 1))
    rows, images = rows_of(points), rng.integers(0, 5, 60)
    expected = {}
    for j in range(60):
        for i in range(j):
            if images[i] == images[j] and np.abs(rows.keypoints[i] - rows.keypoints[j]).max() <= 0.5:
                expected.setdefault(j, i)
    assert duplicate_instances(rows, images) == expected
    assert expected


def test_crowds_and_boxes_without_keypoints_are_no_copies(right):
    rows = right.images[0].annotation[[0, 0]]
    assert check_instances("set", labels_of(replace(rows, crowd=np.array([False, True])))) == []
    nothing = replace(rows, visibility=np.zeros_like(rows.visibility), keypoints=np.full_like(rows.keypoints, np.nan))
    assert check_instances("set", labels_of(nothing)) == []


# Boxes


def corners(box):
    return np.concatenate([box[:, :2], box[:, :2] + box[:, 2:]], axis=1)


def centers(box):
    return np.concatenate([box[:, :2] + box[:, 2:] / 2, box[:, 2:]], axis=1)


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (corners, "fit only as x1, y1, x2, y2"),
        (lambda box: box / [500, 400, 500, 400], "do not contain most of their keypoints"),
        (lambda box: box * [1, 1, 0.01, 0.01], "do not contain most of their keypoints"),
        (lambda box: box / 4, "do not contain most of their keypoints"),
        (lambda box: box[:, [1, 0, 3, 2]] + [150, 0, 0, 0], "do not contain most of their keypoints"),
    ],
    ids=["corners", "shares of the image", "tiny", "another resolution", "axes"],
)
def test_boxes_in_other_units_are_found(right, wrong, text):
    findings = check_instances("set", changed(right, boxes=wrong(all_rows(right).boxes)))
    (finding,) = (entry for entry in findings if entry.kind == "box")
    assert text in finding.line
    assert finding.line.startswith("set: ")
    assert ".png (instance " in finding.line
    assert len(finding.cases) >= 5


def test_boxes_by_their_centers_are_found_where_most_keypoints_fall_out(right):
    findings = check_instances("set", changed(right, boxes=centers(all_rows(right).boxes)))
    assert [entry.kind for entry in findings] == ["box"]


def test_one_wrong_box_is_found_among_right_ones(right):
    boxes = all_rows(right).boxes.copy()
    boxes[4] = [0, 0, 5, 5]
    (finding,) = check_instances("set", changed(right, boxes=boxes))
    assert "1 of 20 bounding boxes" in finding.line
    assert finding.cases[0]["image"] == "1.png"
    assert finding.cases[0]["instance"] == 1


def test_large_crops_around_a_person_are_right(right):
    box = all_rows(right).boxes
    middle, side = box[:, :2] + box[:, 2:] / 2, 3 * box[:, 2:].max(axis=1, keepdims=True)
    crops = np.concatenate([middle - side / 2, side, side], axis=1)
    assert not [entry for entry in check_instances("set", changed(right, boxes=crops)) if entry.kind == "box"]


# Areas


@pytest.mark.parametrize(
    "wrong",
    [
        lambda area: 0 * area,
        lambda area: 0 * area + 1,
        lambda area: area / (500 * 400),
        lambda area: 0 * area + 500 * 400,
        lambda area: 16 * area,
    ],
    ids=["zero", "one", "share of the image", "the image", "another resolution"],
)
def test_areas_that_an_instance_cannot_have_are_found(right, wrong):
    (finding,) = check_instances("set", changed(right, areas=wrong(all_rows(right).areas)))
    assert finding.kind == "area"
    assert "20 of 20 areas do not fit" in finding.line
    assert "0.png (instance 1) has " in finding.line


@pytest.mark.parametrize("share", [0.05, 0.3, 1.0])
def test_areas_from_thin_objects_to_the_whole_box_are_right(right, share):
    boxes = all_rows(right).boxes
    assert check_instances("set", changed(right, areas=share * boxes[:, 2:].prod(axis=1))) == []


def test_a_line_of_keypoints_may_have_an_area():
    points = np.zeros((1, len(ANIMAL), 2)) + np.array([100, 80])
    points[0, :, 0] += np.arange(len(ANIMAL)) * 10
    rows = replace(rows_of(points, margin=0), areas=np.array([500], np.float32))
    assert areas_fit(rows).all()


# Reference boxes


def test_the_reference_box_is_the_annotated_one_unless_it_does_not_fit(right):
    rows = all_rows(right)
    np.testing.assert_array_equal(reference_boxes(rows), rows.boxes)
    wrong = replace(rows, boxes=np.zeros_like(rows.boxes))
    assert not boxes_fit(wrong).any()
    np.testing.assert_array_equal(reference_boxes(wrong), keypoint_boxes(rows))
    np.testing.assert_allclose(keypoint_boxes(rows)[:, 2:], np.ptp(rows.keypoints, axis=1), rtol=1e-5)


def test_reference_areas_depend_on_no_annotated_area(right):
    rows = all_rows(right)
    expected = AREA_PER_BOX * rows.boxes[:, 2:].prod(axis=1)
    np.testing.assert_allclose(reference_areas(rows), expected, rtol=1e-5)
    np.testing.assert_array_equal(
        reference_areas(replace(rows, areas=np.zeros_like(rows.areas))), reference_areas(rows)
    )


def test_instances_without_keypoints_have_no_keypoint_box():
    points = np.full((1, len(ANIMAL), 2), np.nan, np.float32)
    hidden, box, one = np.zeros((1, len(ANIMAL)), np.uint8), np.ones((1, 4), np.float32), np.ones(1, np.float32)
    nothing = Annotation(points, hidden, box, one, np.zeros(1, bool))
    assert np.isnan(keypoint_boxes(nothing)).all()
    assert boxes_fit(nothing).all()
