"""Poses are arrays that belong together: rows are taken, moved, thinned and renamed all at once."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.errors import SkeletonError
from cairn.structures.annotation import Annotation
from cairn.structures.geometry import Affine
from cairn.structures.poses import Poses
from cairn.structures.skeleton import Skeleton, load_skeleton
from support.fake_poses import random_poses

some = st.builds(random_poses, st.integers(0, 2**32 - 1), st.integers(0, 6))


def same(one: Poses, other: Poses) -> bool:
    arrays = ("keypoints", "confidence", "scores")
    equal = all(np.array_equal(getattr(one, a), getattr(other, a), equal_nan=True) for a in arrays)
    return equal and one.skeleton == other.skeleton and np.array_equal(one.ids, other.ids)


def test_empty_is_nobody() -> None:
    nobody = Poses.empty(load_skeleton("coco17"))
    assert len(nobody) == 0
    assert nobody.keypoints.shape == (0, 17, 2)
    assert nobody.boxes.shape == (0, 4)
    assert same(nobody.above(0.5), nobody)


def test_shapes_that_contradict_the_skeleton_are_refused() -> None:
    with pytest.raises(SkeletonError, match=r"must be \(1, 17, 2\) .* got \(1, 14, 2\)"):
        Poses(np.zeros((1, 14, 2), "f"), np.zeros((1, 14), "f"), np.zeros(1, "f"), load_skeleton("coco17"))


@given(some, st.data())
def test_rows_stay_together(poses: Poses, data: st.DataObject) -> None:
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(poses), max_size=len(poses))), bool)
    chosen = poses[mask]
    assert len(chosen) == mask.sum()
    for row, index in enumerate(np.flatnonzero(mask)):
        assert np.array_equal(chosen.keypoints[row], poses.keypoints[index], equal_nan=True)
        assert chosen.scores[row] == poses.scores[index]
    assert same(poses[:], poses)


def test_who_somebody_is_stays_with_them() -> None:
    poses = replace(random_poses(1, 4, load_skeleton("coco17")), ids=np.array([7, -1, 3, 9]))
    assert poses[[2, 0]].ids.tolist() == [3, 7]
    assert poses[1:].ids.tolist() == [-1, 3, 9]
    assert poses.transformed(Affine.scaling(2)).ids.tolist() == [7, -1, 3, 9]
    assert poses.mapped(load_skeleton("coco18")).ids.tolist() == [7, -1, 3, 9]
    sure = poses.confidence.max(axis=1)
    assert poses.above(np.sort(sure)[1]).ids.tolist() == poses.ids[sure >= np.sort(sure)[1]].tolist()
    assert poses[:0].ids.shape == (0,)


def test_as_many_ids_as_objects() -> None:
    with pytest.raises(SkeletonError, match=r"each of 2 instances, got \(3,\)"):
        replace(random_poses(1, 2), ids=np.array([1, 2, 3]))


@given(some)
def test_boxes_hold_what_was_found_and_no_more(poses: Poses) -> None:
    for points, found, (x, y, width, height) in zip(poses.keypoints, poses.detected, poses.boxes, strict=True):
        if not found.any():
            assert np.isnan([x, y, width, height]).all()
            continue
        xs, ys = points[found].T
        np.testing.assert_allclose([x, y, width, height], [xs.min(), ys.min(), np.ptp(xs), np.ptp(ys)], rtol=1e-5)


@given(some)
def test_moving_there_and_back(poses: Poses) -> None:
    affine = Affine.rotation(30).then(Affine.translation(5, -7))
    back = poses.transformed(affine).transformed(affine.inverse())
    np.testing.assert_allclose(back.keypoints, poses.keypoints, atol=1e-4)
    assert back.keypoints.dtype == np.float32
    assert np.array_equal(back.confidence, poses.confidence)


@given(some, st.floats(0, 1), st.floats(0, 1))
def test_above_keeps_what_is_sure_enough(poses: Poses, low: float, high: float) -> None:
    low, high = sorted((low, high))
    kept = poses.above(high)
    assert (kept.confidence[kept.detected] >= np.float32(high)).all()
    assert kept.detected.any(axis=1).all()
    assert np.array_equal(np.isnan(kept.keypoints[..., 0]), ~kept.detected)
    assert kept.detected.sum() == (poses.confidence[poses.detected] >= high).sum()
    assert same(poses.above(low).above(high), kept)


@given(st.integers(0, 1000), st.integers(0, 4))
def test_mapping_to_a_larger_skeleton_and_back(seed: int, people: int) -> None:
    coco17, coco18 = load_skeleton("coco17"), load_skeleton("coco18")
    poses = random_poses(seed, people, coco17)
    there = poses.mapped(coco18)
    shoulders = [coco17.index("left_shoulder"), coco17.index("right_shoulder")]
    neck = coco18.index("neck")
    middle = (poses.keypoints[:, shoulders[0]] + poses.keypoints[:, shoulders[1]]) / 2  # NaN where either is
    np.testing.assert_allclose(there.keypoints[:, neck], middle, rtol=1e-6)
    np.testing.assert_array_equal(there.confidence[:, neck], np.minimum(*poses.confidence[:, shoulders].T))
    for joint in coco17.joints:
        one, other = poses.keypoints[:, coco17.index(joint)], there.keypoints[:, coco18.index(joint)]
        assert np.array_equal(one, other, equal_nan=True)
    assert same(there.mapped(coco17), poses)


def test_a_mean_needs_all_its_parts_and_a_name_comes_first() -> None:
    one, part = Skeleton("one", ("a", "b", "middle")), Skeleton("part", ("a",))
    wanted = Skeleton("wanted", ("c", "middle"), means=(("c", ("a", "b")), ("middle", ("a", "b"))))
    points = np.array([[[0, 0], [2, 4], [9, 9]]], np.float32)
    poses = Poses(points, np.array([[0.5, 0.75, 1]], np.float32), np.ones(1, np.float32), one)
    there = poses.mapped(wanted)
    assert there.keypoints.tolist() == [[[1, 2], [9, 9]]]
    assert there.confidence.tolist() == [[0.5, 1]]
    assert not poses.mapped(part).mapped(wanted).detected.any()


def test_an_annotation_s_rows_and_what_counts_as_labeled() -> None:
    annotation = Annotation(
        keypoints=np.zeros((3, 2, 2), np.float32),
        visibility=np.array([[0, 2], [0, 0], [1, 2]], np.uint8),
        boxes=np.arange(12, dtype=np.float32).reshape(3, 4),
        areas=np.ones(3, np.float32),
        crowd=np.array([False, False, True]),
        tracks=np.array([4, 5, -1]),
    )
    assert annotation.labeled.tolist() == [True, False, False]
    chosen = annotation[annotation.labeled]
    assert len(chosen) == 1
    assert chosen.boxes.tolist() == [[0, 1, 2, 3]]
    assert chosen.tracks.tolist() == [4]
