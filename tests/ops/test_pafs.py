"""Part affinity fields: rendering and line integrals equal the paper's definitions."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.ops.pafs import line_integral, render_pafs

SEEDS = st.integers(0, 2**32 - 1)
LIMBS = ((0, 1), (2, 1))


@given(SEEDS, st.floats(0.3, 2.5), st.booleans())
def test_pafs_equal_the_definition_of_the_paper_at_every_cell(seed: int, width: float, whole: bool) -> None:
    rng = np.random.default_rng(seed)
    keypoints = rng.uniform(-4, 14, (4, 3, 2))
    if whole:  # horizontal and vertical limbs, cells on edges, limbs of length 0
        keypoints, width = np.round(keypoints / 3), 1.0
    keypoints[rng.random((4, 3)) < 0.2] = np.nan
    fields = render_pafs(keypoints, LIMBS, (9, 12), width)
    assert fields.shape == (4, 9, 12)
    assert fields.dtype == np.float32
    for limb, y, x in np.ndindex(2, 9, 12):
        vectors = []
        for person in keypoints:
            (ax, ay), (bx, by) = person[LIMBS[limb][0]], person[LIMBS[limb][1]]
            length = math.hypot(bx - ax, by - ay)
            if not length > 0:
                continue
            vx, vy = (bx - ax) / length, (by - ay) / length
            along, across = vx * (x - ax) + vy * (y - ay), -vy * (x - ax) + vx * (y - ay)
            if -1e-9 <= along <= length + 1e-9 and abs(across) <= width + 1e-9:
                vectors.append((vx, vy))
        expected = np.mean(vectors, axis=0) if vectors else np.zeros(2)
        np.testing.assert_allclose(fields[2 * limb : 2 * limb + 2, y, x], expected, atol=1e-6)


def test_pafs_of_no_instances_and_of_no_limbs_are_empty() -> None:
    assert not render_pafs(np.zeros((0, 3, 2)), LIMBS, (4, 5), 1.0).any()
    assert render_pafs(np.zeros((0, 3, 2)), LIMBS, (4, 5), 1.0).shape == (4, 4, 5)
    assert render_pafs(np.zeros((2, 3, 2)), (), (4, 5), 1.0).shape == (0, 4, 5)


@given(SEEDS, st.integers(1, 40), st.integers(1, 40))
def test_the_integral_of_a_constant_paf_is_the_cosine(seed: int, height: int, width: int) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(2, 2))  # (L, 2)
    pafs = np.broadcast_to(vectors.reshape(4, 1, 1), (4, height, width))
    starts, ends = rng.uniform(0, 1, (2, 30, 2)) * [width - 1, height - 1]
    limb = rng.integers(0, 2, 30)
    away = ends - starts
    lengths = np.linalg.norm(away, axis=1)
    expected = np.where(lengths > 0, (away * vectors[limb]).sum(axis=1) / np.maximum(lengths, 1e-12), 0)
    found = line_integral(pafs, limb, starts, ends)
    np.testing.assert_allclose(found, expected, atol=1e-3)
    # With a threshold: the same where the product is above it, 0 elsewhere.
    np.testing.assert_allclose(
        line_integral(pafs, limb, starts, ends, 0.3, 0.5)[np.abs(expected - 0.3) > 1e-3],
        np.where(expected > 0.3, expected, 0)[np.abs(expected - 0.3) > 1e-3],
        atol=1e-3,
    )


@given(SEEDS, st.sampled_from([0.95, 0.75, 0.5]))
@settings(max_examples=20)
def test_the_integral_counts_the_samples_above_the_threshold(seed: int, share: float) -> None:
    """Against a loop over samples; the PAFs are smooth, so many lines match for a part of their length."""
    rng = np.random.default_rng(seed)
    blocks = rng.normal(size=(2, 4, 5)) * (rng.random((4, 5)) < 0.7)
    pafs = np.repeat(np.repeat(blocks, 7, axis=1), 7, axis=2).astype(np.float32)
    starts, ends = rng.uniform(0, 1, (2, 200, 2)) * np.array([34, 27])
    found = line_integral(pafs, np.zeros(200, dtype=np.intp), starts, ends, 0.1, share)
    differs = 0
    for m, (start, end) in enumerate(zip(starts, ends, strict=True)):
        away = end - start
        length = float(np.linalg.norm(away))
        count = min(max(2 * math.floor(math.sqrt(10 * np.abs(away).max())) + 1, 5), 25)
        inset = min(0.25, length / 2) / length
        flows = []
        for u in np.linspace(inset, 1 - inset, count):
            x, y = start + u * away
            i, j = min(int(y), 26), min(int(x), 33)
            fy, fx = y - i, x - j
            corners = pafs[:, i : i + 2, j : j + 2]
            vector = corners @ [1 - fx, fx] @ [1 - fy, fy]
            flows.append(vector @ away / length)
        above = [flow for flow in flows if flow > 0.1]
        expected = np.mean(above) if len(above) > share * count else 0
        differs += abs(found[m] - expected) > 1e-3  # a sample at the threshold may fall either way
    assert differs <= 4
    # Many pairs are scored in blocks, after a test where the PAF is long enough at all: with the same result.
    many = np.zeros(20_000, dtype=np.intp)
    again = line_integral(pafs, many, np.tile(starts, (100, 1)), np.tile(ends, (100, 1)), 0.1, share)
    np.testing.assert_array_equal(again, np.tile(found, 100))


@given(SEEDS, st.sampled_from([0.4, 0.5, 0.75]))
@settings(max_examples=20)
def test_a_sample_of_a_short_line_that_is_probed_twice_misses_once(seed: int, share: float) -> None:
    """Many lines are probed before their integral, few are not: the scores are the same."""
    rng = np.random.default_rng(seed)
    pafs = np.ones((2, 10, 60), dtype=np.float32)
    pafs[:, :, rng.random(60) < 0.4] = 0
    starts = rng.uniform([1, 4], [50, 5], (2000, 2))
    ends = starts + np.stack([rng.uniform(0.5, 6, 2000), rng.uniform(0, 0.5, 2000)], axis=1)
    limb = np.zeros(2000, dtype=np.intp)
    few = [
        line_integral(pafs, limb[:100], starts[i : i + 100], ends[i : i + 100], 0.3, share) for i in range(0, 2000, 100)
    ]
    np.testing.assert_array_equal(line_integral(pafs, limb, starts, ends, 0.3, share), np.concatenate(few))
    assert (few[0] > 0).any()


def test_points_outside_and_nan_are_handled() -> None:
    pafs = np.full((2, 6, 7), np.nan, dtype=np.float32)
    starts, ends = np.array([[-1.0, -1], [0, 0], [3, 3]]), np.array([[8.0, 8], [6, 5], [3, 3]])
    limb = np.zeros(3, dtype=np.intp)
    assert line_integral(pafs, limb, starts, ends, 0.05, 0.95).tolist() == [0, 0, 0]
    pafs[:] = np.sqrt(0.5)
    np.testing.assert_allclose(line_integral(pafs, limb, starts, ends), [1, 11 / np.sqrt(122), 0], atol=0.01)
    assert line_integral(pafs, limb[:0], starts[:0], ends[:0]).shape == (0,)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_samples_that_are_no_number_or_negative_infinity_miss(bad: float) -> None:
    pafs = np.zeros((2, 6, 60), dtype=np.float32)
    pafs[0] = 0.5
    pafs[0, :, 30] = bad
    limb, starts, ends = np.zeros(2, dtype=np.intp), np.array([[2.0, 2], [2, 2]]), np.array([[57.0, 2], [20, 2]])
    strict, lenient = (line_integral(pafs, limb, starts, ends, 0.05, share) for share in (0.95, 0.5))
    assert strict[1] == lenient[1] == pytest.approx(0.5)
    if bad != np.inf:
        assert lenient[0] == pytest.approx(0.5)  # the mean of the others
