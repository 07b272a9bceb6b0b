from dataclasses import replace

import numpy as np
import pytest

from cairn.errors import SkeletonError
from cairn.structures.poses import Poses
from cairn.tracking.tracker import Tracker
from support.fake_network import TOTEM

NAMES = ("cat", "dog", "cow")


def frame(classes: list[int], step: int) -> Poses:
    points = (
        np.array([[[60 * i, y] for y in (0, 20, 40)] for i in range(len(classes))], np.float32).reshape(-1, 3, 2) + step
    )
    confidence = np.ones((len(classes), 3), np.float32)
    scores = np.ones(len(classes), np.float32)
    return Poses(points, confidence, scores, TOTEM, classes=np.array(classes, np.int64), class_names=NAMES)


def tracked(series: list[list[int]]) -> list[list[str | None]]:
    tracker = Tracker()
    return [[pose.class_name for pose in tracker(frame(classes, step))] for step, classes in enumerate(series)]


def test_a_track_has_the_most_frequent_class_so_far():
    assert tracked([[0], [0], [1], [0], [1], [1], [1]]) == [["cat"]] * 6 + [["dog"]]
    assert tracked([[0], [1], [0], [1], [0], [1]]) == [["cat"]] * 6
    assert tracked([[2], [1], [1]]) == [["cow"], ["cow"], ["dog"]]


def test_tracks_have_classes_of_their_own():
    assert tracked([[0, 1], [0, 1], [1, 1], [0, 0]]) == [["cat", "dog"]] * 4


def test_a_track_that_is_found_again_keeps_its_class():
    tracker = Tracker()
    for step in range(3):
        tracker(frame([1], step))
    tracker(frame([], 3))
    again = tracker(frame([0], 4))
    assert (again.ids.tolist(), again[0].class_name) == ([1], "dog")


def test_poses_without_classes_stay_without():
    tracker = Tracker()
    poses = tracker(frame([0], 0).in_classes(()))
    assert poses.classes is None
    with pytest.raises(SkeletonError, match="one set of classes, none; got cat, dog, cow"):
        tracker(frame([0], 1))


def test_an_instance_without_keypoints_keeps_its_class():
    poses = frame([2, 1], 0)
    hidden = replace(poses, confidence=poses.confidence * np.array([[0], [1]], np.float32))
    assert [pose.class_name for pose in Tracker()(hidden)] == ["cow", "dog"]
