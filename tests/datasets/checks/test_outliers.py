"""A joint that is astray is named, and those near it are not blamed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.datasets.checks.outliers import SUSPECT, spreads
from support.made_objects import BEAST, PERSON, beasts, people


@pytest.mark.parametrize(("make", "skeleton"), [(beasts, BEAST), (people, PERSON)])
@pytest.mark.parametrize("joint", [0, 3, 6])
def test_a_joint_astray_is_the_worst_of_the_set(make, skeleton, joint: int) -> None:
    points = make(200)
    size = np.ptp(points[33], axis=0).max()
    points[33, joint] += [1.5 * size, 0.4 * size]
    found = spreads(points)
    row, worst = np.unravel_index(np.nanargmax(found.score), found.score.shape)
    assert (row, worst) == (33, joint)
    assert found.score[33, joint] > SUSPECT
    assert np.nanmax(np.delete(found.score, 33, axis=0)) < SUSPECT
    assert found.times[33, joint] > 1.5
    assert found.partner[33, joint] != joint


@given(st.floats(0.01, 100), st.floats(-3, 3), st.integers(0, 50))
def test_size_turn_and_place_of_an_object_change_nothing(size: float, turn: float, row: int) -> None:
    points = beasts(51)
    before = spreads(points)
    matrix = size * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    points[row] = points[row] @ matrix.T + 5
    assert spreads(points).score == pytest.approx(before.score, abs=1e-6)


def test_four_joints_suffice_and_three_do_not() -> None:
    points = beasts(100)[:, [0, 1, 2, 6]]
    points[8, 3] += [400, 0]
    found = spreads(points)
    assert np.unravel_index(np.nanargmax(found.score), found.score.shape) == (8, 3)
    points[8, 0] = np.nan
    assert np.isnan(spreads(points).score[8]).all()


@pytest.mark.parametrize("shape", [(0, 5, 2), (1, 5, 2), (3, 1, 2), (9, 2, 2)])
def test_where_nothing_can_be_said_nothing_is(shape: tuple[int, ...]) -> None:
    assert np.isnan(spreads(np.random.default_rng(0).normal(size=shape)).score).all()


def test_points_all_in_one_place_are_no_error() -> None:
    assert spreads(np.zeros((20, 5, 2))).score == pytest.approx(0.0)
