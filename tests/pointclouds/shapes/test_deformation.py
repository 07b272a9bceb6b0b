"""A smooth deformation of a known kind is recovered."""

import numpy as np

from cairn.pointclouds.shapes.deformation import deform
from cairn.pointclouds.shapes.model import model_frame
from cairn.pointclouds.shapes.shape import Shape
from support.shapes import specimen

CLOUD, LANDMARKS = specimen()
FRAME = model_frame(Shape.of(CLOUD))
TEMPLATE = Shape.of(CLOUD).moved(FRAME)
MARKS = FRAME(LANDMARKS.points)


def bent(points):
    """A smooth displacement of up to a tenth of the radius."""
    x, y, z = points.T
    return points + 0.1 * np.stack([np.sin(1.2 * y), 0.8 * np.cos(1.5 * x), np.sin(x + 0.5 * z)], axis=1)


def test_nothing_changes_on_the_same_shape():
    np.testing.assert_allclose(deform(TEMPLATE, MARKS, TEMPLATE), MARKS, atol=1e-6)


def test_a_smooth_deformation_is_recovered():
    cloud = specimen()[0]
    target = Shape.of(type(cloud)(bent(FRAME(cloud.points)), faces=cloud.faces))
    before = np.linalg.norm(MARKS - bent(MARKS), axis=1)
    after = np.linalg.norm(deform(TEMPLATE, MARKS, target) - bent(MARKS), axis=1)
    assert before.mean() > 0.08
    assert after.mean() < 0.3 * before.mean()  # the part along the surface leaves no trace


def test_unknown_landmarks_stay_unknown():
    marks = MARKS.copy()
    marks[2] = np.nan
    moved = deform(TEMPLATE, marks, TEMPLATE)
    assert np.isnan(moved[2]).all()
    assert np.isfinite(np.delete(moved, 2, axis=0)).all()
