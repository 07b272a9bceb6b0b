"""Alignment finds any rotation, position and scale, and tells a mirror image."""

from dataclasses import replace

import numpy as np
import pytest

from cairn.pointclouds.shapes.alignment import align
from cairn.pointclouds.shapes.shape import Shape
from support.shapes import pose, specimen, sphere

CLOUD, LANDMARKS = specimen()
REFERENCE = Shape.of(CLOUD)


@pytest.mark.parametrize("seed", range(4))
def test_any_pose_is_undone(seed):
    moved = pose(seed, 0.01 * 10**seed)
    found = align(REFERENCE.moved(moved), REFERENCE)
    np.testing.assert_allclose(found.transform(moved(LANDMARKS.points)), LANDMARKS.points, atol=0.02)
    assert not found.transform.is_reflection


def test_a_mirror_image_fits_only_a_reflection():
    mirrored = REFERENCE.moved(pose(1, mirrored=True))
    rotation, reflection = (align(mirrored, REFERENCE, each) for each in (False, True))
    assert reflection.transform.is_reflection
    assert reflection.residual < 0.2 * rotation.residual


def test_faces_are_not_needed():
    points = Shape.of(replace(CLOUD, faces=None))
    moved = pose(6)
    found = align(points.moved(moved), REFERENCE)
    np.testing.assert_allclose(found.transform(moved(LANDMARKS.points)), LANDMARKS.points, atol=0.3)


def test_a_shape_that_fits_in_two_ways_is_ambiguous():
    vertices, faces = sphere()
    ellipsoid = Shape.of(replace(CLOUD, points=vertices * [3.0, 2.0, 1.0], faces=faces))
    assert align(ellipsoid.moved(pose(2)), ellipsoid).ambiguous
    assert not align(REFERENCE.moved(pose(2)), REFERENCE).ambiguous
