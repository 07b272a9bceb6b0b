"""Measures without labels: exact keypoints have no error, and errors are of the size that was made."""

import numpy as np
import pytest

from cairn.methods.keypointnet.measures import Predicted, angular_errors, in_world, measures, spread
from cairn.methods.keypointnet.views import Views
from cairn.structures.camera import rotation_matrix

K, SIZE = 6, 64
POINTS = np.random.default_rng(0).normal(size=(2, K, 3)) / 2


def views(count=5) -> Views:
    rng = np.random.default_rng(1)
    rotations = np.stack([rotation_matrix(rng.normal(size=3)) for _ in range(2 * count)])
    translations = np.tile([0.1, -0.2, 6.0], (2 * count, 1))
    masks = np.zeros((2 * count, SIZE, SIZE), bool)
    masks[:, 4:-4, 4:-4] = True
    objects = np.repeat([0, 1], count)
    intrinsics = np.tile([3.3, 3.1, 0.02, -0.01], (2 * count, 1))
    images = np.zeros((2 * count, SIZE, SIZE, 3), np.uint8)
    return Views(images, masks, objects, ("a", "b"), rotations, translations, intrinsics, np.zeros(3), 1.0)


def exact(of: Views) -> Predicted:
    points = POINTS[of.objects] @ np.swapaxes(of.rotations, 1, 2) + of.translations[:, None]
    uv = of.intrinsics[:, None, :2] * points[..., :2] / points[..., 2:] + of.intrinsics[:, None, 2:]
    return Predicted(points, uv, np.ones(points.shape[:2]))


PAIRS = np.array([[0, 1], [1, 4], [3, 2], [5, 6], [9, 7]])


def test_exact_keypoints_have_no_error():
    own = views()
    found = measures(exact(own), own, PAIRS)
    for name in ("angle mean", "angle median", "consistency", "spread"):
        assert found[name] == pytest.approx(0, abs=1e-4), name
    assert found["inside"] == 100
    gaps = np.linalg.norm(POINTS[:, :, None] - POINTS[:, None], axis=-1) + 9 * np.eye(K)
    assert found["separation"] == pytest.approx(np.median(np.repeat(gaps.min(axis=-1), 5, axis=0)))
    np.testing.assert_allclose(in_world(exact(own).points, own), POINTS[own.objects], atol=1e-9)


def test_an_angle_that_was_made():
    own = views()
    points = exact(own).points
    turn = rotation_matrix([0, 0, np.radians(7)])
    points[1] = points[1] @ turn.T
    np.testing.assert_allclose(angular_errors(points, own, PAIRS[:1]), [7], atol=1e-5)


def test_keypoints_that_all_views_misplace_alike_in_the_image_are_spread():
    own, predicted = views(), exact(views())
    moved = predicted._replace(points=predicted.points + np.array([0, 0, 0.3]))
    assert spread(moved.points, own).mean() > 0.15
    assert measures(predicted._replace(uv=predicted.uv + np.array([2 * 3 / SIZE, 0])), own, PAIRS)[
        "consistency"
    ] == pytest.approx(3)


def test_keypoints_beside_the_mask_are_counted():
    own, predicted = views(), exact(views())
    uv = predicted.uv.copy()
    uv[:, 0] = 0.99
    assert measures(predicted._replace(uv=uv), own, PAIRS)["inside"] == pytest.approx(100 * (K - 1) / K)
