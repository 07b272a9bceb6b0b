"""Decoding as nodes of a graph equals the Python functions."""

import numpy as np
import pytest

pytest.importorskip("onnx", reason="making a graph needs onnx, which is in the train extra")

from cairn.ops.grouping import connect
from cairn.ops.heatmaps import argmax_keypoints, find_peaks, values_at
from cairn.structures.geometry import crop, letterbox
from cairn.training.exporting.decoding import maps as nodes
from cairn.training.exporting.decoding.limbs import LimbThresholds, score_limbs
from cairn.training.exporting.decoding.network import _average
from cairn.training.exporting.decoding.preprocessing import Fit
from support.decoded_graphs import run_nodes, smooth_noise

SIZES = [(60, 80), (97, 131), (33, 250), (401, 149), (640, 480), (7, 500), (512, 1025)]


@pytest.mark.parametrize(("size", "opset"), [*((size, 13) for size in SIZES), (SIZES[1], 20)], ids=str)
def test_images_are_resized_as_in_python(size: tuple[int, int], opset: int) -> None:
    image = np.random.default_rng(sum(size)).integers(0, 256, (*size, 3)).astype(np.uint8)
    points = np.array([[0, 0], [3.25, 7], [79, 59]], np.float32)

    def build(given, points):
        planes = given.transpose(0, 3, 1, 2)
        longest = given.graph.constant(96.0, "float32")
        fits = [Fit.letterbox(planes, longest, 32), Fit.letterbox(planes, longest * 0.5, 32), Fit.square(planes, 48)]
        return [fit.warp(planes) for fit in fits] + [fit.to_image(points) for fit in fits]

    results = run_nodes(build, image[None], points, opset=opset)
    square = crop(((size[1] - 1) / 2, (size[0] - 1) / 2), max(size), (48, 48)), (48, 48)
    fits = [letterbox(size, 96, 32), letterbox(size, 48, 32), square]
    for (affine, target), warped, back in zip(fits, results[:3], results[3:], strict=True):
        expected = affine.warp(image, target).transpose(2, 0, 1)
        difference = np.abs(warped[0] - expected)
        assert warped.shape == (1, *expected.shape)
        assert difference.max() <= 2  # OpenCV rounds the weights of an area
        assert (difference > 0.5).mean() < 0.1
        np.testing.assert_allclose(back, affine.inverse().apply(points), atol=1e-2)


def peaks_of(row: np.ndarray) -> dict[tuple[int, float, float], float]:
    """Peaks (K, P, 3) by keypoint and position."""
    return {(k, round(float(x), 3), round(float(y), 3)): s for k, some in enumerate(row) for x, y, s in some if s > 0}


