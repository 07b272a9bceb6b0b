"""Appearance: cells of limbs, the same for mirrored people, and a similarity like OKS."""

import cv2
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cairn.structures.skeleton import Skeleton, load_skeleton
from cairn.tracking.appearance import Cells, appearance_similarity, blended
from crowd import STANDING

SEEDS = st.integers(0, 2**32 - 1)
PEOPLE = load_skeleton("coco17")
CELLS = Cells.of(PEOPLE)


def person(x: float, tall: float = 200.0) -> np.ndarray:
    """(1, K, 2) joints of a standing person."""
    return np.array([[(x + tall * STANDING[j][0], 10 + tall * STANDING[j][1]) for j in PEOPLE.joints]])


def dressed(x: float, top: tuple[int, int, int], legs: tuple[int, int, int]) -> np.ndarray:
    image = np.full((240, 400, 3), 128, np.uint8)
    cv2.rectangle(image, (int(x) - 50, 40), (int(x) + 50, 112), top, -1)
    cv2.rectangle(image, (int(x) - 50, 112), (int(x) + 50, 220), legs, -1)
    return image


def test_mirrored_limbs_are_one_cell_and_a_skeleton_without_limbs_has_none() -> None:
    assert Cells.of(Skeleton("dots", ("a", "b"))).count == 0
    pair = Skeleton("pair", ("l", "m", "r"), limbs=((0, 1), (2, 1)), flip_pairs=((0, 2),))
    assert Cells.of(pair).count == 1
    assert CELLS.count < len(PEOPLE.limbs)


def test_the_same_clothes_elsewhere_and_nearer_are_alike_and_others_are_not() -> None:
    red = CELLS.describe(dressed(100, (200, 20, 20), (20, 20, 90)), person(100))
    again = CELLS.describe(dressed(290, (200, 20, 20), (20, 20, 90)), person(290, 190))
    other = CELLS.describe(dressed(100, (230, 230, 230), (20, 90, 20)), person(100))
    assert appearance_similarity(red, again, 0.6) > 0.85
    assert appearance_similarity(red, other, 0.6) < 0.5


def test_a_person_who_turns_around_looks_the_same() -> None:
    image, joints = dressed(200, (200, 20, 20), (20, 20, 90)), person(200)
    turned = joints[:, list(PEOPLE.flip_order)]
    np.testing.assert_allclose(CELLS.describe(image, turned), CELLS.describe(image, joints), atol=0.1)


@given(SEEDS)
def test_similarity_is_symmetric_and_highest_for_itself(seed: int) -> None:
    rng = np.random.default_rng(seed)
    looks = np.where(rng.random((4, 6, 1)) < 0.2, np.nan, rng.normal(0, 2, (4, 6, 4)))
    alike = appearance_similarity(looks[:, None], looks, 0.6)
    np.testing.assert_allclose(alike, alike.T)
    assert ((alike > 0) & (alike <= 1)).all()
    whole = appearance_similarity(np.nan_to_num(looks)[:, None], np.nan_to_num(looks), 0.6)
    assert (whole <= np.diag(whole)[:, None] + 1e-12).all()


def test_what_shares_no_cell_has_the_usual_similarity() -> None:
    nothing = np.full((2, 3, 4), np.nan)
    assert appearance_similarity(nothing, np.zeros((1, 3, 4)), 0.6).tolist() == [0.6, 0.6]


def test_cells_out_of_the_image_or_without_joints_do_not_fail() -> None:
    joints = person(200)
    joints[0, :5] = np.nan
    looks = CELLS.describe(np.zeros((30, 40, 3), np.uint8), joints)
    assert np.isnan(looks[0]).any()
    assert np.isfinite(looks[0]).any()
    assert CELLS.describe(np.zeros((3, 4, 3), np.uint8), joints[:0]).shape == (0, CELLS.count, 4)


def test_blending_keeps_unknown_cells_and_learns_new_ones() -> None:
    before, now = np.full((1, 3, 4), np.nan), np.full((1, 3, 4), np.nan)
    before[0, 0], before[0, 1], now[0, 1], now[0, 2] = 1, 1, 3, 5
    assert blended(before, now, 0.5)[0, :, 0].tolist() == [1, 2, 5]
