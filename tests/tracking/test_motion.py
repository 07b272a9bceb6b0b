"""The motion model: predictions compose, and their variance is that of a simulation."""

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cairn.tracking.motion import DEFAULT_SIZE, SPEED, VELOCITY_TIME, Tracks, instance_sizes

SEEDS = st.integers(0, 2**32 - 1)


@given(SEEDS, st.floats(0.3, 3))
def test_two_predictions_equal_one_over_their_sum(seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    tracks = Tracks.started(rng.uniform(0, 99, (3, 4, 2)), 0.0)
    tracks = replace(tracks, velocity=rng.normal(0, 50, (3, 2)))
    once, twice = tracks.predicted(1 + share), tracks.predicted(1).predicted(share)
    for name in ("keypoints", "velocity", "variance"):
        np.testing.assert_allclose(getattr(twice, name), getattr(once, name), rtol=1e-9)


def test_the_predicted_variance_is_that_of_many_simulated_walks() -> None:
    rng = np.random.default_rng(0)
    steps, seconds = 400, 0.8
    tracks = Tracks.started(np.zeros((1, 1, 2)), 0.0)
    velocity = rng.normal(0, np.sqrt(tracks.variance[0, 2]), 20000)
    place = np.zeros_like(velocity)
    for _ in range(steps):
        h = seconds / steps
        place += velocity * h
        velocity += -velocity * h / VELOCITY_TIME + SPEED * np.sqrt(2 * h / VELOCITY_TIME) * rng.normal(
            size=len(velocity)
        )
    place_variance, both, speed = tracks.predicted(seconds).variance[0]
    np.testing.assert_allclose(
        [place.var(), np.mean(place * velocity), velocity.var()], [place_variance, both, speed], rtol=0.04
    )


@given(SEEDS)
def test_a_correction_without_detections_of_a_joint_moves_it_with_the_others(seed: int) -> None:
    rng = np.random.default_rng(seed)
    points, tolerance = rng.uniform(0, 100, (1, 4, 2)), np.full(4, 0.01)
    tracks = Tracks.started(points, 0.0).predicted(0.1)
    moved = points + np.array([2.0, -1.0])
    moved[0, 3] = np.nan
    corrected = tracks.corrected(moved, 0.1, tolerance)
    np.testing.assert_array_equal(corrected.keypoints[:, :3], moved[:, :3])
    np.testing.assert_allclose(corrected.keypoints[0, 3], points[0, 3] + [2, -1])
    assert corrected.last_detected.tolist() == [[0.1, 0.1, 0.1, 0.0]]
    assert (np.sign(corrected.velocity) == [[1, -1]]).all()


def test_sizes_scale_with_the_instance_and_default_for_one_keypoint() -> None:
    square = np.array([[[0.0, 0], [2, 0], [2, 2], [0, 2]]])
    np.testing.assert_allclose(instance_sizes(10 * square), 10 * instance_sizes(square))
    np.testing.assert_allclose(instance_sizes(square + 7), 2 * np.sqrt(2))
    assert instance_sizes(np.array([[[3.0, 4], [np.nan, np.nan]]])).tolist() == [DEFAULT_SIZE]
