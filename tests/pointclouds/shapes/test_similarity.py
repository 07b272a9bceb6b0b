"""Similarity transforms: inverse, composition, and the fit that recovers them."""

import numpy as np
import pytest

from cairn.pointclouds.shapes.similarity import Similarity, fit_similarity
from support.shapes import pose

POINTS = np.random.default_rng(5).normal(size=(12, 3))


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_fit_recovers_the_transform(mirrored):
    made = pose(1, 2.5, mirrored)
    found = fit_similarity(POINTS, made(POINTS), reflection=mirrored)
    assert found.is_reflection == mirrored
    assert found.scale == pytest.approx(2.5)
    np.testing.assert_allclose(found(POINTS), made(POINTS), atol=1e-9)


def test_a_rotation_never_becomes_a_reflection():
    found = fit_similarity(POINTS, pose(1, mirrored=True)(POINTS))
    assert np.linalg.det(found.rotation) == pytest.approx(1)


def test_inverse_and_composition():
    one, other = pose(2, 0.3), pose(3, 4.0, mirrored=True)
    np.testing.assert_allclose(one.inverse()(one(POINTS)), POINTS, atol=1e-9)
    np.testing.assert_allclose(other.after(one)(POINTS), other(one(POINTS)), atol=1e-9)
    np.testing.assert_allclose(Similarity.identity()(POINTS), POINTS)


def test_points_at_one_place_are_only_moved():
    found = fit_similarity(np.ones((4, 3)), np.zeros((4, 3)))
    np.testing.assert_allclose(found(np.ones((1, 3))), np.zeros((1, 3)), atol=1e-12)
    assert found.scale == 1
