"""The one-euro filter equals the algorithm of the paper for one number."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cairn.ops.smoothing import CUTOFF, SLOPE, SPEED_CUTOFF, one_euro

SEEDS = st.integers(0, 2**32 - 1)


def low_pass(new: float, before: float, cutoff: float, rate: float) -> float:
    tau = 1 / (2 * math.pi * cutoff)
    alpha = 1 / (1 + tau * rate)
    return alpha * new + (1 - alpha) * before


def filtered(keypoints: np.ndarray, sizes: np.ndarray, elapsed: np.ndarray, strength: float = 1.0) -> np.ndarray:
    """Smooths keypoints (T, P, K, 2) with elapsed times (T,)."""
    before, speeds = np.full(keypoints.shape[1:], np.nan), np.zeros(keypoints.shape[1:])
    smoothed = []
    for points, seconds in zip(keypoints, elapsed, strict=True):
        before, speeds = one_euro(points, before, speeds, sizes, np.full(points.shape[:2], seconds), strength)
        smoothed.append(before)
    return np.array(smoothed)


@given(SEEDS, st.sampled_from([0.5, 1.0, 3.0]))
def test_a_joint_that_moves_along_an_axis_is_filtered_as_in_the_paper(seed: int, strength: float) -> None:
    rng = np.random.default_rng(seed)
    xs, elapsed, size = rng.normal(0, 20, 6), rng.uniform(0.01, 0.3, 6), rng.uniform(5, 100)
    got = filtered(np.stack([xs, 0 * xs], axis=1)[:, None, None], np.array([size]), elapsed, strength)[:, 0, 0, 0]
    hat, speed = xs[0], 0.0
    for x, seconds, value in zip(xs, elapsed, got, strict=True):
        speed = low_pass((x - hat) / seconds, speed, SPEED_CUTOFF, 1 / seconds)
        hat = low_pass(x, hat, (CUTOFF + SLOPE * abs(speed) / size) / strength, 1 / seconds)
        assert math.isclose(value, hat, rel_tol=1e-9, abs_tol=1e-9)


@given(SEEDS, st.floats(0.1, 10), st.floats(0, 6))
def test_the_result_does_not_depend_on_scale_or_rotation(seed: int, factor: float, angle: float) -> None:
    rng = np.random.default_rng(seed)
    points, elapsed, sizes = rng.normal(0, 20, (5, 2, 3, 2)), rng.uniform(0.01, 0.3, 5), rng.uniform(5, 100, 2)
    turn = factor * np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    np.testing.assert_allclose(
        filtered(points @ turn, factor * sizes, elapsed), filtered(points, sizes, elapsed) @ turn, atol=1e-8
    )


def test_jitter_at_rest_is_reduced_and_nan_stays_nan() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(0, 1, (200, 1, 2, 2))
    points[:, 0, 1] = np.nan
    smooth = filtered(points, np.array([50.0]), np.full(200, 0.04))
    assert np.diff(smooth[20:, 0, 0], axis=0).std() < 0.3 * np.diff(points[20:, 0, 0], axis=0).std()
    assert np.isnan(smooth[:, 0, 1]).all()
