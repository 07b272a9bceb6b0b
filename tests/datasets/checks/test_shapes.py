"""Full Procrustes distances equal a least-squares fit."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.datasets.checks.shapes import Shapes, squared_distances
from support.made_objects import animals


def distances(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    squared, common = squared_distances(Shapes.of(a), Shapes.of(b))
    return np.sqrt(np.maximum(squared, 0)), common


@given(st.integers(0, 999))
def test_distances_equal_a_least_squares_fit(seed: int) -> None:
    """The residual of the best rotated, scaled and translated copy of the other shape."""
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, 3, 6, 2))
    a[0, rng.integers(6)] = np.nan
    measured, common = distances(a, b)
    for i in range(3):
        for j in range(3):
            both = np.isfinite(a[i]).all(axis=1)
            assert common[i, j] == both.sum()
            z = a[i][both] @ [1, 1j]
            w = b[j][both] @ [1, 1j]
            system = np.stack([w, np.ones_like(w)], axis=1)
            fit = system @ np.linalg.lstsq(system, z, rcond=None)[0]
            expected = np.linalg.norm(z - fit) / np.linalg.norm(z - z.mean())
            assert measured[i, j] == pytest.approx(expected, abs=2e-3)


def test_distances_ignore_rotation_but_not_reflection() -> None:
    shape = animals(1)
    rotated = shape @ np.array([[0.0, 3.0], [-3.0, 0.0]]) + 7
    assert distances(shape, rotated)[0][0, 0] < 2e-3
    assert distances(shape, shape * [-1, 1])[0][0, 0] > 0.1 or np.allclose(shape, shape * [-1, 1])
