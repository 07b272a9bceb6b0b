"""Refinement over time: gaps, smoothing and limbs of constant length."""

from dataclasses import replace

import numpy as np
import pytest

from cairn.multiview.reconstruction import ReconstructionOptions, reconstruct
from cairn.multiview.refinement import _Problem, _solved, filled, information, refined
from cairn.structures.poses3d import Trajectories
from support.made_rigs import BODY, detected, ring, walking

pytest.importorskip("scipy", reason="refinement needs scipy, which is in the multiview extra")


def tracks_of(points: np.ndarray, rate: float = 25.0) -> Trajectories:
    known = np.isfinite(points[..., 0])
    shape = known.shape
    return Trajectories(
        points,
        known.astype(np.float32),
        BODY,
        np.arange(1, shape[1] + 1),
        rate,
        np.where(known, 2, np.nan).astype(np.float32),
    )


def test_gaps_up_to_a_length_are_filled_and_marked() -> None:
    truth = walking(60)
    points = truth.copy()
    points[10:14, 0, 9] = np.nan
    points[20:27, 0, 3] = np.nan
    points[:4, 0, 5] = np.nan
    points[55:, 0, 6] = np.nan
    result = filled(tracks_of(points), 5)
    assert result.interpolated is not None
    assert np.argwhere(result.interpolated).tolist() == [[frame, 0, 9] for frame in range(10, 14)]
    assert np.linalg.norm(result.keypoints - truth, axis=-1)[10:14, 0, 9].max() < 0.01
    same = ~result.interpolated
    assert np.array_equal(result.keypoints[same], points[same], equal_nan=True)
    assert (result.confidence[result.interpolated] > 0).all()


def test_a_straight_motion_is_filled_exactly() -> None:
    points = np.zeros((30, 1, 17, 3)) + np.arange(30)[:, None, None, None] * [0.1, -0.2, 0.05]
    truth = points.copy()
    points[5:15] = np.nan
    assert np.abs(filled(tracks_of(points), 10).keypoints - truth).max() < 1e-12


@pytest.mark.parametrize("limbs", [False, True])
def test_smoothing_lowers_the_error_with_noise(limbs: bool) -> None:
    rig, truth = ring(3), walking(80)
    recordings = detected(rig, truth, noise=6)
    options = ReconstructionOptions()
    plain, smooth = (
        reconstruct(rig, list(recordings.values()), 25, each).trajectories.keypoints[:, 0]
        for each in (options, replace(options, smooth=1.0, limbs=limbs))
    )
    errors = [np.sqrt(((each - truth[:, 0]) ** 2).sum(axis=-1)).mean() for each in (plain, smooth)]
    assert errors[1] < 0.75 * errors[0]


def test_limbs_have_a_constant_length() -> None:
    rig, truth = ring(3), walking(60)
    recordings = list(detected(rig, truth, noise=6).values())
    plain, constant = (
        reconstruct(rig, recordings, 25, ReconstructionOptions(limbs=limbs)).trajectories for limbs in (False, True)
    )

    def spread(tracks: Trajectories) -> float:
        points, (a, b) = tracks.keypoints[:, 0], BODY.limbs[0]
        return float(np.linalg.norm(points[:, a] - points[:, b], axis=-1).std())

    assert spread(constant) < 0.2 * spread(plain)


def test_without_noise_nothing_moves_far() -> None:
    rig = ring(4)
    still = np.repeat(walking(1), 30, axis=0)
    recordings = list(detected(rig, still).values())
    result = reconstruct(rig, recordings, 25, ReconstructionOptions(smooth=1, limbs=True)).trajectories
    assert np.abs(result.keypoints - still).max() < 1e-4


@pytest.mark.parametrize(("smooth", "limbs"), [(1.0, False), (0.0, True), (3.0, True)])
def test_the_cost_never_rises_and_ends_at_a_minimum(smooth: float, limbs: bool) -> None:
    rig, truth = ring(3), walking(25)
    noisy = truth + np.random.default_rng(0).normal(0, 0.03, truth.shape)
    noisy[5, 0, 3] += 0.8
    noisy[10:13, 0, 7] = np.nan
    tracks = tracks_of(noisy)
    used = np.broadcast_to(tracks.known, (3, *tracks.known.shape))
    problem = _Problem.of(tracks, information(rig, tracks, used)[:, 0], smooth)
    assert problem is not None
    problem = problem.with_limbs(truth[:, 0], BODY) if limbs else problem
    solved = _solved(problem)
    assert problem.cost(solved) < problem.cost(problem.points)
    random = np.random.default_rng(1)
    for _ in range(20):
        nearby = solved + random.normal(0, 0.01, solved.shape)
        assert problem.cost(nearby) > problem.cost(solved)


def test_normal_equations_are_those_of_the_cost() -> None:
    """The right-hand side is minus half the gradient, by finite differences."""
    rig, truth = ring(3), walking(6)
    tracks = tracks_of(truth + np.random.default_rng(0).normal(0, 0.02, truth.shape))
    used = np.ones((3, *tracks.known.shape), bool)
    problem = _Problem.of(tracks, information(rig, tracks, used)[:, 0], 1.0)
    assert problem is not None
    problem = problem.with_limbs(truth[:, 0], BODY)
    at = problem.points + np.random.default_rng(1).normal(0, 0.005, problem.points.shape)
    _, vector = problem.normal_equations(at)
    step = 1e-6
    for index in range(0, at.size, 7):
        offset = np.zeros(at.size)
        offset[index] = step
        offset = offset.reshape(at.shape)
        slope = (problem.cost(at + offset) - problem.cost(at - offset)) / (2 * step)
        assert vector[index] == pytest.approx(-slope / 2, rel=1e-3, abs=1e-2)


def test_blocks_of_a_long_recording_meet() -> None:
    rig, truth = ring(3), walking(900)
    noisy = truth + np.random.default_rng(0).normal(0, 0.01, truth.shape)
    tracks = tracks_of(noisy)
    used = np.ones((3, *tracks.known.shape), bool)
    smooth = refined(tracks, information(rig, tracks, used), 1.0, False).keypoints[:, 0]
    bends = np.linalg.norm(smooth[2:] - 2 * smooth[1:-1] + smooth[:-2], axis=-1).max(axis=1)
    assert bends[395:405].max() < 3 * np.median(bends) + 0.01


def test_unknown_keypoints_stay_unknown() -> None:
    rig, truth = ring(3), walking(20)
    truth[4:9, 0, 2] = np.nan
    tracks = tracks_of(truth)
    used = np.broadcast_to(tracks.known, (3, *tracks.known.shape))
    result = refined(tracks, information(rig, tracks, used), 1.0, True)
    assert np.array_equal(result.known, tracks.known)
