"""Poses are a struct of arrays: rows are indexed, moved, filtered and mapped together."""

import copy
import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.errors import CairnError, OutputError, SkeletonError
from cairn.structures.geometry import Affine
from cairn.structures.pose import Pose
from cairn.structures.poses import Poses
from cairn.structures.skeleton import Skeleton, load_skeleton
from support.fake_poses import random_poses

COCO17 = load_skeleton("coco17")
IMAGE = np.random.default_rng(0).integers(0, 256, (100, 120, 3), dtype=np.uint8)

some = st.builds(random_poses, st.integers(0, 2**32 - 1), st.integers(0, 6))


def same(one: Poses, other: Poses) -> bool:
    arrays = ("keypoints", "confidence", "scores")
    equal = all(np.array_equal(getattr(one, a), getattr(other, a), equal_nan=True) for a in arrays)
    return equal and one.skeleton == other.skeleton and np.array_equal(one.ids, other.ids)


def same_pose(pose: Pose, poses: Poses, row: int) -> bool:
    identity = None if poses.ids is None or poses.ids[row] < 0 else poses.ids[row]
    return (
        np.array_equal(pose.keypoints, poses.keypoints[row], equal_nan=True)
        and np.array_equal(pose.confidence, poses.confidence[row])
        and pose.score == poses.scores[row]
        and np.array_equal(pose.box, poses.boxes[row], equal_nan=True)
        and pose.id == identity
        and pose.skeleton is poses.skeleton
    )


def tracked(people: int = 4, image: np.ndarray | None = None) -> Poses:
    ids = np.array([7, -1, 3, 9, 5])[:people]
    return replace(random_poses(1, people, COCO17), ids=ids, image=image)


def test_empty_has_no_instances() -> None:
    empty = Poses.empty(COCO17)
    assert len(empty) == 0
    assert list(empty) == []
    assert empty.keypoints.shape == (0, 17, 2)
    assert empty.boxes.shape == (0, 4)
    assert empty["nose"].shape == (0, 3)
    assert same(empty.above(0.5), empty)


def test_shapes_that_contradict_the_skeleton_raise() -> None:
    with pytest.raises(SkeletonError, match=r"must be \(1, 17, 2\) .* got \(1, 14, 2\)"):
        Poses(np.zeros((1, 14, 2), "f"), np.zeros((1, 14), "f"), np.zeros(1, "f"), COCO17)


def test_ids_of_another_number_of_instances_raise() -> None:
    with pytest.raises(SkeletonError, match=r"each of 2 instances, got \(3,\)"):
        replace(random_poses(1, 2), ids=np.array([1, 2, 3]))


@given(some, st.data())
def test_a_mask_selects_its_rows(poses: Poses, data: st.DataObject) -> None:
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(poses), max_size=len(poses))), bool)
    selected = poses[mask]
    assert len(selected) == mask.sum()
    for row, index in enumerate(np.flatnonzero(mask)):
        assert same_pose(selected[row], poses, int(index))
    assert same(poses[mask.tolist()], selected)
    assert same(poses[:], poses)


@given(st.integers(1, 6), st.data())
def test_indexing_is_that_of_a_list_of_poses(people: int, data: st.DataObject) -> None:
    poses = tracked(min(people, 5))
    count = len(poses)
    items = list(poses)
    assert len(items) == count
    for row, pose in enumerate(items):
        assert same_pose(pose, poses, row)
        assert same_pose(poses[row], poses, row)
        assert same_pose(poses[row - count], poses, row)
        for kind in (np.int64, np.uint8, np.intp):
            assert same_pose(poses[kind(row)], poses, row)
    rows = data.draw(st.lists(st.integers(-count, count - 1), max_size=8))
    for index in (rows, np.array(rows, dtype=np.int32), np.array(rows, dtype=np.intp)):
        selected = poses[index]
        assert isinstance(selected, Poses)
        assert [same_pose(selected[i], poses, row) for i, row in enumerate(rows)] == [True] * len(rows)
    start, stop, step = data.draw(st.tuples(st.integers(-7, 7), st.integers(-7, 7), st.sampled_from([-2, -1, 1, 3])))
    assert same(poses[start:stop:step], poses[np.arange(count)[start:stop:step]])


@pytest.mark.parametrize("index", [4, -5, np.int64(4), 100])
def test_an_index_out_of_range_raises(index: Any) -> None:
    with pytest.raises(IndexError, match=f"there are 4 instances, got index {index}"):
        tracked()[index]
    with pytest.raises(IndexError):
        tracked()[[0, index]]


@pytest.mark.parametrize("length", [3, 5])
def test_a_mask_of_the_wrong_length_raises(length: int) -> None:
    for mask in (np.ones(length, bool), [True] * length):
        with pytest.raises(IndexError, match=rf"must have shape \(4,\), got \({length},\)"):
            tracked()[mask]


