"""Models: invariance, templates on themselves, mirrored and foreign specimens, sizes and units."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from cairn.errors import CloudError
from cairn.pointclouds.shapes.model import geometric_median
from cairn.pointclouds.shapes.specimens import Specimen
from cairn.pointclouds.shapes.teaching import build
from cairn.structures.cloud import Cloud
from support.shapes import pose, specimen, sphere, taught

CLOUD, LANDMARKS = specimen(7)


@cache
def here():
    """The landmarks of the specimen as it is."""
    return taught()(CLOUD)


def moved(cloud, how):
    faces = cloud.faces[:, ::-1] if how.is_reflection else cloud.faces
    return replace(cloud, points=how(cloud.points), faces=faces)


def test_a_template_places_its_own_landmarks():
    cloud, landmarks = specimen(0)
    model, _, _ = build([Specimen("one", cloud, landmarks)], "one")
    how = pose(5)
    found = model(moved(cloud, how))
    snapping = 0.05  # the landmarks of the test lie on the ellipsoid, not on its triangles
    assert np.linalg.norm(found.points - how(landmarks.points), axis=1).max() < 0.06 + snapping
    assert found.names == landmarks.names
    assert np.isnan(found.scores).all()


def test_pose_and_scale_do_not_matter():
    scale = 0.5
    how = pose(2, scale)
    there = taught()(moved(CLOUD, how))
    np.testing.assert_allclose(there.points, how(here().points), atol=1e-3)
    np.testing.assert_allclose(there.scores, scale * here().scores, atol=1e-3)
    assert np.linalg.norm(here().points - LANDMARKS.points, axis=1).mean() < 0.15


def test_the_order_of_points_does_not_matter():
    order = np.random.default_rng(0).permutation(len(CLOUD))
    place = np.argsort(order)
    mixed = replace(CLOUD, points=CLOUD.points[order], faces=place[CLOUD.faces][::-1])
    np.testing.assert_allclose(taught()(mixed).points, here().points, atol=1e-3)


def test_a_mirrored_specimen_is_reported_and_its_landmarks_are_mirrored(caplog):
    how = pose(3, mirrored=True)
    found = taught()(moved(CLOUD, how))
    assert found.mirrored is True
    assert "mirror image" in caplog.text
    assert "mirrored" in found.summary
    assert np.linalg.norm(found.points - how(LANDMARKS.points), axis=1).mean() < 0.2
    assert here().mirrored is False


def test_a_mirrored_mesh_whose_faces_point_inward_is_reported(caplog):
    taught()(replace(CLOUD, faces=CLOUD.faces[:, ::-1]))
    assert "faces point inward" in caplog.text


def test_another_kind_of_shape_is_reported(caplog):
    vertices, faces = sphere()
    ring = vertices * [9.0, 6.0, 1.5] + 4 * np.abs(vertices[:, :1]) ** 3 * [0, 0, 1.0]
    taught()(Cloud(ring, faces=faces, unit="mm", source="plate"))
    assert "plate: it differs from the shapes in training" in caplog.text


@pytest.mark.parametrize(("factor", "unit"), [(1e-3, "m"), (0.1, "cm"), (1000.0, "um")])
def test_another_unit_is_one_clear_line(factor, unit):
    scaled = replace(CLOUD, points=factor * CLOUD.points, unit=None)
    with pytest.raises(CloudError, match=rf"expected a shape of about .* mm .*, got .*pass --unit {unit}") as error:
        taught()(scaled)
    assert "\n" not in str(error.value)


def test_a_stated_unit_is_converted():
    found = taught()(replace(CLOUD, points=CLOUD.points / 1000, unit="m"))
    np.testing.assert_allclose(1000 * found.points, here().points, atol=1e-3)
    assert found.landmarks.unit == "m"


def test_a_cloud_without_faces_is_accepted():
    found = taught()(replace(CLOUD, faces=None))
    assert np.linalg.norm(found.points - LANDMARKS.points, axis=1).mean() < 0.6


def test_the_median_over_templates_ignores_an_outlier_and_unknown_positions():
    points = np.zeros((5, 2, 3))
    points[4, 0] = 100.0
    points[:3, 1] = 1.0
    points[3:, 1] = np.nan
    found = geometric_median(points)
    assert np.linalg.norm(found[0]) < 1e-3
    np.testing.assert_allclose(found[1], 1.0)
    assert np.isnan(geometric_median(np.full((3, 1, 3), np.nan))).all()
