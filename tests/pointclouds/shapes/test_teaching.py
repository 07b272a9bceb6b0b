"""Teaching: landmarks of all specimens agree, and the error is that of held-out specimens."""

from dataclasses import replace

import numpy as np
import pytest

from cairn.errors import CloudError
from cairn.pointclouds.shapes.specimens import Specimen
from cairn.pointclouds.shapes.teaching import build, teach
from support.shapes import pose, specimen, taught


def labeled(seed, **options):
    return Specimen(f"s{seed}", *specimen(seed, **options))


def moved(each, how):
    cloud, faces = each.cloud, each.cloud.faces
    faces = faces[:, ::-1] if how.is_reflection else faces
    return Specimen(
        each.name,
        replace(cloud, points=how(cloud.points), faces=faces),
        replace(each.landmarks, points=how(each.landmarks.points)),
    )


def test_templates_lie_in_one_frame_whatever_their_poses():
    model, _, _ = build([labeled(0), moved(labeled(1), pose(1)), moved(labeled(2), pose(2, 1.5))], "bumps")
    marks = np.stack([template.landmarks for template in model.templates])
    assert np.linalg.norm(marks - marks[0], axis=2).max() < 0.1
    assert all(template.shape.radius == pytest.approx(1, abs=0.1) for template in model.templates)


def test_the_order_of_landmarks_may_differ():
    first, second = labeled(0), labeled(1)
    turned = replace(second.landmarks, names=second.landmarks.names[::-1], points=second.landmarks.points[::-1])
    model, _, _ = build([first, replace(second, landmarks=turned)], "bumps")
    assert np.linalg.norm(model.templates[1].landmarks - model.templates[0].landmarks, axis=1).max() < 0.1


def test_errors_are_those_of_held_out_specimens():
    model, rows = teach([labeled(0), labeled(1)], "two")
    assert [row.templates for row in rows] == [1]
    assert 0 < model.error < 0.5
    assert not model.symmetric
    assert taught().error is not None
    assert taught().residual > 0


def test_nearly_symmetric_shapes_are_stated():
    one, other = labeled(0, symmetric=True), labeled(1, symmetric=True)
    longer = np.array([1, 1.3, 1])  # symmetric as before
    cloud = replace(other.cloud, points=longer * other.cloud.points)
    marks = replace(other.landmarks, points=longer * other.landmarks.points)
    assert teach([one, Specimen("long", cloud, marks)], "face")[0].symmetric
    assert teach([labeled(0)], "one")[0].error is None


def test_landmarks_may_be_missing_in_some_specimens():
    points = labeled(1).landmarks.points.copy()
    points[3] = np.nan
    second = replace(labeled(1), landmarks=replace(labeled(1).landmarks, points=points))
    model, _, _ = build([labeled(0), second], "bumps")
    found = model(specimen(5)[0])
    assert np.isfinite(found.points).all()
    assert np.isnan(found.scores[3])
    assert np.isfinite(np.delete(found.scores, 3)).all()


def test_a_landmark_without_any_position():
    points = labeled(1).landmarks.points.copy()
    points[3] = np.nan
    second = replace(labeled(1), landmarks=replace(labeled(1).landmarks, points=points))
    with pytest.raises(CloudError, match="mark 4 has no position in any specimen"):
        build([second], "bumps")


def test_other_names_or_counts():
    marks = labeled(1).landmarks
    renamed = replace(marks, names=("nasion", *marks.names[1:]))
    with pytest.raises(CloudError, match="without mark 1 and with nasion"):
        build([labeled(0), replace(labeled(1), landmarks=renamed)], "bumps")
    fewer = replace(marks, names=marks.names[:-1], points=marks.points[:-1])
    with pytest.raises(CloudError, match="expected the 9 landmarks of landmarks 0, got 8, without mark 9"):
        build([labeled(0), replace(labeled(1), landmarks=fewer)], "bumps")


def test_a_mirrored_specimen_in_training():
    with pytest.raises(CloudError, match="only as a mirror image"):
        build([labeled(0), labeled(1), moved(labeled(2), pose(4, mirrored=True))], "bumps")


def test_a_specimen_of_another_size():
    large = replace(moved(labeled(1), pose(1, 1000.0)))
    with pytest.raises(CloudError, match=r"specimen 1: expected a shape of about .* as the others"):
        build([labeled(0), large, labeled(2)], "bumps")
