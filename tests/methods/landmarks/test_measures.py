"""The measures of a discovery, on landmarks made by hand."""

import numpy as np
import pytest

from cairn.methods.landmarks.measures import BLOCKS, TOGETHER, consistency, coverage

RNG = np.random.default_rng(0)
FOUND = RNG.uniform(-0.6, 0.6, (20, 5, 2))
SEEN = np.ones((20, 5), bool)
MOTION = RNG.normal(0, 0.2, (20, 1, 2))  # of each image


def measured(found: np.ndarray, moved: np.ndarray, still: np.ndarray, seen: np.ndarray = SEEN) -> dict[str, float]:
    return consistency(found, moved, still, seen, middle=0.75)


def test_perfect_followers_have_no_error() -> None:
    figures = measured(FOUND, FOUND, FOUND + MOTION)
    assert figures["equivariance"] == 0
    assert figures["still"] == 0


def test_a_grid_that_does_not_move_follows_nothing() -> None:
    grid = np.broadcast_to(FOUND[:1], FOUND.shape)
    figures = measured(grid, grid + MOTION, grid + MOTION)  # g(Φ(x∘g)) = g(Φ(x))
    assert figures["still"] == 100
    assert figures["equivariance"] == pytest.approx(50 * np.linalg.norm(MOTION, axis=-1).mean())


def test_one_of_five_that_stays_is_a_fifth_and_so_is_its_error() -> None:
    moved = FOUND.copy()
    moved[:, 2] += MOTION[:, 0]
    figures = measured(FOUND, moved, FOUND + MOTION)
    assert figures["still"] == pytest.approx(20)
    assert figures["equivariance"] == pytest.approx(50 * np.linalg.norm(MOTION, axis=-1).mean() / 5)


@pytest.mark.parametrize(("share", "still"), [(0.45, 0), (0.55, 100)])
def test_who_follows_less_than_half_the_way_does_not_follow(share: float, still: float) -> None:
    assert measured(FOUND, FOUND + share * MOTION, FOUND + MOTION)["still"] == still


def test_what_a_view_does_not_show_is_not_counted() -> None:
    moved, seen = FOUND.copy(), SEEN.copy()
    moved[3:9] += 5
    seen[3:9] = False
    assert measured(FOUND, moved, FOUND + MOTION, seen)["equivariance"] == 0
    assert measured(FOUND, moved, FOUND + MOTION)["equivariance"] > 10


def test_two_on_one_place_are_collapsed_and_the_others_not() -> None:
    apart = np.broadcast_to([[-0.5, -0.5], [0.5, -0.5], [0, 0], [-0.5, 0.5], [0.5, 0.5]], FOUND.shape).copy()
    assert measured(apart, apart, apart)["collapsed"] == 0
    apart[:, 3] = apart[:, 1] + (0.9 * TOGETHER / 50, 0)  # two percent of a side that is 2 long
    assert measured(apart, apart, apart)["collapsed"] == pytest.approx(40)
    apart[:, 3] = apart[:, 1] + (1.1 * TOGETHER / 50, 0)
    assert measured(apart, apart, apart)["collapsed"] == 0


def test_spread_is_the_distance_from_the_landmarks_own_center() -> None:
    ring = np.array([[1, 0], [0, 1], [-1, 0], [0, -1]]) * 0.4
    found = ring + RNG.uniform(-0.2, 0.2, (6, 1, 2))
    assert measured(found, found, found, np.ones((6, 4), bool))["spread"] == pytest.approx(20)  # of a side 2 long


def test_coverage_counts_blocks_of_the_view() -> None:
    assert coverage(np.zeros((3, 4, 2))) == pytest.approx(25)  # four landmarks could be in four blocks
    line = (2 * np.arange(BLOCKS) + 1) / BLOCKS - 1
    grid = np.stack(np.meshgrid(line, line), axis=-1).reshape(1, -1, 2)
    assert coverage(grid) == 100
    assert coverage(np.concatenate([grid, grid], axis=1)) == 100  # more than there are blocks
    assert coverage(grid[:, [0, 1, 1, 7]]) == pytest.approx(75)
    assert coverage(np.array([[[-1, -1], [1, 1], [9, 9]]])) == pytest.approx(100 * 2 / 3)  # beyond is the last one
    # Blocks are of the view, which is the middle of the image: 0.55 and 0.74 of 0.75 are in its last one.
    sides = np.array([[[-0.74, 0], [0.74, 0], [0.55, 0], [-0.55, 0]]])
    assert consistency(sides, sides, sides, np.ones((1, 4), bool), middle=0.75)["coverage"] == pytest.approx(50)
