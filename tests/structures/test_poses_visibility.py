"""Visibility follows its keypoints through every operation and every form."""

import pickle
from dataclasses import replace

import numpy as np
import pytest

from cairn.errors import SkeletonError
from cairn.structures.geometry import Affine
from cairn.structures.poses import Poses
from cairn.structures.skeleton import Skeleton, load_skeleton
from support.fake_network import TOTEM
from support.fake_poses import random_poses


def seen(seed: int, people: int, skeleton: Skeleton = TOTEM) -> Poses:
    poses = random_poses(seed, people, skeleton)
    values = np.random.default_rng(seed).random(poses.confidence.shape)
    return replace(poses, visibility=np.where(poses.detected, values, np.nan).astype(np.float32))


def same(a, b) -> bool:
    return np.array_equal(a, b, equal_nan=True)


def test_visibility_follows_its_keypoints():
    poses = seen(0, 5)
    rows = [3, 0]
    assert same(poses[rows].visibility, poses.visibility[rows])
    assert same(poses[1].visibility, poses.visibility[1])
    assert same(poses[2:].visibility, poses.visibility[2:])
    assert same(poses.transformed(Affine.mirror(9)).visibility, poses.visibility)
    assert same(pickle.loads(pickle.dumps(poses)).visibility, poses.visibility)
    above = poses.above(0.5)
    kept = poses.detected & (poses.confidence >= 0.5)
    expected = np.where(kept, poses.visibility, np.nan)[kept.any(axis=1)]
    assert same(above.visibility, expected.astype(np.float32))
    assert same(np.isfinite(above.visibility), above.detected)


def test_a_mean_joint_is_as_visible_as_the_least_visible_of_its_joints():
    poses = seen(1, 4, load_skeleton("coco17"))
    mapped = poses.mapped(load_skeleton("coco18"))
    left, right = (poses.skeleton.index(f"{side}_shoulder") for side in ("left", "right"))
    both = poses.detected[:, left] & poses.detected[:, right]
    expected = np.where(both, np.minimum(poses.visibility[:, left], poses.visibility[:, right]), np.nan)
    assert same(mapped.visibility[:, mapped.skeleton.index("neck")], expected)
    assert same(np.isfinite(mapped.visibility), mapped.detected)


def test_poses_with_and_without_visibility_are_joined():
    a, b, none = seen(2, 2), random_poses(3, 3), Poses.empty(TOTEM)
    joined = Poses.concatenate([a, none, b], TOTEM)
    assert same(joined.visibility, np.concatenate([a.visibility, np.full((3, 3), np.nan, np.float32)]))
    assert Poses.concatenate([b, none], TOTEM).visibility is None


def test_another_shape_is_an_error():
    with pytest.raises(SkeletonError, match=r"visibility must be \(2, 3\), got \(2, 4\)"):
        replace(random_poses(0, 2), visibility=np.zeros((2, 4), np.float32))


def test_plain_values_name_the_visibility_and_coco_has_v():
    poses = seen(4, 3)
    for row, person in enumerate(poses.to_dict()["people"]):
        for k, joint in enumerate(TOTEM.joints):
            value = person["visibility"][joint]
            assert (value is None) == (not poses.detected[row, k])
            assert value is None or value == pytest.approx(poses.visibility[row, k], abs=1e-4)
    for row, result in enumerate(poses.to_coco()):
        v = np.array(result["keypoints"]).reshape(-1, 3)[:, 2]
        assert v.tolist() == np.where(poses.detected[row], np.where(poses.visibility[row] < 0.5, 1, 2), 0).tolist()
        assert result["confidence"] == pytest.approx(poses.confidence[row].tolist(), abs=1e-4)
    plain = random_poses(4, 3)
    assert all("visibility" not in person for person in plain.to_dict()["people"])
    assert all(not {"visibility", "confidence"} & set(result) for result in plain.to_coco())
