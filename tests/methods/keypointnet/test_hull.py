"""Masks and cameras that belong together agree; those of a mirrored world do not."""

import numpy as np
import pytest

from cairn.methods.keypointnet.hull import Outlines, agreement, hull, longest_axis
from support.made_views import rendered, ring


def outlines(stretch=1.0):
    rig = ring(12)
    masks = np.stack([rendered(camera)[..., 3] > 0 for camera in rig])
    intrinsics = [[3.3, 3.3, 0, 0]] * len(rig)
    translations = np.stack([camera.translation for camera in rig]) * stretch
    return Outlines(masks, np.stack([camera.rotation for camera in rig]), translations, np.array(intrinsics))


def test_the_hull_holds_the_object_and_not_much_more():
    points = hull(outlines())
    np.testing.assert_allclose(points.min(axis=0), [-0.65, -0.8, -0.25], atol=0.35)
    np.testing.assert_allclose(points.max(axis=0), [0.5, 0.8, 0.7], atol=0.35)


def test_mirrored_images_agree_less():
    own = outlines()
    assert agreement(own) > 0.6
    assert agreement(own.flipped()) < agreement(own) - 0.1
    np.testing.assert_array_equal(own.flipped().flipped().masks, own.masks)


def test_masks_of_other_cameras_agree_less():
    own = outlines()
    assert agreement(own._replace(masks=own.masks[np.random.default_rng(0).permutation(12)])) < agreement(own) - 0.1


def test_nothing_is_left_of_masks_that_are_empty():
    own = outlines()
    assert agreement(own._replace(masks=np.zeros_like(own.masks))) == 0


def test_the_longest_axis_of_several_hulls():
    points = np.random.default_rng(0).normal(size=(500, 3)) * [1, 3, 2]
    turned = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    axis = longest_axis([points @ turned.T, points @ turned.T + 9], np.eye(3))
    assert abs(axis @ turned[:, 1]) == pytest.approx(1, abs=0.01)
    assert axis[np.abs(axis).argmax()] > 0


def test_the_axis_of_a_tall_object_is_one_that_upright_cameras_see_from_the_side():
    points = np.random.default_rng(0).normal(size=(500, 3)) * [1, 2, 5]
    across = np.stack([camera.rotation[0] for camera in ring(12)])
    assert abs(longest_axis([points], across) @ [0, 1, 0]) == pytest.approx(1, abs=0.01)
    assert abs(longest_axis([points], across[:, [0, 2, 1]]) @ [0, 0, 1]) == pytest.approx(1, abs=0.01)
