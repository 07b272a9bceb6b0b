"""PCK, the area under its curve, and mean errors: worked by hand, and against loops on random cases."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.evaluation.metrics.pck import (
    area_under_curve,
    average,
    count,
    curve,
    mean_error,
    normalized_errors,
    not_detected,
    pck,
)

NAN = math.nan

# Two instances of three joints, with reference lengths 10 and 20. In the second one, the third joint is not labeled and
# the second joint is not detected.
LABELED = np.array([[[0, 0], [10, 0], [5, 5]], [[0, 0], [10, 0], [NAN, NAN]]])
PREDICTED = np.array([[[3, 4], [10, 1], [5, 5]], [[0, 10], [NAN, NAN], [7, 7]]])
LENGTHS = np.array([10.0, 20.0])


def test_errors_by_hand() -> None:
    expected = [[0.5, 0.1, 0.0], [0.5, math.inf, NAN]]
    np.testing.assert_allclose(normalized_errors(PREDICTED, LABELED, LENGTHS), expected)


def test_pck_by_hand() -> None:
    errors = normalized_errors(PREDICTED, LABELED, LENGTHS)
    np.testing.assert_array_equal(pck(errors, 0.2), [0, 50, 100])
    np.testing.assert_array_equal(pck(errors, 0.5), [0, 50, 100])  # below, not at: MPII's rule as papers state it
    np.testing.assert_array_equal(pck(errors, 0.51), [100, 50, 100])
    np.testing.assert_array_equal(count(errors), [2, 2, 1])
    assert average(pck(errors, 0.2), count(errors)) == 50
    assert average(pck(errors, 0.2), count(errors), "pooled") == pytest.approx(100 * 2 / 5)
    np.testing.assert_array_equal(curve(errors, np.array([0.2, 0.51])), [[0, 50, 100], [100, 50, 100]])


def test_area_and_mean_error_by_hand() -> None:
    errors = normalized_errors(PREDICTED, LABELED, LENGTHS)
    # Up to 1: an error of 0.5 is below half of the thresholds, an error of 0.1 below nine tenths of them.
    np.testing.assert_allclose(area_under_curve(errors, 1.0), [50, 45, 100])
    np.testing.assert_allclose(area_under_curve(errors, 0.2), [0, 25, 100])
    np.testing.assert_allclose(mean_error(errors), [0.5, 0.1, 0])
    np.testing.assert_allclose(not_detected(errors), [0, 50, 0])


def test_an_instance_without_reference_length_is_ignored() -> None:
    errors = normalized_errors(PREDICTED, LABELED, np.array([NAN, 20.0]))
    np.testing.assert_array_equal(count(errors), [1, 1, 0])
    np.testing.assert_array_equal(pck(errors, 1.0), [100, 0, NAN])
    assert np.isnan(normalized_errors(PREDICTED, LABELED, np.array([0.0, -3.0]))).all()
    assert math.isnan(average(pck(errors, 1.0), np.zeros(3)))


def random_case(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    instances, joints = int(generator.integers(1, 7)), int(generator.integers(1, 5))
    labeled = generator.uniform(0, 50, (instances, joints, 2))
    predicted = labeled + generator.normal(size=labeled.shape) * 4
    labeled[generator.random((instances, joints)) < 0.2] = NAN
    predicted[generator.random((instances, joints)) < 0.2] = NAN
    lengths = generator.uniform(5, 40, instances)
    lengths[generator.random(instances) < 0.1] = NAN
    return predicted, labeled, lengths


@given(st.integers(0, 10**9), st.floats(0.05, 1))
def test_metrics_equal_loops(seed: int, threshold: float) -> None:
    predicted, labeled, lengths = random_case(seed)
    errors = normalized_errors(predicted, labeled, lengths)
    near, area, far = pck(errors, threshold), area_under_curve(errors, threshold), mean_error(errors)
    grid = np.linspace(0, threshold, 2001)[1:]
    shares = []
    for k in range(labeled.shape[1]):
        distances = [
            math.dist(predicted[i, k], labeled[i, k]) / lengths[i] if not math.isnan(predicted[i, k, 0]) else math.inf
            for i in range(len(labeled))
            if not math.isnan(labeled[i, k, 0]) and lengths[i] > 0
        ]
        if not distances:
            assert math.isnan(near[k])
            assert math.isnan(area[k])
            continue
        share = 100 * sum(distance < threshold for distance in distances) / len(distances)
        shares.append((share, len(distances)))
        assert near[k] == pytest.approx(share)
        stepwise = 100 * np.mean(np.array(distances)[None] < grid[:, None])
        assert area[k] == pytest.approx(stepwise, abs=0.1)
        reached = [distance for distance in distances if distance < math.inf]
        assert far[k] == pytest.approx(sum(reached) / len(reached) if reached else NAN, nan_ok=True)
    if shares:
        assert average(near, count(errors)) == pytest.approx(sum(share for share, _ in shares) / len(shares))
        pooled = sum(share * n for share, n in shares) / sum(n for _, n in shares)
        assert average(near, count(errors), "pooled") == pytest.approx(pooled)


@given(st.integers(0, 10**9), st.floats(0.1, 10), st.floats(-50, 50))
def test_metrics_are_invariant_to_shift_and_scale(seed: int, factor: float, shift: float) -> None:
    predicted, labeled, lengths = random_case(seed)
    moved = normalized_errors(predicted * factor + shift, labeled * factor + shift, lengths * factor)
    np.testing.assert_allclose(moved, normalized_errors(predicted, labeled, lengths), atol=1e-9)