@pytest.mark.parametrize("threshold", [-1.0, 0.05, 0.6])
@pytest.mark.parametrize("size", [(4, 4), (2, 5), (1, 1), (23, 17)], ids=str)
def test_peaks_are_those_of_python(size: tuple[int, int], threshold: float) -> None:
    rng = np.random.default_rng(size[0])
    maps = smooth_noise(rng, (2, 3, *size))
    maps[0, 0, : size[0] // 2] = 0.75  # a plateau: its first cell is its peak
    maps[1, 1].flat[0] = np.nan
    maps[1, 2].flat[0] = np.inf
    (found,) = run_nodes(lambda given: [nodes.find_peaks(given, threshold, 127)], maps)
    assert (np.diff(found[..., 2], axis=2) <= 0).all()  # the highest first
    for row, image in zip(found, maps, strict=True):
        expected = find_peaks(image, threshold)
        got = peaks_of(row)
        assert len(got) == len(expected)
        for joint, (x, y), score in zip(expected.joints, expected.positions, expected.scores, strict=True):
            near = [s for (k, px, py), s in got.items() if k == joint and abs(px - x) + abs(py - y) < 5e-3]
            assert near == [pytest.approx(score, abs=1e-4)]


def test_no_peak_at_all_leaves_one_empty_place() -> None:
    (found,) = run_nodes(lambda given: [nodes.find_peaks(given, 0.1, 127)], np.zeros((2, 3, 8, 8), np.float32))
    np.testing.assert_array_equal(found, np.zeros((2, 3, 1, 3)))


def test_the_highest_peaks_are_kept() -> None:
    maps = smooth_noise(np.random.default_rng(0), (1, 4, 40, 40))
    (found,) = run_nodes(lambda given: [nodes.find_peaks(given, 0.05, 6)], maps)
    expected = find_peaks(maps[0], 0.05, 6)
    assert found.shape == (1, 4, 6, 3)
    np.testing.assert_allclose(np.sort(found[..., 2].ravel()), np.sort(expected.scores), atol=1e-5)


@pytest.mark.parametrize("refinement", ["log-parabola", "quarter", "none"])
@pytest.mark.parametrize("size", [(12, 12), (2, 3), (1, 4)], ids=str)
def test_the_highest_cell_is_that_of_python(size: tuple[int, int], refinement: str) -> None:
    maps = smooth_noise(np.random.default_rng(size[1]), (3, 40, *size))
    maps[0, 0] = 0.5
    maps[0, 1].flat[-1] = np.nan
    points, heights = run_nodes(lambda given: list(nodes.argmax_keypoints(given, refinement)), maps)
    expected, confidence = argmax_keypoints(maps, refinement)
    np.testing.assert_allclose(points, expected, atol=1e-3)
    np.testing.assert_allclose(heights.clip(0, 1), confidence, atol=1e-6)


def test_values_between_cells_are_those_of_python() -> None:
    rng = np.random.default_rng(0)
    maps = rng.normal(size=(2, 3, 6, 9)).astype(np.float32)
    points = rng.uniform(-2, 10, (2, 20, 2)).astype(np.float32)
    (found,) = run_nodes(lambda maps, points: [nodes.values_at(maps, points)], maps, points)
    for row, image, some in zip(found, maps, points, strict=True):
        np.testing.assert_allclose(row, values_at(image, some), atol=1e-5)


@pytest.mark.parametrize(("threshold", "share"), [(0.05, 0.95), (0.0, 0.5), (0.3, 0.7)])
@pytest.mark.parametrize("size", [(30, 44), (9, 3)], ids=str)
def test_limbs_are_scored_as_in_python(size: tuple[int, int], threshold: float, share: float) -> None:
    rng, limbs = np.random.default_rng(size[0]), [(0, 1), (2, 1), (3, 0)]
    heatmaps = smooth_noise(rng, (2, 4, *size))
    angle = rng.uniform(0, 2 * np.pi, (2, 3, 1, 1))
    fields = np.stack([np.cos(angle), np.sin(angle)], axis=2) + rng.normal(0, 0.2, (2, 3, 2, *size))
    fields[:, 0] = rng.normal(0, 0.5, (2, 2, *size))
    pafs = fields.reshape(2, 6, *size).astype(np.float32)
    near = 0.123

    def build(heatmaps, pafs):
        peaks = nodes.find_peaks(heatmaps, 0.5, 127)
        return [peaks, score_limbs(pafs, peaks, limbs, LimbThresholds(threshold, share, near))]

    peaks, scores = run_nodes(build, heatmaps, pafs)
    for row, some, image, field in zip(peaks, scores, heatmaps, pafs, strict=True):
        found = find_peaks(image, 0.5)
        expected = connect(found, field, limbs, threshold, share, near)
        limb, i, j = np.nonzero(some)
        assert len(limb) == len(expected) > 0
        starts = row[np.array(limbs)[limb, 0], i, :2]
        ends = row[np.array(limbs)[limb, 1], j, :2]
        got = np.c_[limb, starts, ends, some[limb, i, j]]
        wanted = np.c_[
            expected.limbs, found.positions[expected.starts], found.positions[expected.ends], expected.scores
        ]
        order, other = (np.lexsort(np.round(values, 2).T[::-1]) for values in (got, wanted))
        np.testing.assert_allclose(got[order], wanted[other], atol=2e-3)
        assert {limbs[k] for k in limb} == {limbs[k] for k in expected.limbs}


@pytest.mark.parametrize("factors", [(1.0, 0.5), (1.0, 0.75, 0.5)], ids=str)
def test_maps_of_several_scales_are_averaged_as_in_python(factors: tuple[float, ...]) -> None:
    from cairn.inference.resolution import average_maps

    rng = np.random.default_rng(0)
    fits = [letterbox((150, 200), 256 * factor, 32) for factor in factors]
    maps = [rng.normal(size=(1, 3, height // 8, width // 8)).astype(np.float32) for _, (height, width) in fits]
    (mean,) = run_nodes(lambda *given: [_average(list(given), factors)], *maps)
    expected = average_maps([each[0] for each in maps], [affine for affine, _ in fits])
    np.testing.assert_allclose(mean[0], expected, atol=1e-5)
