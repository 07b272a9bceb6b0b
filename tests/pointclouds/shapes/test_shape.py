"""Surfaces: closest points, normals that point outward, thinning, and shapes that are none."""

from dataclasses import replace

import numpy as np
import pytest

from cairn.errors import CloudError
from cairn.pointclouds.shapes.shape import Shape
from cairn.structures.cloud import Cloud
from support.shapes import pose, specimen


def test_the_closest_point_of_a_triangle_is_that_of_a_dense_grid():
    rng = np.random.default_rng(0)
    corners = rng.normal(size=(3, 3))
    cloud = Cloud(np.concatenate([corners, np.full((60, 3), 50.0)]), faces=[[0, 1, 2]])
    shape = Shape.of(cloud)
    u, v = np.meshgrid(np.linspace(0, 1, 200), np.linspace(0, 1, 200))
    inside = u + v <= 1
    grid = corners[0] + u[inside][:, None] * (corners[1] - corners[0]) + v[inside][:, None] * (corners[2] - corners[0])
    for point in 2 * rng.normal(size=(30, 3)):
        found = shape.closest(point[None])[0]
        nearest = np.linalg.norm(grid - point, axis=1).min()
        assert np.linalg.norm(found - point) <= nearest + 1e-9
        assert np.linalg.norm(found - point) >= nearest - 0.03
        assert np.linalg.norm(grid - found, axis=1).min() < 0.03


def test_points_of_the_surface_stay_and_unknown_ones_stay_unknown():
    cloud, _ = specimen()
    points = np.concatenate([cloud.points[:5], [[np.nan] * 3]])
    found = Shape.of(cloud).closest(points)
    np.testing.assert_allclose(found[:5], points[:5], atol=1e-9)
    assert np.isnan(found[5]).all()


@pytest.mark.parametrize("turned", [False, True])
def test_normals_point_outward_whatever_the_faces(turned):
    cloud, _ = specimen()
    shape = Shape.of(replace(cloud, faces=cloud.faces[:, ::-1]) if turned else cloud)
    outward = (shape.normals * (shape.points - shape.points.mean(axis=0))).sum(axis=1)
    assert (outward > 0).mean() > 0.98
    assert shape.inward == turned


def test_a_cloud_without_faces_has_normals_without_a_sign():
    cloud, _ = specimen()
    whole, points = Shape.of(cloud), Shape.of(replace(cloud, faces=None))
    assert not points.oriented
    vertices = whole.normals[: len(cloud)]
    assert np.median(np.abs((vertices * points.normals).sum(axis=1))) > 0.97


def test_thinning_keeps_spread_points_in_any_order():
    cloud, _ = specimen()
    shape = Shape.of(cloud)
    thin = shape.thinned(200)
    assert 100 < len(thin) <= 200
    order = np.random.default_rng(0).permutation(len(shape))
    mixed = replace(shape, points=shape.points[order], normals=shape.normals[order]).thinned(200)
    assert {tuple(point) for point in mixed.points} == {tuple(point) for point in thin.points}


def test_a_reflected_shape_has_outward_normals():
    cloud, _ = specimen()
    moved = Shape.of(cloud).moved(pose(4, 2.0, mirrored=True))
    outward = (moved.normals * (moved.points - moved.points.mean(axis=0))).sum(axis=1)
    assert (outward > 0).mean() > 0.98


@pytest.mark.parametrize(
    ("cloud", "message"),
    [
        (Cloud(np.zeros((1, 3))), "at least 50 points, got 1"),
        (Cloud(np.full((80, 3), 4.0)), "at one place"),
        (Cloud(np.random.default_rng(0).normal(size=(80, 3)), faces=[[0, 0, 1]]), "no area"),
    ],
)
def test_what_is_no_shape(cloud, message):
    with pytest.raises(CloudError, match=message):
        Shape.of(cloud)
