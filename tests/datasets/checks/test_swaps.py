"""Planted swaps are detected, and correct labels are not flagged."""

import numpy as np
import pytest

from cairn.datasets.checks.swaps import hypotheses, swaps
from cairn.structures.skeleton import Skeleton
from support.made_objects import ANIMAL, PERSON, animals, people


def swapped(points: np.ndarray, skeleton: Skeleton, *pairs: int) -> np.ndarray:
    points = points.copy()
    for pair in pairs:
        a, b = skeleton.flip_pairs[pair]
        points[[a, b]] = points[[b, a]]
    return points


@pytest.mark.parametrize("pairs", [(0,), (1,), (0, 1)])
def test_swaps_of_an_animal_from_above_are_detected(pairs: tuple[int, ...]) -> None:
    points = animals(80)
    points[17] = swapped(points[17], ANIMAL, *pairs)
    detected = swaps(points, ANIMAL)
    assert [(swap.row, swap.pairs) for swap in detected] == [(17, pairs)]


@pytest.mark.parametrize("pairs", [(0,), (1, 2)])
def test_people_from_behind_are_not_swaps_but_crossed_joints_are(pairs: tuple[int, ...]) -> None:
    points = people(300)
    points[41] = swapped(points[41], PERSON, *pairs)
    detected = swaps(points, PERSON)
    assert [swap.row for swap in detected] == [41]
    assert set(detected[0].pairs) in (set(pairs), {0, 1, 2, 3} - set(pairs))  # equal up to a reflection


@pytest.mark.parametrize(("make", "skeleton"), [(animals, ANIMAL), (people, PERSON)])
def test_correct_labels_have_no_swaps(make, skeleton) -> None:
    assert swaps(make(300, seed=5), skeleton) == []


def test_swaps_are_detected_with_unlabeled_joints() -> None:
    points = animals(120)
    rng = np.random.default_rng(3)
    for i in range(120):
        points[i, rng.choice([0, 3, 6])] = np.nan
    points[5] = swapped(points[5], ANIMAL, 0, 1)
    assert [(swap.row, swap.pairs) for swap in swaps(points, ANIMAL)] == [(5, (0, 1))]


@pytest.mark.parametrize("count", [0, 1, 3, 6])
def test_few_instances_have_no_swaps(count: int) -> None:
    assert swaps(animals(count), ANIMAL) == []


def test_skeletons_without_flip_pairs_limbs_or_enough_joints() -> None:
    points = animals(50)
    assert swaps(points, Skeleton("bare", ANIMAL.joints, ANIMAL.limbs)) == []
    without_limbs = Skeleton("loose", ANIMAL.joints, flip_pairs=ANIMAL.flip_pairs)
    points[9] = swapped(points[9], ANIMAL, 0, 1)
    assert [swap.row for swap in swaps(points, without_limbs)] == [9]
    ends = Skeleton("ends", ("left", "right"), flip_pairs=((0, 1),))
    assert swaps(points[:, :2], ends) == []


def test_hypotheses_are_single_pairs_all_pairs_and_sides_of_limbs() -> None:
    assert {pairs for pairs, _ in hypotheses(PERSON)} == {
        (0,), (1,), (2,), (3,), (0, 1, 2, 3), (0, 3), (1, 2), (0, 1, 3), (0, 1, 2)
    }  # fmt: skip
    assert dict(hypotheses(PERSON))[(2,)] == [1, 2, 3, 4, 5, 6]
