"""Planted swaps are found, and what is right is left alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.datasets.checks.swaps import hypotheses, shape_distances, swaps
from cairn.structures.skeleton import Skeleton
from support.made_objects import BEAST, PERSON, beasts, people


def swapped(points: np.ndarray, skeleton: Skeleton, *pairs: int) -> np.ndarray:
    points = points.copy()
    for pair in pairs:
        a, b = skeleton.flip_pairs[pair]
        points[[a, b]] = points[[b, a]]
    return points


@pytest.mark.parametrize("pairs", [(0,), (1,), (0, 1)])
def test_a_beast_from_above_is_seen_in_its_mirror(pairs: tuple[int, ...]) -> None:
    points = beasts(80)
    points[17] = swapped(points[17], BEAST, *pairs)
    found = swaps(points, BEAST)
    assert [(swap.row, swap.pairs) for swap in found] == [(17, pairs)]


@pytest.mark.parametrize("pairs", [(0,), (1, 2)])
def test_people_may_turn_their_backs_but_not_cross_their_shoulders(pairs: tuple[int, ...]) -> None:
    points = people(300)
    points[41] = swapped(points[41], PERSON, *pairs)
    found = swaps(points, PERSON)
    assert [swap.row for swap in found] == [41]
    assert set(found[0].pairs) in (set(pairs), {0, 1, 2, 3} - set(pairs))  # the same but for a mirror


@pytest.mark.parametrize(("make", "skeleton"), [(beasts, BEAST), (people, PERSON)])
def test_nothing_is_said_of_right_labels(make, skeleton) -> None:
    assert swaps(make(300, seed=5), skeleton) == []


def test_joints_that_are_not_labeled_are_no_obstacle() -> None:
    points = beasts(120)
    rng = np.random.default_rng(3)
    for i in range(120):
        points[i, rng.choice([0, 3, 6])] = np.nan
    points[5] = swapped(points[5], BEAST, 0, 1)
    assert [(swap.row, swap.pairs) for swap in swaps(points, BEAST)] == [(5, (0, 1))]


@pytest.mark.parametrize("count", [0, 1, 3, 6])
def test_a_handful_of_objects_says_nothing_wrong(count: int) -> None:
    assert swaps(beasts(count), BEAST) == []


def test_skeletons_without_pairs_limbs_or_joints_enough() -> None:
    points = beasts(50)
    assert swaps(points, Skeleton("bare", BEAST.joints, BEAST.limbs)) == []
    without_limbs = Skeleton("loose", BEAST.joints, flip_pairs=BEAST.flip_pairs)
    points[9] = swapped(points[9], BEAST, 0, 1)
    assert [swap.row for swap in swaps(points, without_limbs)] == [9]
    ends = Skeleton("ends", ("left", "right"), flip_pairs=((0, 1),))
    assert swaps(points[:, :2], ends) == []


def test_hypotheses_are_single_pairs_all_and_the_sides_of_limbs() -> None:
    assert {pairs for pairs, _ in hypotheses(PERSON)} == {
        (0,), (1,), (2,), (3,), (0, 1, 2, 3), (0, 3), (1, 2), (0, 1, 3), (0, 1, 2)
    }  # fmt: skip
    assert dict(hypotheses(PERSON))[(2,)] == [1, 2, 3, 4, 5, 6]


@given(st.integers(0, 999))
def test_distances_are_those_of_the_best_fit(seed: int) -> None:
    """Against least squares: how much of a shape no turned, scaled and moved copy of the other explains."""
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, 3, 6, 2))
    a[0, rng.integers(6)] = np.nan
    distances, common = shape_distances(a, b)
    for i in range(3):
        for j in range(3):
            both = np.isfinite(a[i]).all(axis=1)
            assert common[i, j] == both.sum()
            z = a[i][both] @ [1, 1j]
            w = b[j][both] @ [1, 1j]
            system = np.stack([w, np.ones_like(w)], axis=1)
            fit = system @ np.linalg.lstsq(system, z, rcond=None)[0]
            expected = np.linalg.norm(z - fit) / np.linalg.norm(z - z.mean())
            assert distances[i, j] == pytest.approx(expected, abs=2e-3)


def test_distances_know_a_mirror_from_a_turn() -> None:
    shape = beasts(1)
    turned = shape @ np.array([[0.0, 3.0], [-3.0, 0.0]]) + 7
    assert shape_distances(shape, turned)[0][0, 0] < 2e-3
    assert shape_distances(shape, shape * [-1, 1])[0][0, 0] > 0.1 or np.allclose(shape, shape * [-1, 1])
