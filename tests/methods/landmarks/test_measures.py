"""Metrics of a discovery on hand-made landmarks."""

import numpy as np
import pytest

from cairn.methods.landmarks.measures import BLOCKS, COLLAPSE_DISTANCE, WarpedLandmarks, consistency, coverage

RNG = np.random.default_rng(0)
PREDICTED = RNG.uniform(-0.6, 0.6, (20, 5, 2))
IN_VIEW = np.ones((20, 5), bool)
MOTION = RNG.normal(0, 0.2, (20, 1, 2))  # of each image


def measured(
    predicted: np.ndarray, moved: np.ndarray, still: np.ndarray, in_view: np.ndarray = IN_VIEW
) -> dict[str, float]:
    return consistency(WarpedLandmarks(predicted, moved, still, in_view), middle=0.75)


def test_exact_equivariance_has_no_error() -> None:
    metrics = measured(PREDICTED, PREDICTED, PREDICTED + MOTION)
    assert metrics["equivariance"] == 0
    assert metrics["still"] == 0


def test_a_fixed_grid_does_not_follow() -> None:
    grid = np.broadcast_to(PREDICTED[:1], PREDICTED.shape)
    metrics = measured(grid, grid + MOTION, grid + MOTION)  # g(Φ(x∘g)) = g(Φ(x))
    assert metrics["still"] == 100
    assert metrics["equivariance"] == pytest.approx(50 * np.linalg.norm(MOTION, axis=-1).mean())


def test_one_fixed_landmark_of_five_counts_as_20_percent() -> None:
    moved = PREDICTED.copy()
    moved[:, 2] += MOTION[:, 0]
    metrics = measured(PREDICTED, moved, PREDICTED + MOTION)
    assert metrics["still"] == pytest.approx(20)
    assert metrics["equivariance"] == pytest.approx(50 * np.linalg.norm(MOTION, axis=-1).mean() / 5)


@pytest.mark.parametrize(("share", "still"), [(0.45, 0), (0.55, 100)])
def test_following_less_than_half_the_motion_counts_as_still(share: float, still: float) -> None:
    assert measured(PREDICTED, PREDICTED + share * MOTION, PREDICTED + MOTION)["still"] == still


def test_landmarks_out_of_view_are_ignored() -> None:
    moved, in_view = PREDICTED.copy(), IN_VIEW.copy()
    moved[3:9] += 5
    in_view[3:9] = False
    assert measured(PREDICTED, moved, PREDICTED + MOTION, in_view)["equivariance"] == 0
    assert measured(PREDICTED, moved, PREDICTED + MOTION)["equivariance"] > 10


def test_two_coinciding_landmarks_are_collapsed() -> None:
    apart = np.broadcast_to([[-0.5, -0.5], [0.5, -0.5], [0, 0], [-0.5, 0.5], [0.5, 0.5]], PREDICTED.shape).copy()
    assert measured(apart, apart, apart)["collapsed"] == 0
    apart[:, 3] = apart[:, 1] + (0.9 * COLLAPSE_DISTANCE / 50, 0)  # two percent of a side that is 2 long
    assert measured(apart, apart, apart)["collapsed"] == pytest.approx(40)
    apart[:, 3] = apart[:, 1] + (1.1 * COLLAPSE_DISTANCE / 50, 0)
    assert measured(apart, apart, apart)["collapsed"] == 0


def test_spread_is_the_mean_distance_from_the_center_of_landmarks() -> None:
    ring = np.array([[1, 0], [0, 1], [-1, 0], [0, -1]]) * 0.4
    predicted = ring + RNG.uniform(-0.2, 0.2, (6, 1, 2))
    assert measured(predicted, predicted, predicted, np.ones((6, 4), bool))["spread"] == pytest.approx(
        20
    )  # of a side 2 long


def test_coverage_counts_blocks_of_the_view() -> None:
    assert coverage(np.zeros((3, 4, 2))) == pytest.approx(25)  # four landmarks could be in four blocks
    line = (2 * np.arange(BLOCKS) + 1) / BLOCKS - 1
    grid = np.stack(np.meshgrid(line, line), axis=-1).reshape(1, -1, 2)
    assert coverage(grid) == 100
    assert coverage(np.concatenate([grid, grid], axis=1)) == 100  # more points than blocks
    assert coverage(grid[:, [0, 1, 1, 7]]) == pytest.approx(75)
    assert coverage(np.array([[[-1, -1], [1, 1], [9, 9]]])) == pytest.approx(
        100 * 2 / 3
    )  # points beyond the edge count for the last block
    # Blocks divide the view, the middle of the image: 0.55 and 0.74 of 0.75 fall into its last block.
    sides = np.array([[[-0.74, 0], [0.74, 0], [0.55, 0], [-0.55, 0]]])
    assert measured(sides, sides, sides, np.ones((1, 4), bool))["coverage"] == pytest.approx(50)
