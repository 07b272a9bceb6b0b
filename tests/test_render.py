"""What is drawn: the found, in its place, in its colour; nothing else, and never on the user's own array."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.poses import Poses
from cairn.render import draw, joint_colours, limb_colours
from cairn.skeleton import Skeleton, skeleton, skeleton_names
from fake_network import TOTEM
from fake_poses import random_poses

GREY = np.full((120, 160, 3), 128, np.uint8)


def one(points: list[tuple[float, float]], confidence: float = 1.0, bones: Skeleton = TOTEM) -> Poses:
    keypoints = np.array([points], np.float32)
    sure = np.where(np.isnan(keypoints[..., 0]), 0, confidence).astype(np.float32)
    return Poses(keypoints, sure, np.ones(1, np.float32), bones)


def changed(picture: np.ndarray) -> np.ndarray:
    return (picture != GREY).any(axis=2)


def test_the_picture_given_is_not_drawn_on() -> None:
    image = GREY.copy()
    drawn = draw(image, one([(20, 20), (80, 60), (140, 100)]))
    np.testing.assert_array_equal(image, GREY)
    assert drawn.shape == image.shape
    assert drawn.dtype == np.uint8
    assert changed(drawn).any()


def test_nobody_draws_nothing() -> None:
    np.testing.assert_array_equal(draw(GREY, Poses.empty(TOTEM)), GREY)


def test_ink_lies_on_limbs_and_joints_and_nowhere_else() -> None:
    points = np.array([(20, 20), (80, 60), (140, 60)], float)
    ink = changed(draw(GREY, one([tuple(point) for point in points])))
    ys, xs = np.mgrid[:120, :160]
    places = np.stack([xs, ys], axis=-1).astype(float)
    distance = np.full((120, 160), np.inf)
    for a, b in ((points[0], points[1]), (points[1], points[2])):
        along = np.clip(((places - a) @ (b - a)) / ((b - a) @ (b - a)), 0, 1)
        distance = np.minimum(distance, np.linalg.norm(places - (a + along[..., None] * (b - a)), axis=-1))
    assert ink[distance < 0.5].all()
    assert not ink[distance > 6].any()


def test_a_limb_may_end_far_away() -> None:
    ink = changed(draw(GREY, one([(20, 20), (1e30, 20), (-1e30, 1e38)])))
    assert ink[20, 20:].all()
    assert not ink[40:, 60:].any()


def test_a_limb_with_one_end_missing_is_not_drawn() -> None:
    ink = changed(draw(GREY, one([(20, 20), (80, 60), (np.nan, np.nan)])))
    assert ink[40, 50]
    assert not ink[:, 90:].any()


def test_the_surer_the_more_opaque_and_the_unsure_can_be_left_out() -> None:
    points = [(20.0, 20.0), (80.0, 20.0), (140.0, 20.0)]
    strength = [np.abs(draw(GREY, one(points, sure)).astype(int) - GREY)[20, 50].sum() for sure in (0.1, 0.5, 1.0)]
    assert 0 < strength[0] < strength[1] < strength[2]
    np.testing.assert_array_equal(draw(GREY, one(points, 0.5), threshold=0.6), GREY)


def test_lines_grow_with_the_object_and_the_picture() -> None:
    image = np.full((1200, 1600, 3), 128, np.uint8)
    small, large = (draw(image, one([(800, 600 - r), (800, 600), (800, 600 + r)])) for r in (30, 500))
    widths = [(picture[600 - r // 2] != 128).any(axis=1).sum() for picture, r in ((small, 30), (large, 500))]
    assert widths[1] > 2 * widths[0] > 0


@pytest.mark.parametrize("name", skeleton_names())
def test_every_limb_has_its_own_colour(name: str) -> None:
    bones = skeleton(name)
    colours = limb_colours(bones)
    assert len(set(colours)) == len(bones.limbs)
    assert len(joint_colours(bones)) == len(bones)
    for joint, colour in enumerate(joint_colours(bones)):
        touching = [limb for limb, ends in enumerate(bones.limbs) if joint in ends]
        assert not touching or colour in [colours[limb] for limb in touching]


@given(st.integers(0, 1000), st.integers(1, 40), st.integers(1, 40))
def test_keypoints_may_lie_outside_the_picture(seed: int, height: int, width: int) -> None:
    poses = random_poses(seed, 3)
    poses = Poses(1000 * (poses.keypoints - 50), poses.confidence, poses.scores, poses.skeleton)
    assert draw(np.zeros((height, width, 3), np.uint8), poses).shape == (height, width, 3)


def test_joints_without_limbs_are_dots() -> None:
    bones = Skeleton("dots", ("a", "b"))
    ink = changed(draw(GREY, one([(30, 30), (90, 90)], bones=bones)))
    assert ink[30, 30]
    assert ink[90, 90]
    assert not ink[60, 60]
