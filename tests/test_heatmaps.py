import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cairn.heatmaps import render_gaussians

SEEDS = st.integers(0, 2**32 - 1)


@given(SEEDS, st.floats(0.5, 3))
def test_gaussians_equal_the_definition_at_every_cell(seed: int, sigma: float) -> None:
    rng = np.random.default_rng(seed)
    keypoints = rng.uniform(-3, 14, (3, 2, 2))
    keypoints[rng.random((3, 2)) < 0.3] = np.nan
    maps = render_gaussians(keypoints, (9, 12), sigma)
    assert maps.dtype == np.float32
    for k, y, x in np.ndindex(2, 9, 12):
        expected = 0.0
        for px, py in keypoints[:, k]:
            exponent = ((x - px) ** 2 + (y - py) ** 2) / (2 * sigma**2)
            if exponent <= 4.6052:  # false for NaN
                expected = max(expected, math.exp(-exponent))
        # At the cut itself rounding decides between 0.01 and 0.
        assert abs(maps[k, y, x] - expected) < 1e-5 or abs(expected - 0.01) < 1e-4


def test_gaussians_of_nobody_and_of_points_far_away_are_zero() -> None:
    assert not render_gaussians(np.zeros((0, 3, 2)), (4, 5), 1.0).any()
    assert render_gaussians(np.zeros((0, 3, 2)), (4, 5), 1.0).shape == (3, 4, 5)
    assert not render_gaussians(np.array([[[1e30, 2.0], [np.inf, np.nan]]]), (4, 5), 1.0).any()
