"""Metrics in 3D: invariances, known values, and agreement with scipy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.evaluation.metrics.poses3d import (
    aligned_errors,
    correct_limbs,
    joint_errors,
    limb_spreads,
    pck3d,
    pck3d_auc,
    reprojection_errors,
    scaled_errors,
)

LIMBS = np.array([[0, 1], [1, 2]])


def rotation(random: np.random.Generator) -> np.ndarray:
    matrix, _ = np.linalg.qr(random.normal(size=(3, 3)))
    return matrix * np.sign(np.linalg.det(matrix))


@given(st.integers(0, 2**32 - 1), st.floats(0.1, 10))
def test_alignment_undoes_every_similarity(seed: int, scale: float) -> None:
    random = np.random.default_rng(seed)
    truth = random.normal(size=(3, 9, 3))
    moved = scale * truth @ rotation(random).T + random.normal(size=3)
    assert aligned_errors(moved, truth).max() < 1e-9
    assert joint_errors(moved, truth).max() > 0


@pytest.mark.parametrize("seed", range(5))
def test_alignment_is_that_of_scipy(seed: int) -> None:
    procrustes = pytest.importorskip("scipy.spatial", reason="needs scipy").procrustes
    random = np.random.default_rng(seed)
    truth = random.normal(size=(8, 3))
    predicted = 2 * truth @ rotation(random).T + random.normal(0, 0.2, (8, 3))  # near enough for no reflection
    standard, aligned, disparity = procrustes(truth, predicted)
    size = np.linalg.norm(truth - truth.mean(axis=0))
    expected = size * np.linalg.norm(standard - aligned, axis=-1)
    errors = aligned_errors(predicted[None], truth[None])[0]
    assert errors == pytest.approx(expected, abs=1e-9)
    assert (errors**2).sum() == pytest.approx(size**2 * disparity)


def test_a_mirrored_pose_is_not_aligned() -> None:
    truth = np.random.default_rng(0).normal(size=(1, 9, 3))
    assert aligned_errors(truth * [-1, 1, 1], truth).mean() > 0.1


def test_missing_keypoints_do_not_count() -> None:
    random = np.random.default_rng(1)
    truth = random.normal(size=(2, 6, 3))
    predicted = truth @ rotation(random).T
    predicted[0, 2] = np.nan
    predicted[1, 2:] = np.nan
    errors = aligned_errors(predicted, truth)
    assert np.isnan(errors[0]).tolist() == [False, False, True, False, False, False]
    assert errors[0, [0, 1, 3, 4, 5]].max() < 1e-9
    assert np.isnan(errors[1]).all()  # two points determine no rotation


@given(st.floats(0.1, 10), st.integers(0, 2**32 - 1))
def test_scaling_undoes_every_scale_and_no_rotation(scale: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    truth = random.normal(size=(2, 7, 3))
    assert scaled_errors(scale * truth + random.normal(size=3), truth).max() < 1e-9
    turned = truth @ np.diag([-1, -1, 1])
    assert scaled_errors(turned, truth).max() > 0.1


def test_the_scale_is_the_best_one() -> None:
    random = np.random.default_rng(2)
    truth = random.normal(size=(1, 7, 3))
    predicted = 1.3 * truth + random.normal(0, 0.1, truth.shape)
    best = (scaled_errors(predicted, truth, 0) ** 2).sum()
    own, target = predicted - predicted[:, :1], truth - truth[:, :1]
    assert all(((factor * own - target) ** 2).sum() >= best - 1e-12 for factor in np.linspace(0.5, 1.1, 61))


def test_pck_counts_missing_keypoints_as_wrong() -> None:
    errors = np.array([[0.1, 0.15, 0.2, np.nan]])
    assert pck3d(errors, np.ones((1, 4), bool)) == 0.5
    assert pck3d(errors, np.array([[True, False, True, False]])) == 0.5
    assert np.isnan(pck3d(errors, np.zeros((1, 4), bool)))
    assert pck3d_auc(np.zeros((1, 4)), np.ones((1, 4), bool)) == 1
    assert pck3d_auc(np.full((1, 1), 0.0751), np.ones((1, 1), bool)) == pytest.approx(15 / 31)


def test_pcp_by_both_rules() -> None:
    truth = np.array([[[0, 0, 0], [1, 0, 0], [2, 0, 0]]], np.float64)
    predicted = truth.copy()
    predicted[0, 0, 1] = 0.7  # 70% of the first limb
    predicted[0, 1, 1] = 0.2
    assert correct_limbs(predicted, truth, LIMBS, "shelf").tolist() == [[True, True]]  # (0.7 + 0.2) / 2 < 0.5
    assert correct_limbs(predicted, truth, LIMBS, "strict").tolist() == [[False, True]]
    predicted[0, 1, 1] = 0.3
    assert correct_limbs(predicted, truth, LIMBS, "shelf").tolist() == [[False, True]]  # not less than half
    predicted[0, 2] = np.nan
    assert correct_limbs(predicted, truth, LIMBS, "shelf").tolist() == [[False, False]]


def test_the_sum_of_both_errors_is_less_than_the_length() -> None:
    """The rule as the data set states it."""
    random = np.random.default_rng(3)
    truth = random.normal(size=(200, 3, 3))
    predicted = truth + random.normal(0, 0.4, truth.shape)
    errors = np.linalg.norm(predicted - truth, axis=-1)
    for i, (a, b) in enumerate(LIMBS):
        expected = errors[:, a] + errors[:, b] < np.linalg.norm(truth[:, a] - truth[:, b], axis=-1)
        assert np.array_equal(correct_limbs(predicted, truth, LIMBS)[:, i], expected)


def test_spread_of_limbs() -> None:
    points = np.zeros((4, 3, 3))
    points[:, 1, 0] = [1, 2, 3, np.nan]
    points[:, 2, 0] = points[:, 1, 0] + 5
    mean, spread = limb_spreads(points, LIMBS)
    assert mean == pytest.approx([2, 5])
    assert spread == pytest.approx([np.std([1, 2, 3]), 0])
    mean, spread = limb_spreads(np.full((4, 3, 3), np.nan), LIMBS)
    assert np.isnan([*mean, *spread]).all()


def test_reprojection_errors_by_camera_and_keypoint() -> None:
    residuals = np.array([[[1.0, 5], [3, np.nan], [2, 7]], [[9, 9], [9, 9], [9, 9]]])
    used = np.ones(residuals.shape, bool)
    used[0, 2, 1] = False
    used[1, :, 0] = False
    assert np.array_equal(reprojection_errors(residuals, used), [[2, 5], [np.nan, 9]], equal_nan=True)
