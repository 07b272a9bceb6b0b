"""Augmentation moves image and keypoints together; a flip exchanges left and right keypoints."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.structures.annotation import Annotation
from cairn.structures.skeleton import load_skeleton
from cairn.training.data.augmentation import COVERED, NO_AUGMENTATION, Augmentation, moved, random_view, recolored

COCO = load_skeleton("coco17")
WILD = Augmentation(rotation=180, scale=(0.4, 2.5), shift=0.3, flip=0.5, color=0.5, gray=0.2)


def annotation(keypoints):
    people, joints = keypoints.shape[:2]
    low, high = np.nanmin(keypoints, axis=1), np.nanmax(keypoints, axis=1)
    return Annotation(
        keypoints.astype(np.float32),
        np.full((people, joints), 2, np.uint8),
        np.concatenate([low, high - low], axis=1).astype(np.float32),
        np.ones(people, np.float32),
        np.zeros(people, bool),
    )


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_white_blob_and_its_keypoint_stay_together(seed):
    rng = np.random.default_rng(seed)
    image = np.zeros((120, 160, 3), np.uint8)
    x, y = rng.integers(50, 110), rng.integers(40, 80)
    image[y - 4 : y + 5, x - 4 : x + 5] = 255
    labels = annotation(np.tile(np.array([x, y], float), (1, 17, 1)))
    view = random_view(WILD, rng, (float(x), float(y)), 100, (128, 128))
    seen = view.affine.warp(image, (128, 128), border=0)[..., 0].astype(float)
    point = moved(labels, view, COCO).keypoints[0, 0]
    ys, xs = np.mgrid[:128, :128]
    center = np.array([(seen * xs).sum(), (seen * ys).sum()]) / seen.sum()
    if (point > 20).all() and (point < 107).all():
        assert np.abs(center - point).max() < 0.25


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_only_a_flip_exchanges_left_and_right_keypoints(seed):
    rng = np.random.default_rng(seed)
    labels = annotation(rng.uniform(20, 100, (2, 17, 2)))
    view = random_view(WILD, rng, (60, 60), 100, (128, 128))
    plain = view.affine.apply(labels.keypoints)
    expected = plain[:, list(COCO.flip_order)] if view.mirrored else plain
    assert np.allclose(moved(labels, view, COCO).keypoints, expected)
    assert view.mirrored == (np.linalg.det(view.affine.matrix[:, :2]) < 0)


def test_bounding_boxes_contain_their_keypoints_and_areas_scale():
    rng = np.random.default_rng(0)
    labels = annotation(rng.uniform(20, 100, (3, 17, 2)))
    view = random_view(WILD, rng, (60, 60), 100, (128, 128))
    after = moved(labels, view, COCO)
    low, high = after.boxes[:, None, :2], after.boxes[:, None, :2] + after.boxes[:, None, 2:]
    assert ((after.keypoints >= low - 1e-3) & (after.keypoints <= high + 1e-3)).all()
    assert np.allclose(after.areas / labels.areas, abs(np.linalg.det(view.affine.matrix[:, :2])))


def test_no_augmentation_is_the_plain_crop():
    rng = np.random.default_rng(0)
    view = random_view(NO_AUGMENTATION, rng, (63.5, 63.5), 128, (128, 128))
    image = rng.integers(0, 256, (128, 128, 3)).astype(np.uint8)
    assert np.array_equal(view.affine.warp(image, (128, 128)), image)
    assert np.array_equal(recolored(image, NO_AUGMENTATION, rng), image)


def test_gray_images_have_the_luma_of_the_original():
    image = np.random.default_rng(0).integers(60, 180, (16, 16, 3)).astype(np.uint8)
    gray = recolored(image, Augmentation(color=0, gray=1), np.random.default_rng(1))
    luma = image.astype(float) @ [0.299, 0.587, 0.114]
    assert np.abs(gray - luma[..., None]).max() <= 1
    with pytest.raises(ValueError, match="color"):
        Augmentation(color=2)


def test_an_occluding_rectangle_has_one_color():
    image = np.random.default_rng(0).integers(0, 256, (40, 64, 3)).astype(np.uint8)
    only = NO_AUGMENTATION.model_copy(update={"occlude": 1.0})
    for seed in range(50):
        covered = recolored(image, only, np.random.default_rng(seed))
        changed = (covered != image).any(axis=2)
        rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
        inside = covered[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        assert (inside == inside[0, 0]).all()
        for side, whole in zip(inside.shape, image.shape[:2], strict=False):
            assert COVERED[0] * whole - 2 <= side <= COVERED[1] * whole + 1  # a pixel may have had that color before
