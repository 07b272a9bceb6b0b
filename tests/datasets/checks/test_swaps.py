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


def test_instances_without_a_shape_change_no_rows() -> None:
    points = np.full((240, *animals(1).shape[1:]), np.nan)
    points[1::2] = animals(120)
    points[::4, :3] = 5.0  # three joints are too few
    points[17] = swapped(points[17], ANIMAL, 0, 1)
    assert [(swap.row, swap.pairs) for swap in swaps(points, ANIMAL)] == [(17, (0, 1))]


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


def test_the_search_equals_a_comparison_with_all_instances(monkeypatch: pytest.MonkeyPatch) -> None:
    """Candidates that cannot reach the evidence are skipped early; none of those that can is lost."""
    monkeypatch.setattr("cairn.datasets.checks.swaps.COARSE", 40)
    monkeypatch.setattr("cairn.datasets.checks.swaps.BLOCK", 100)
    points = animals(150, seed=3)
    points[np.random.default_rng(1).random(points.shape[:2]) < 0.1] = np.nan
    for row, pairs in ((4, (0,)), (70, (1,)), (71, (0, 1))):
        points[row] = swapped(points[row], ANIMAL, *pairs)
    expected: dict[int, float] = {}
    tried = list(hypotheses(ANIMAL))
    for pairs, joints in tried:
        for row in range(len(points)):
            ends = [end for pair in pairs for end in ANIMAL.flip_pairs[pair]]
            count = int(np.isfinite(points[row, joints, 0]).sum())
            if count >= 4 and np.isfinite(points[row, ends]).all():
                before = fifth(points[row, joints], points[:, joints], row)
                after = fifth(swapped(points[row], ANIMAL, *pairs)[joints], points[:, joints], row)
                evidence = (2 * count - 4) * np.log(before / after)
                expected[row] = max(expected.get(row, -np.inf), evidence)
    limit = np.clip(np.log(len(tried) * len(points)), 4, 8)
    found = swaps(points, ANIMAL)
    assert {swap.row for swap in found} == {row for row, evidence in expected.items() if evidence >= limit}
    assert {4, 70, 71} <= {swap.row for swap in found}
    for swap in found:
        assert swap.evidence == pytest.approx(expected[swap.row], abs=0.05)


def fifth(shape: np.ndarray, others: np.ndarray, row: int) -> float:
    """Distance of a shape to the fifth nearest of the others, but for that of its own row."""
    own, result = np.isfinite(shape[:, 0]), []
    for number, other in enumerate(others):
        both = own & np.isfinite(other[:, 0])
        if number == row or both.sum() < max(0.75 * own.sum(), 4):
            continue
        z, w = (points[both] @ [1, 1j] for points in (shape, other))
        z, w = z - z.mean(), w - w.mean()
        similar = abs(np.vdot(z, w)) ** 2 / (np.vdot(z, z).real * np.vdot(w, w).real)
        result.append(np.sqrt(max(0.0, 1 - similar) / max(1, both.sum() - 2)))
    return max(sorted(result)[4], 0.005)
