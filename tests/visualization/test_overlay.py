"""Overlays have ink on detected joints and limbs alone, in their colors, on a copy of the image."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.errors import CairnError
from cairn.structures.poses import Poses
from cairn.structures.skeleton import Skeleton, joined, load_skeleton, skeleton_names
from cairn.visualization.colors import joint_colors, limb_colors, object_color
from cairn.visualization.overlay import draw, line_widths
from support.fake_network import TOTEM
from support.fake_poses import random_poses

GRAY = np.full((120, 160, 3), 128, np.uint8)


def one(points: list[tuple[float, float]], confidence: float = 1.0, skeleton: Skeleton = TOTEM) -> Poses:
    keypoints = np.array([points], np.float32)
    confidences = np.where(np.isnan(keypoints[..., 0]), 0, confidence).astype(np.float32)
    return Poses(keypoints, confidences, np.ones(1, np.float32), skeleton)


def changed(image: np.ndarray) -> np.ndarray:
    return (image != GRAY).any(axis=2)


def test_the_image_is_not_modified() -> None:
    image = GRAY.copy()
    drawn = draw(image, one([(20, 20), (80, 60), (140, 100)]))
    np.testing.assert_array_equal(image, GRAY)
    assert drawn.shape == image.shape
    assert drawn.dtype == np.uint8
    assert changed(drawn).any()


def test_no_instances_draw_nothing() -> None:
    np.testing.assert_array_equal(draw(GRAY, Poses.empty(TOTEM)), GRAY)


def test_only_pixels_of_limbs_and_joints_change() -> None:
    points = np.array([(20, 20), (80, 60), (140, 60)], float)
    ink = changed(draw(GRAY, one([tuple(point) for point in points])))
    ys, xs = np.mgrid[:120, :160]
    places = np.stack([xs, ys], axis=-1).astype(float)
    distance = np.full((120, 160), np.inf)
    for a, b in ((points[0], points[1]), (points[1], points[2])):
        along = np.clip(((places - a) @ (b - a)) / ((b - a) @ (b - a)), 0, 1)
        distance = np.minimum(distance, np.linalg.norm(places - (a + along[..., None] * (b - a)), axis=-1))
    assert ink[distance < 0.5].all()
    assert not ink[distance > 6].any()


def test_a_limb_may_end_far_outside_the_image() -> None:
    ink = changed(draw(GRAY, one([(20, 20), (1e30, 20), (-1e30, 1e38)])))
    assert ink[20, 20:].all()
    assert not ink[40:, 60:].any()


def test_a_limb_with_one_end_missing_is_not_drawn() -> None:
    ink = changed(draw(GRAY, one([(20, 20), (80, 60), (np.nan, np.nan)])))
    assert ink[40, 50]
    assert not ink[:, 90:].any()


def test_opacity_grows_with_confidence_and_a_threshold_hides_keypoints() -> None:
    points = [(20.0, 20.0), (80.0, 20.0), (140.0, 20.0)]
    strength = [np.abs(draw(GRAY, one(points, sure)).astype(int) - GRAY)[20, 50].sum() for sure in (0.1, 0.5, 1.0)]
    assert 0 < strength[0] < strength[1] < strength[2]
    np.testing.assert_array_equal(draw(GRAY, one(points, 0.5), threshold=0.6), GRAY)


def test_line_widths_grow_with_instance_and_image() -> None:
    image = np.full((1200, 1600, 3), 128, np.uint8)
    small, large = (draw(image, one([(800, 600 - r), (800, 600), (800, 600 + r)])) for r in (30, 500))
    widths = [(drawing[600 - r // 2] != 128).any(axis=1).sum() for drawing, r in ((small, 30), (large, 500))]
    assert widths[1] > 2 * widths[0] > 0


@pytest.mark.parametrize("name", skeleton_names())
def test_colors_are_the_skeleton_s_or_evenly_spaced_hues(name: str) -> None:
    skeleton = load_skeleton(name)
    limbs, joints = limb_colors(skeleton), joint_colors(skeleton)
    assert len(limbs) == len(skeleton.limbs)
    assert len(joints) == len(skeleton)
    if skeleton.colors:
        assert ["#{:02x}{:02x}{:02x}".format(*color) for color in joints] == list(skeleton.colors)
        assert limbs == [joints[b] for _, b in skeleton.limbs]
    else:
        assert len(set(limbs)) == len(limbs)
    for joint, color in enumerate(joints):
        touching = [limb for limb, ends in enumerate(skeleton.limbs) if joint in ends]
        assert skeleton.colors or not touching or color in [limbs[limb] for limb in touching]


# Pairs of joints as OpenPose draws them: (from, to), red, green and blue.
RELEASED = {
    "coco18": {(1, 0): (255, 0, 85), (1, 2): (255, 85, 0), (3, 4): (255, 255, 0), (12, 13): (0, 0, 255)},
    "body25": {(1, 8): (255, 0, 0), (10, 11): (0, 255, 255), (14, 19): (0, 0, 255), (16, 18): (85, 0, 255)},
    "hand21": {(0, 1): (100, 0, 0), (3, 4): (255, 0, 0), (19, 20): (255, 0, 255)},
    "face70": {(0, 1): (255, 255, 255)},
}


@pytest.mark.parametrize("name", RELEASED)
def test_openpose_s_skeletons_have_openpose_s_colors(name: str) -> None:
    skeleton = load_skeleton(name)
    drawn = dict(zip(skeleton.limbs, limb_colors(skeleton), strict=True))
    for limb, color in RELEASED[name].items():
        assert drawn[limb] == color


def test_a_skeleton_without_colors_gets_those_of_the_built_in_one() -> None:
    older = replace(load_skeleton("coco17"), colors=())
    assert joint_colors(older) == joint_colors(load_skeleton("coco17"))
    other = replace(older, name="coco17", joints=tuple(reversed(older.joints)))
    assert joint_colors(other) != joint_colors(load_skeleton("coco17"))


def test_custom_colors_are_drawn() -> None:
    skeleton = replace(TOTEM, colors=("#ff0000", "#00ff00", "#0000ff"))
    drawn = draw(GRAY, one([(20, 20), (80, 20), (140, 20)], skeleton=skeleton))
    assert drawn[20, 50].tolist() == [0, 255, 0]
    assert drawn[20, 110].tolist() == [0, 0, 255]
    assert drawn[20, 20].tolist() == [255, 0, 0]


def test_a_hidden_limb_is_not_drawn() -> None:
    ink = changed(draw(GRAY, one([(20, 20), (80, 20), (140, 20)], skeleton=replace(TOTEM, hidden=(1,)))))
    assert ink[20, 50]
    assert not ink[20, 110]
    assert ink[20, 140]


def test_by_object_each_instance_has_the_color_of_its_track_id() -> None:
    both = Poses(
        np.array([[(20, 20), (80, 20), (140, 20)], [(20, 90), (80, 90), (140, 90)]], np.float32),
        np.ones((2, 3), np.float32),
        np.ones(2, np.float32),
        TOTEM,
        np.array([7, 12]),
    )
    drawn = draw(GRAY, both, by="object")
    assert drawn[20, 50].tolist() == drawn[20, 110].tolist() == list(object_color(7))
    assert drawn[90, 50].tolist() == drawn[90, 110].tolist() == list(object_color(12))
    np.testing.assert_array_equal(draw(GRAY, both[[1, 0]], by="object")[20, 50], object_color(7))
    with pytest.raises(CairnError, match="by limb or by object, got 'joint'"):
        draw(GRAY, both, by="joint")  # type: ignore[arg-type]


def test_a_track_id_is_written_beside_its_instance_inside_the_image() -> None:
    points = [(20.0, 60.0), (80.0, 60.0), (140.0, 60.0)]
    without = one(points)
    named = replace(without, ids=np.array([5]))
    label = (draw(GRAY, named) != draw(GRAY, without)).any(axis=2)
    assert label[:60].any()
    assert not label[60:].any()
    at_the_top = replace(one([(20, 1), (80, 1), (140, 1)]), ids=np.array([123456]))
    assert (draw(GRAY, at_the_top) != draw(GRAY, replace(at_the_top, ids=None))).any()


def test_hands_have_thinner_lines_than_the_body() -> None:
    whole = joined("whole", [("", TOTEM), ("left_hand_", TOTEM)])
    points = np.array([[(100, 100), (100, 400), (100, 700), (500, 100), (500, 120), (500, 140)]], np.float32)
    poses = Poses(points, np.ones((1, 6), np.float32), np.ones(1, np.float32), whole)
    widths = line_widths(poses, (800, 800))[0]
    assert widths[0] == widths[1] == widths[2] == pytest.approx(800 / 120)
    assert widths[3] == widths[4] == widths[5] == pytest.approx(800 / 640)


@given(st.integers(0, 1000), st.integers(1, 40), st.integers(1, 40))
def test_keypoints_may_be_outside_the_image(seed: int, height: int, width: int) -> None:
    poses = random_poses(seed, 3)
    poses = Poses(1000 * (poses.keypoints - 50), poses.confidence, poses.scores, poses.skeleton)
    assert draw(np.zeros((height, width, 3), np.uint8), poses).shape == (height, width, 3)


def test_joints_without_limbs_are_dots() -> None:
    skeleton = Skeleton("dots", ("a", "b"))
    ink = changed(draw(GRAY, one([(30, 30), (90, 90)], skeleton=skeleton)))
    assert ink[30, 30]
    assert ink[90, 90]
    assert not ink[60, 60]