@pytest.mark.parametrize(
    "index",
    [1.0, np.float32(1), np.array(1), np.array(True), True, None, np.array([0.0, 1.0]), [0.5], (0, 1), ..., {0},
     np.array([[0, 1]]), ["nose"]],
)  # fmt: skip
def test_an_index_of_another_kind_raises(index: Any) -> None:
    with pytest.raises(TypeError, match="an index is an integer, a joint name, a slice") as caught:
        tracked()[index]
    assert "\n" not in str(caught.value)


@given(some)
def test_a_joint_name_selects_one_keypoint(poses: Poses) -> None:
    for k, joint in enumerate(poses.skeleton.joints):
        column = poses[joint]
        assert column.shape == (len(poses), 3)
        assert column.dtype == np.float32
        assert np.array_equal(column[:, :2], poses.keypoints[:, k], equal_nan=True)
        assert np.array_equal(column[:, 2], poses.confidence[:, k])
        for row, pose in enumerate(poses):
            assert np.array_equal(pose[joint], column[row], equal_nan=True)
            assert pose[joint].dtype == np.float32


def test_an_unknown_joint_name_raises_with_similar_names() -> None:
    poses = tracked()
    for item in (poses, poses[0]):
        with pytest.raises(SkeletonError, match="has no joint 'left_wirst'; did you mean left_wrist"):
            item["left_wirst"]
        with pytest.raises(SkeletonError, match="no joint 'x'; it has nose, left_eye"):
            item["x"]


@given(some)
def test_a_pose_iterates_over_its_keypoints(poses: Poses) -> None:
    for pose in poses:
        assert len(pose) == len(list(pose)) == len(poses.skeleton)
        for joint, values in pose:
            np.testing.assert_array_equal(values, pose[joint].astype(float))


def test_track_ids_stay_with_their_instances() -> None:
    poses = tracked()
    assert [pose.id for pose in poses] == [7, None, 3, 9]
    assert [pose.id for pose in random_poses(1, 2)] == [None, None]
    assert poses[[2, 0]].ids.tolist() == [3, 7]
    assert poses[1:].ids.tolist() == [-1, 3, 9]
    assert poses.transformed(Affine.scaling(2)).ids.tolist() == [7, -1, 3, 9]
    assert poses.mapped(load_skeleton("coco18")).ids.tolist() == [7, -1, 3, 9]
    highest = poses.confidence.max(axis=1)
    assert poses.above(np.sort(highest)[1]).ids.tolist() == poses.ids[highest >= np.sort(highest)[1]].tolist()
    assert poses[:0].ids.shape == (0,)


def test_the_image_is_kept_while_the_coordinates_are_its_own() -> None:
    poses = tracked(image=IMAGE)
    assert random_poses(1, 2).image is None
    for kept in (poses[1:], poses[[0]], poses.above(0.5), poses.mapped(load_skeleton("coco18")), replace(poses)):
        assert kept.image is IMAGE
    assert poses.transformed(Affine.scaling(2)).image is None


@given(some)
def test_reprs_are_one_line_with_counts(poses: Poses) -> None:
    text, count = repr(poses), int((poses.confidence > 0).sum())
    plural = "" if len(poses) == 1 else "s"
    assert text == f"Poses({len(poses)} instance{plural} of totem, {count} of {poses.confidence.size} keypoints)"
    for pose in poses:
        assert repr(pose).startswith(f"Pose(score {pose.score:.2f}, {int((pose.confidence > 0).sum())} of 3 keypoints")
        assert "\n" not in repr(pose)
    assert repr(tracked()[0]).startswith("Pose(id 7, score ")


@pytest.mark.parametrize("image", [None, IMAGE])
def test_pickling_and_copying_are_round_trips(image: np.ndarray | None) -> None:
    poses = tracked(image=image)
    for again in (pickle.loads(pickle.dumps(poses)), copy.copy(poses), copy.deepcopy(poses)):
        assert same(again, poses)
        assert np.array_equal(again.image, image)
        assert again.skeleton == poses.skeleton
    for again in (pickle.loads(pickle.dumps(poses[0])), copy.copy(poses[0]), copy.deepcopy(poses[0])):
        assert np.array_equal(again.keypoints, poses[0].keypoints, equal_nan=True)
        assert (again.id, again.score, again.skeleton) == (poses[0].id, poses[0].score, poses[0].skeleton)


@given(some, st.integers(0, 6))
def test_concatenating_parts_gives_the_whole(poses: Poses, cut: int) -> None:
    assert same(Poses.concatenate([poses[:cut], poses[cut:]], poses.skeleton), poses)
    assert same(Poses.concatenate([], poses.skeleton), Poses.empty(poses.skeleton))


