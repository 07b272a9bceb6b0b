"""Triangulation: exact without noise, as good as theory says with it, robust to cameras that contradict."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.multiview.triangulation import linear_points, triangulate_points
from cairn.structures.camera import Rig
from support.made_rigs import looking, ring


def points(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform((-1, -1, 0), (1, 1, 2), (count, 3))


@given(st.integers(2, 6), st.integers(0, 2**32 - 1), st.booleans())
def test_triangulation_inverts_projection(cameras: int, seed: int, fisheye: bool) -> None:
    rig = ring(cameras, **({"fisheye": True, "distortion": np.array([0.02, -0.01, 0, 0])} if fisheye else {}))
    truth = points(20, seed)
    pixels = rig.project(truth)
    result = triangulate_points(rig, pixels, np.ones(pixels.shape[:2]))
    assert np.abs(result.positions - truth).max() < 1e-9
    assert result.errors.max() < 1e-6
    assert (result.views == cameras).all()


def test_far_from_the_origin_of_the_world_too() -> None:
    rig = ring(3).moved(np.array([0.3, -0.2, 0.5]), [4000.0, -9000.0, 300.0])
    truth = np.array([4000.0, -9000.0, 300.0]) + points(50)
    seen = rig.project(truth)
    known = np.isfinite(seen).all(axis=(0, 2))
    assert known.any()
    result = triangulate_points(rig, seen[:, known], np.ones((3, known.sum())))
    assert np.abs(result.positions - truth[known]).max() < 1e-7


def covariance(rig: Rig, point: np.ndarray) -> np.ndarray:
    """(3, 3) of the least-squares estimate with a noise of one pixel, from numerical derivatives."""
    step = 1e-6
    rows = [(rig.project(point + d) - rig.project(point - d)).ravel() / (2 * step) for d in step * np.eye(3)]
    return np.linalg.inv(np.array(rows) @ np.array(rows).T)


@pytest.mark.parametrize("cameras", [2, 3, 4, 8])
def test_the_error_with_noise_is_that_of_the_best_estimate(cameras: int) -> None:
    rig, truth = ring(cameras), np.array([0.2, -0.3, 1.1])
    random, noise, count = np.random.default_rng(1), 2.0, 4000
    pixels = np.repeat(rig.project(truth)[:, None], count, axis=1) + random.normal(0, noise, (cameras, count, 2))
    found = triangulate_points(rig, pixels, np.ones((cameras, count)), max_error=1e3).positions
    variance = ((found - truth) ** 2).sum(axis=1).mean()
    assert variance == pytest.approx(noise**2 * np.trace(covariance(rig, truth)), rel=0.1)


def test_confidence_is_a_weight() -> None:
    rig, truth = ring(4), points(500)
    pixels = rig.project(truth)
    random = np.random.default_rng(2)
    pixels[0] += random.normal(0, 15, pixels[0].shape)
    pixels[1:] += random.normal(0, 1, pixels[1:].shape)
    weights = np.ones((4, 500))
    equal = triangulate_points(rig, pixels, weights, 1e3).positions
    weights[0] = 1 / 15
    weighted = triangulate_points(rig, pixels, weights, 1e3).positions
    errors = [np.linalg.norm(each - truth, axis=1).mean() for each in (equal, weighted)]
    assert errors[1] < 0.5 * errors[0]


@given(st.integers(4, 6), st.data())
def test_a_camera_that_contradicts_is_dropped(cameras: int, data: st.DataObject) -> None:
    wrong = data.draw(st.integers(0, cameras - 1))
    shift = data.draw(st.sampled_from([(150.0, 90.0), (-120.0, 260.0), (90.0, -200.0)]))
    rig, truth = ring(cameras), points(30)
    pixels = rig.project(truth)
    pixels[wrong] += shift
    result = triangulate_points(rig, pixels, np.ones(pixels.shape[:2]), max_error=5)
    assert np.abs(result.positions - truth).max() < 1e-8
    assert not result.used[wrong].any()
    assert (result.views == cameras - 1).all()
    assert result.residuals[wrong] == pytest.approx(np.hypot(*shift))


def test_several_cameras_are_dropped_one_after_the_other() -> None:
    rig, truth = ring(6), points(20)
    pixels = rig.project(truth)
    pixels[1] += [300, 100]
    pixels[4] += [-200, 150]
    result = triangulate_points(rig, pixels, np.ones(pixels.shape[:2]), max_error=5)
    assert np.abs(result.positions - truth).max() < 1e-8
    assert result.used[:, 0].tolist() == [True, False, True, True, False, True]


def test_fewer_cameras_than_required_leave_a_point_missing() -> None:
    rig, truth = ring(4), points(4)
    pixels = rig.project(truth)
    pixels[:, 0] = np.nan
    pixels[1:, 1] = np.nan
    pixels[2:, 2] = np.nan
    result = triangulate_points(rig, pixels, np.ones((4, 4)))
    assert np.isnan(result.positions[:2]).all()
    assert np.isnan(result.errors[:2]).all()
    assert result.views.tolist() == [0, 0, 2, 4]
    assert np.abs(result.positions[2:] - truth[2:]).max() < 1e-9
    strict = triangulate_points(rig, pixels, np.ones((4, 4)), min_views=3)
    assert strict.views.tolist() == [0, 0, 0, 4]


def test_two_cameras_that_contradict_leave_a_point_missing() -> None:
    rig = ring(2)
    pixels = rig.project(points(10))
    pixels[1, :, 1] += 400
    assert np.isnan(triangulate_points(rig, pixels, np.ones((2, 10)), max_error=10).positions).all()


def test_one_camera_is_never_enough_however_few_are_required() -> None:
    rig = ring(3)
    pixels = rig.project(points(5))
    pixels[1:] = np.nan
    assert np.isnan(triangulate_points(rig, pixels, np.ones((3, 5)), min_views=1).positions).all()


def test_a_point_behind_the_cameras_is_missing() -> None:
    rig = Rig((looking("a", (5, 0, 1)), looking("b", (5, 1, 1))))
    diverging = np.array([[[600.0, 540.0]], [[1400.0, 540.0]]])  # these rays meet behind the cameras
    result = triangulate_points(rig, diverging, np.ones((2, 1)), max_error=50)
    assert np.isnan(result.positions).all()


def test_a_confidence_of_zero_and_nan_are_no_detection() -> None:
    rig, truth = ring(4), points(3)
    pixels, confidence = rig.project(truth), np.ones((4, 3))
    pixels[0, 0] = 1e6
    confidence[0, 0] = 0
    pixels[2, 1] = np.nan
    result = triangulate_points(rig, pixels, confidence)
    assert np.abs(result.positions - truth).max() < 1e-9
    assert result.views.tolist() == [3, 3, 4]


def test_refinement_never_raises_the_error_of_the_linear_solution() -> None:
    rig, truth = ring(3, distortion=np.zeros(0)), points(300)
    pixels = rig.project(truth) + np.random.default_rng(3).normal(0, 20, (3, 300, 2))
    normalized = np.stack([camera.undistort(own) for camera, own in zip(rig, pixels, strict=True)])
    linear = linear_points(normalized, np.ones((3, 300)), np.stack([camera.extrinsics for camera in rig]))

    def cost(positions: np.ndarray) -> np.ndarray:
        return ((rig.project(positions) - pixels) ** 2).sum(axis=(0, 2))

    refined = triangulate_points(rig, pixels, np.ones((3, 300)), max_error=1e6).positions
    assert (cost(refined) <= cost(linear) * (1 + 1e-9)).all()
    assert cost(refined).sum() < cost(linear).sum()


def test_no_points() -> None:
    result = triangulate_points(ring(2), np.zeros((2, 0, 2)), np.zeros((2, 0)))
    assert result.positions.shape == (0, 3)
