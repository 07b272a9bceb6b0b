"""The motion between two detections of 3D keypoints."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

import cairn
from cairn.errors import ModelError
from cairn.inference.keypoints3d import Detection3D
from cairn.structures.poses import Poses
from cairn.structures.poses3d import Poses3D
from cairn.structures.skeleton import Skeleton

POINTS = np.random.default_rng(0).normal(size=(7, 3))


def detected(points, name="box", calibration=1.0):
    skeleton = Skeleton(name, tuple(f"k{i}" for i in range(len(points))))
    ones = np.ones((1, len(points)), np.float32)
    flat = Poses(np.zeros((1, len(points), 2), np.float32), ones, np.ones(1, np.float32), skeleton)
    return Detection3D(Poses3D(np.asarray(points, float)[None], ones, skeleton), flat, calibration)


def test_exact_keypoints_give_the_exact_motion():
    turn = Rotation.from_rotvec([0.3, -0.2, 0.5])
    pose = cairn.relative_pose(detected(POINTS), detected(turn.apply(POINTS) + np.array([0.1, 0.2, 6])))
    np.testing.assert_allclose(pose.rotation, turn.as_matrix(), atol=1e-9)
    np.testing.assert_allclose(pose.translation, [0.1, 0.2, 6], atol=1e-9)
    assert pose.angle == pytest.approx(np.degrees(turn.magnitude()))
    assert pose.angle_error == pytest.approx(0, abs=1e-6)
    assert "±" in repr(pose)


def test_the_error_grows_with_the_residuals_and_with_what_validation_found():
    noise = np.random.default_rng(1).normal(size=POINTS.shape)
    small, large = (cairn.relative_pose(detected(POINTS), detected(POINTS + s * noise)) for s in (0.01, 0.02))
    assert large.angle_error == pytest.approx(2 * small.angle_error, rel=0.05)
    assert large.residual == pytest.approx(2 * small.residual, rel=0.05)
    first = detected(POINTS, calibration=3.0)
    assert cairn.relative_pose(first, detected(POINTS + 0.01 * noise)).angle_error == pytest.approx(
        3 * small.angle_error
    )


def test_what_cannot_be_compared():
    with pytest.raises(ModelError, match="needs a model to detect"):
        cairn.relative_pose("a.png", "b.png")
    with pytest.raises(ModelError, match="of different models, box and car"):
        cairn.relative_pose(detected(POINTS), detected(POINTS, "car"))
    with pytest.raises(ModelError, match="at least 3 keypoints"):
        cairn.relative_pose(detected(POINTS[:2]), detected(POINTS[:2]))
