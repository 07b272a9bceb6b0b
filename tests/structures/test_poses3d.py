import numpy as np
import pytest

from cairn.errors import SkeletonError
from cairn.structures.poses3d import Poses3D, Trajectories
from cairn.structures.skeleton import Skeleton

SKELETON = Skeleton("stick", ("top", "bottom"), ((0, 1),))


def trajectories(frames=4, people=3):
    rng = np.random.default_rng(0)
    keypoints = rng.normal(size=(frames, people, 2, 3))
    keypoints[1, 2] = np.nan
    confidence = np.where(np.isnan(keypoints[..., 0]), 0, 0.5).astype(np.float32)
    return Trajectories(keypoints, confidence, SKELETON, np.arange(1, people + 1), 60.0, start=30)


def test_a_frame_has_the_instances_that_are_in_it():
    tracks = trajectories()
    assert [list(frame.ids) for frame in tracks] == [[1, 2, 3], [1, 2], [1, 2, 3], [1, 2, 3]]
    np.testing.assert_array_equal(tracks[-1]["top"][:, :3], tracks.keypoints[3, :, 0])
    np.testing.assert_allclose(tracks.times, [0.5, 31 / 60, 32 / 60, 0.55])
    np.testing.assert_array_equal(tracks.person(1).keypoints[:, 0], tracks.keypoints[:, 1])
    assert repr(tracks) == "Trajectories(4 frames at 60 Hz, 3 instances of stick)"
    assert repr(tracks[1]) == "Poses3D(2 instances of stick, 4 of 4 keypoints)"
    with pytest.raises(IndexError, match="4 frames, got index 4"):
        tracks[4]


def test_shapes_must_agree():
    with pytest.raises(SkeletonError, match="must be"):
        Poses3D(np.zeros((1, 3, 3)), np.zeros((1, 3), np.float32), SKELETON)
    with pytest.raises(SkeletonError, match="errors must be"):
        Poses3D(np.zeros((1, 2, 3)), np.zeros((1, 2), np.float32), SKELETON, np.zeros((2, 2), np.float32))
    with pytest.raises(SkeletonError, match="rate"):
        Trajectories(np.zeros((0, 0, 2, 3)), np.zeros((0, 0, 2), np.float32), SKELETON, np.zeros(0, np.int64), 0.0)
    assert len(Poses3D.empty(SKELETON)) == 0
