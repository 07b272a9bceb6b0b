"""Heatmaps: rendering equals the definition, decoding inverts it."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cairn.ops.heatmaps import Refinement, argmax_keypoints, find_peaks, flip_heatmaps, render_gaussians, soft_argmax

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


def test_gaussians_of_no_instances_and_of_far_points_are_zero() -> None:
    assert not render_gaussians(np.zeros((0, 3, 2)), (4, 5), 1.0).any()
    assert render_gaussians(np.zeros((0, 3, 2)), (4, 5), 1.0).shape == (3, 4, 5)
    assert not render_gaussians(np.array([[[1e30, 2.0], [np.inf, np.nan]]]), (4, 5), 1.0).any()


@given(SEEDS, st.floats(0.5, 3), st.sampled_from([(16, 12), (46, 82), (9, 64)]))
def test_each_refinement_decodes_within_its_tolerance(seed: int, sigma: float, size: tuple[int, int]) -> None:
    rng = np.random.default_rng(seed)
    height, width = size
    keypoints = rng.uniform(0.5, [width - 1.5, height - 1.5], (1, 20, 2))
    maps = render_gaussians(keypoints, size, sigma)
    tolerances: dict[Refinement, float] = {"none": 0.5, "quarter": 0.25, "log-parabola": 0.05}
    for refinement, within in tolerances.items():
        found, confidence = argmax_keypoints(maps, refinement)
        assert np.abs(found - keypoints[0]).max() <= within + 1e-3, refinement
        assert (confidence > 0.3).all()
    peaks = find_peaks(maps, 0.1)
    assert peaks.joints.tolist() == list(range(20))
    assert np.abs(peaks.positions - keypoints[0]).max() <= 0.05
    if sigma > 0.6:  # else the parabola may include a cut tail
        np.testing.assert_allclose(peaks.scores, 1, atol=0.01)


@given(SEEDS, st.floats(0.875, 2))
def test_joints_on_the_border_are_decoded(seed: int, sigma: float) -> None:
    """From the edge of the image, half a cell outside the first cell center, to the second cell."""
    rng = np.random.default_rng(seed)
    edges = rng.uniform(-0.49, 1, (4, 2))
    keypoints = np.array([edges[0], 15 - edges[1], [edges[2, 0], 7], [7, 15 - edges[3, 1]]])[None]
    maps = render_gaussians(keypoints, (16, 16), sigma)
    assert np.abs(argmax_keypoints(maps, "log-parabola")[0] - keypoints[0]).max() <= 0.05
    assert np.abs(argmax_keypoints(maps, "quarter")[0] - keypoints[0]).max() <= 0.25 + 1e-3


@given(SEEDS)
def test_peaks_are_the_cells_above_their_neighbors(seed: int) -> None:
    rng = np.random.default_rng(seed)
    maps = rng.random((3, 8, 9)).astype(np.float32)
    maps[rng.random(maps.shape) < 0.05] = np.nan
    peaks = find_peaks(maps, 0.4)
    expected = []
    for k, y, x in np.ndindex(maps.shape):
        around = np.nan_to_num(maps[k, max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2], nan=-1)
        if maps[k, y, x] > 0.4 and maps[k, y, x] == around.max():
            expected.append((k, x, y))
    assert len(peaks) == len(expected)
    for joint, position, score, (k, x, y) in zip(peaks.joints, peaks.positions, peaks.scores, expected, strict=True):
        assert joint == k
        assert np.abs(position - (x, y)).max() <= 0.5
        assert maps[k, y, x] <= score + 1e-6 <= 1 + 1e-6


def test_equal_neighbors_are_one_peak() -> None:
    maps = np.zeros((1, 6, 6), dtype=np.float32)
    maps[0, 2:4, 2:4] = 0.5
    peaks = find_peaks(maps, 0.1)
    np.testing.assert_allclose(peaks.positions, [[2.5, 2.5]], atol=1e-6)
    maps[:] = 0.5
    assert len(find_peaks(maps, 0.1)) == 1
    assert len(find_peaks(maps, 0.5)) == 0


@given(SEEDS, st.integers(1, 4))
def test_only_the_highest_peaks_of_each_joint_are_kept(seed: int, max_peaks: int) -> None:
    maps = np.random.default_rng(seed).random((3, 9, 9)).astype(np.float32)
    every, few = find_peaks(maps, 0.3), find_peaks(maps, 0.3, max_peaks)
    for joint in range(3):
        scores = np.sort(every.scores[every.joints == joint])
        np.testing.assert_array_equal(np.sort(few.scores[few.joints == joint]), scores[-max_peaks:])


def test_maps_with_nan_or_inf_and_tiny_maps_are_decoded() -> None:
    nothing = np.full((2, 3, 3), np.nan)
    keypoints, confidence = argmax_keypoints(nothing)
    assert np.isnan(keypoints).all()
    assert not confidence.any()
    assert len(find_peaks(nothing, 0.0)) == 0
    infinite = np.full((1, 3, 3), np.inf)
    assert np.isfinite(find_peaks(infinite, 0.0).positions).all()
    assert argmax_keypoints(np.zeros((0, 4, 5)))[0].shape == (0, 2)
    for size in ((1, 1), (1, 2), (2, 5)):
        maps = np.full((2, *size), 0.5)
        assert argmax_keypoints(maps, "quarter")[0].shape == (2, 2)
        assert find_peaks(maps, 0.1).positions.shape == (2, 2)


def test_leading_axes_are_kept() -> None:
    keypoints = np.random.default_rng(0).uniform(2, 10, (4, 5, 2))
    maps = np.stack([render_gaussians(person[None], (12, 13), 1.0) for person in keypoints]).reshape(2, 2, 5, 12, 13)
    found, confidence = argmax_keypoints(maps)
    assert confidence.shape == (2, 2, 5)
    np.testing.assert_allclose(found.reshape(4, 5, 2), keypoints, atol=0.05)


@given(SEEDS)
def test_soft_argmax_is_the_mean_position_of_a_softmax(seed: int) -> None:
    rng = np.random.default_rng(seed)
    maps = rng.normal(size=(2, 5, 6)) * 300
    found = soft_argmax(maps, temperature=100.0)
    for k in range(2):
        weights = [(math.exp(maps[k, y, x] / 100 - 5), x, y) for y in range(5) for x in range(6)]
        total = sum(weight for weight, _, _ in weights)
        np.testing.assert_allclose(found[k, 0], sum(w * x for w, x, _ in weights) / total, rtol=1e-4)
        np.testing.assert_allclose(found[k, 1], sum(w * y for w, _, y in weights) / total, rtol=1e-4)
    # The softmax of the logarithm of a Gaussian is a Gaussian: its mean is its center.
    squares = (np.arange(21) - 10.3) ** 2 + (np.arange(17)[:, None] - 7.8) ** 2
    np.testing.assert_allclose(soft_argmax(-squares / 2), [10.3, 7.8], atol=1e-3)


def test_flipped_maps_are_those_of_the_flipped_image() -> None:
    keypoints = np.random.default_rng(0).uniform(2, 10, (1, 3, 2))
    mirrored = np.stack([12 - keypoints[..., 0], keypoints[..., 1]], axis=-1)[:, [0, 2, 1]]
    maps = render_gaussians(mirrored, (12, 13), 1.0)
    np.testing.assert_allclose(flip_heatmaps(maps, (0, 2, 1)), render_gaussians(keypoints, (12, 13), 1.0), atol=1e-5)
    np.testing.assert_array_equal(flip_heatmaps(flip_heatmaps(maps, (0, 2, 1)), (0, 2, 1)), maps)
