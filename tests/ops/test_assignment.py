"""Assignments equal brute force and scipy."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.ops.assignment import assign


def best_sum(scores: np.ndarray) -> float:
    """Maximum over all one-to-one assignments by brute force; scores (n, m) with n <= m."""
    ways = permutations(range(scores.shape[1]), len(scores))
    return max(scores[np.arange(len(scores)), list(way)].sum() for way in ways)


@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(1, 5), st.booleans())
def test_assignment_has_the_maximum_total_score(seed: int, rows: int, columns: int, ties: bool) -> None:
    scores = np.random.default_rng(seed).random((rows, columns))
    if ties:
        scores = np.round(scores * 2) / 2
    partner = assign(scores)
    given = partner[partner >= 0]
    assert partner.shape == (rows,)
    assert len(given) == len(set(given.tolist())) == min(rows, columns)
    total = sum(scores[i, j] for i, j in enumerate(partner) if j >= 0)
    assert total == pytest.approx(best_sum(scores if rows <= columns else scores.T))


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 40))
def test_assignment_agrees_with_scipy(seed: int, rows: int, columns: int) -> None:
    optimize = pytest.importorskip("scipy.optimize")
    rng = np.random.default_rng(seed)
    scores = rng.random((rows, columns)) * (rng.random((rows, columns)) < 0.4)
    partner = assign(scores)
    chosen = np.flatnonzero(partner >= 0)
    expected = scores[optimize.linear_sum_assignment(scores, maximize=True)].sum()
    assert scores[chosen, partner[chosen]].sum() == pytest.approx(expected)
