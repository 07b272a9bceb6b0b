"""An outlier joint has the highest score, and its neighbors are not flagged."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.datasets.checks.outliers import MIN_SPREADS, spreads
from support.made_objects import ANIMAL, PERSON, animals, people


@pytest.mark.parametrize(("make", "skeleton"), [(animals, ANIMAL), (people, PERSON)])
@pytest.mark.parametrize("joint", [0, 3, 6])
def test_an_outlier_has_the_highest_score(make, skeleton, joint: int) -> None:
    points = make(200)
    size = np.ptp(points[33], axis=0).max()
    points[33, joint] += [1.5 * size, 0.4 * size]
    result = spreads(points)
    row, worst = np.unravel_index(np.nanargmax(result.score), result.score.shape)
    assert (row, worst) == (33, joint)
    assert result.score[33, joint] > MIN_SPREADS
    assert np.nanmax(np.delete(result.score, 33, axis=0)) < MIN_SPREADS
    assert result.factor[33, joint] > 1.5
    assert result.partner[33, joint] != joint


@given(st.floats(0.01, 100), st.floats(-3, 3), st.integers(0, 50))
def test_scores_are_invariant_to_scale_rotation_and_translation(size: float, angle: float, row: int) -> None:
    points = animals(51)
    before = spreads(points)
    matrix = size * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points[row] = points[row] @ matrix.T + 5
    assert spreads(points).score == pytest.approx(before.score, abs=1e-6)


def test_an_outlier_needs_four_labeled_joints() -> None:
    points = animals(100)[:, [0, 1, 2, 6]]
    points[8, 3] += [400, 0]
    result = spreads(points)
    assert np.unravel_index(np.nanargmax(result.score), result.score.shape) == (8, 3)
    points[8, 0] = np.nan
    assert np.isnan(spreads(points).score[8]).all()


@pytest.mark.parametrize("shape", [(0, 5, 2), (1, 5, 2), (3, 1, 2), (9, 2, 2)])
def test_too_few_instances_or_joints_have_no_scores(shape: tuple[int, ...]) -> None:
    assert np.isnan(spreads(np.random.default_rng(0).normal(size=shape)).score).all()


def test_identical_keypoints_have_score_0() -> None:
    assert spreads(np.zeros((20, 5, 2))).score == pytest.approx(0.0)