def test_concatenating_keeps_ids_and_image_where_all_have_them() -> None:
    poses = tracked(image=IMAGE)
    whole = Poses.concatenate([poses[:1], poses[1:]], COCO17)
    assert whole.ids.tolist() == poses.ids.tolist()
    assert whole.image is IMAGE
    mixed = Poses.concatenate([poses, random_poses(2, 1, COCO17)], COCO17)
    assert mixed.ids is None
    assert mixed.image is None


@given(some)
def test_boxes_are_the_extent_of_the_detected_keypoints(poses: Poses) -> None:
    for points, detected, (x, y, width, height) in zip(poses.keypoints, poses.detected, poses.boxes, strict=True):
        if not detected.any():
            assert np.isnan([x, y, width, height]).all()
            continue
        xs, ys = points[detected].T
        np.testing.assert_allclose([x, y, width, height], [xs.min(), ys.min(), np.ptp(xs), np.ptp(ys)], rtol=1e-5)


@given(some)
def test_transforming_there_and_back_is_identity(poses: Poses) -> None:
    affine = Affine.rotation(30).then(Affine.translation(5, -7))
    back = poses.transformed(affine).transformed(affine.inverse())
    np.testing.assert_allclose(back.keypoints, poses.keypoints, atol=1e-4)
    assert back.keypoints.dtype == np.float32
    assert np.array_equal(back.confidence, poses.confidence)


@given(some, st.floats(0, 1), st.floats(0, 1))
def test_above_keeps_keypoints_with_enough_confidence(poses: Poses, low: float, high: float) -> None:
    low, high = sorted((low, high))
    kept = poses.above(high)
    assert (kept.confidence[kept.detected] >= np.float32(high)).all()
    assert kept.detected.any(axis=1).all()
    assert np.array_equal(np.isnan(kept.keypoints[..., 0]), ~kept.detected)
    assert kept.detected.sum() == (poses.confidence[poses.detected] >= high).sum()
    assert same(poses.above(low).above(high), kept)


def test_a_threshold_is_a_number() -> None:
    with pytest.raises(CairnError, match=r"^threshold must be a number, got 'a'$"):
        Poses.empty(load_skeleton("coco17")).above("a")


@given(st.integers(0, 1000), st.integers(0, 4))
def test_mapping_to_a_larger_skeleton_and_back_is_identity(seed: int, people: int) -> None:
    coco18 = load_skeleton("coco18")
    poses = random_poses(seed, people, COCO17)
    there = poses.mapped(coco18)
    shoulders = [COCO17.index("left_shoulder"), COCO17.index("right_shoulder")]
    neck = coco18.index("neck")
    middle = (poses.keypoints[:, shoulders[0]] + poses.keypoints[:, shoulders[1]]) / 2  # NaN where either is
    np.testing.assert_allclose(there.keypoints[:, neck], middle, rtol=1e-6)
    np.testing.assert_array_equal(there.confidence[:, neck], np.minimum(*poses.confidence[:, shoulders].T))
    for joint in COCO17.joints:
        one, other = poses.keypoints[:, COCO17.index(joint)], there.keypoints[:, coco18.index(joint)]
        assert np.array_equal(one, other, equal_nan=True)
    assert same(there.mapped(COCO17), poses)


def test_a_mean_needs_all_its_parts_and_a_joint_of_the_same_name_comes_first() -> None:
    one, part = Skeleton("one", ("a", "b", "middle")), Skeleton("part", ("a",))
    wanted = Skeleton("wanted", ("c", "middle"), means=(("c", ("a", "b")), ("middle", ("a", "b"))))
    points = np.array([[[0, 0], [2, 4], [9, 9]]], np.float32)
    poses = Poses(points, np.array([[0.5, 0.75, 1]], np.float32), np.ones(1, np.float32), one)
    there = poses.mapped(wanted)
    assert there.keypoints.tolist() == [[[1, 2], [9, 9]]]
    assert there.confidence.tolist() == [[0.5, 1]]
    assert not poses.mapped(part).mapped(wanted).detected.any()


def test_plot_without_a_known_image_raises() -> None:
    for draw in (tracked().plot, lambda: tracked().save("out.png")):
        with pytest.raises(CairnError, match="the image of these poses is unknown: pass it"):
            draw()
    assert tracked()._repr_png_() is None


def test_save_with_an_unknown_suffix_raises(tmp_path: Any) -> None:
    for name in ("poses.txt", "poses", ".json"):
        with pytest.raises(OutputError, match=r"the suffix must be one of \.json \.csv \.jpg"):
            tracked(image=IMAGE).save(tmp_path / name)
    assert list(tmp_path.iterdir()) == []
