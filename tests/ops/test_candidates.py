"""The likely pairs hold every pair that the definition of the line integral accepts, and the scores are the same."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.ops import grouping
from cairn.ops.candidates import likely_pairs
from cairn.ops.grouping import connect
from cairn.ops.heatmaps import Peaks
from cairn.ops.pafs import line_integral, render_pafs
from cairn.ops.sectors import sectors_above

SEEDS = st.integers(0, 2**32 - 1)
THRESHOLDS = st.sampled_from([(0.05, 0.95), (0.05, 0.8), (0.01, 0.75), (0.3, 0.95), (0.0, 0.95), (-0.1, 0.9)])
LIMBS = ((0, 1), (2, 1), (1, 3), (3, 0))
SIZE = (27, 58)


def crowded(rng: np.random.Generator) -> tuple[Peaks, np.ndarray]:
    """Peaks of up to 12 people and of noise, and the noisy PAFs of limbs that may be wide and too long."""
    people = rng.uniform(0, [SIZE[1] - 1, SIZE[0] - 1], (int(rng.integers(1, 13)), 4, 2))
    if rng.random() < 0.5:  # small people: short limbs
        people = people[:, :1] + rng.normal(0, 3, people.shape)
    starts, ends = (people[:, [limb[side] for limb in LIMBS]] for side in (0, 1))
    beyond = rng.uniform(0, 2) * (ends - starts) / np.linalg.norm(ends - starts, axis=-1, keepdims=True)
    extended = np.stack([starts - beyond, ends + beyond], axis=2).reshape(len(people), -1, 2)
    pafs = render_pafs(extended, [(2 * limb, 2 * limb + 1) for limb in range(len(LIMBS))], SIZE, rng.uniform(0.5, 4))
    pafs += rng.normal(0, rng.choice([0, 0.02, 0.1]), pafs.shape).astype(np.float32)
    joints, positions = [], []
    for joint in range(4):
        noise = rng.uniform(-0.5, [SIZE[1] - 0.5, SIZE[0] - 0.5], (int(rng.integers(0, 9)), 2))
        placed = np.concatenate([people[rng.random(len(people)) < 0.9, joint], noise])
        joints += [joint] * len(placed)
        positions.append(placed)
    every = np.concatenate(positions).astype(np.float32)
    return Peaks(np.array(joints, dtype=np.intp), every, np.ones(len(joints), np.float32)), pafs


def all_pairs(joints: np.ndarray) -> list[tuple[int, int, int]]:
    return [
        (limb, a, b)
        for limb, (start, end) in enumerate(LIMBS)
        for a in np.flatnonzero(joints == start).tolist()
        for b in np.flatnonzero(joints == end).tolist()
    ]


def flows_by_definition(paf: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """PAF · direction at the samples of equation 11, in float64; `paf` (2, h, w)."""
    limits = np.array(SIZE[::-1]) - 1.0
    start, end = np.clip(start, 0, limits), np.clip(end, 0, limits)
    away = end - start
    length = max(math.hypot(*away), 1e-9)
    count = min(max(2 * math.floor(math.sqrt(10 * np.abs(away).max())) + 1, 5), 25)
    inset = min(0.25, length / 2) / length
    x, y = (start + np.linspace(inset, 1 - inset, count)[:, None] * away).T
    column, row = np.minimum(x.astype(int), SIZE[1] - 2), np.minimum(y.astype(int), SIZE[0] - 2)
    fx, fy = x - column, y - row
    upper = paf[:, row, column] * (1 - fx) + paf[:, row, column + 1] * fx
    lower = paf[:, row + 1, column] * (1 - fx) + paf[:, row + 1, column + 1] * fx
    return away @ (upper * (1 - fy) + lower * fy) / length


def score_by_definition(flows: np.ndarray, threshold: float, share: float) -> float:
    """The release's rule: the mean of the samples above the threshold, if they are more than a share of all."""
    above = flows[flows > threshold]
    return float(above.mean()) if len(above) > share * len(flows) else 0.0


@given(SEEDS, THRESHOLDS)
@settings(max_examples=25, deadline=None)
def test_no_pair_that_the_definition_accepts_is_missing(seed: int, thresholds: tuple[float, float]) -> None:
    threshold, share = thresholds
    peaks, pafs = crowded(np.random.default_rng(seed))
    found = likely_pairs(peaks.joints, peaks.positions, LIMBS, sectors_above(pafs, threshold), share)
    likely = set(zip(*(column.tolist() for column in found), strict=True))
    assert len(likely) == len(found[0])
    pairs = all_pairs(peaks.joints)
    assert likely <= set(pairs)
    points = peaks.positions.astype(np.float64)
    limb, start, end = np.array(pairs, dtype=np.intp).reshape(-1, 3).T
    sectors = sectors_above(pafs, threshold)
    scores = line_integral(pafs, limb, peaks.positions[start], peaks.positions[end], threshold, share, sectors)
    for (i, a, b), score in zip(pairs, scores.tolist(), strict=True):
        if math.dist(points[a], points[b]) < 0.999:
            assert (i, a, b) in likely
        # A sample that is at the threshold to rounding may fall on either side of it.
        flows = flows_by_definition(pafs[2 * i : 2 * i + 2], points[a], points[b])
        low, high = (score_by_definition(flows, threshold + shift, share) for shift in (1e-4, -1e-4))
        if low > 0 and high > 0:
            assert (i, a, b) in likely
            assert min(low, high) - 1e-3 < score < max(low, high) + 1e-3
        elif low == high == 0:
            assert score == 0


@given(SEEDS, THRESHOLDS)
@settings(max_examples=50, deadline=None)
def test_connections_are_the_same_with_and_without_the_table(seed: int, thresholds: tuple[float, float]) -> None:
    threshold, share = thresholds
    peaks, pafs = crowded(np.random.default_rng(seed))
    found = []
    for many in (0, 1 << 30):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(grouping, "MANY", many)
            found.append(connect(peaks, pafs, LIMBS, threshold, share, 0.05))
    for name in ("limbs", "starts", "ends", "scores", "priorities"):
        np.testing.assert_array_equal(getattr(found[0], name), getattr(found[1], name))


@given(SEEDS, st.sampled_from([0.95, 0.9, 0.75, 0.5]))
@settings(max_examples=25, deadline=None)
def test_no_pair_is_missing_where_single_samples_decide(seed: int, share: float) -> None:
    """One field for the whole map, with narrow holes: most lines have as many misses as they may, or one more."""
    rng = np.random.default_rng(seed)
    pafs = np.zeros((2, 12, 90), dtype=np.float32)
    pafs[:, :, rng.random(90) > rng.uniform(0, 0.5 * (1.1 - share))] = np.array([0.8, 0.3])[:, None, None]
    positions = rng.uniform(0, [89, 11], (160, 2)).astype(np.float32)
    joints = np.repeat([0, 1], 80)
    start, end = (indices.ravel() for indices in np.meshgrid(np.arange(80), np.arange(80, 160), indexing="ij"))
    scores = line_integral(pafs, np.zeros_like(start), positions[start], positions[end], 0.05, share)
    accepted = set(zip(start[scores > 0].tolist(), end[scores > 0].tolist(), strict=True))
    _, starts, ends = likely_pairs(joints, positions, [(0, 1)], sectors_above(pafs, 0.05), share)
    assert accepted <= set(zip(starts.tolist(), ends.tolist(), strict=True))


def test_most_pairs_of_separate_people_are_dropped() -> None:
    """Otherwise the test would be right but of no use."""
    columns = np.arange(3, 55, 8.0)
    people = np.stack([np.stack([columns, np.full(len(columns), y)], axis=1) for y in (3, 10, 17, 24)], axis=1)
    pafs = render_pafs(people, LIMBS, SIZE, 1.0)
    joints = np.repeat(np.arange(4), len(columns))
    positions = people.swapaxes(0, 1).reshape(-1, 2).astype(np.float32)
    found = likely_pairs(joints, positions, LIMBS, sectors_above(pafs, 0.05), 0.95)
    right = {(i, a * len(columns) + p, b * len(columns) + p) for i, (a, b) in enumerate(LIMBS) for p in range(7)}
    assert right <= set(zip(*(column.tolist() for column in found), strict=True))
    assert len(found[0]) < 0.6 * len(all_pairs(joints))


def test_many_lines_are_scored_as_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines are scored in blocks, and many after probes: the scores are the same."""
    peaks, pafs = crowded(np.random.default_rng(5))
    limb, start, end = np.array(all_pairs(peaks.joints), dtype=np.intp).T
    lines = limb, peaks.positions[start], peaks.positions[end]
    sectors = sectors_above(pafs, 0.05)
    expected = line_integral(pafs, *lines, 0.05, 0.95)
    assert (expected > 0).any()
    assert (expected == 0).any()
    times = 20_000 // len(limb) + 1
    many = np.tile(limb, times), np.tile(lines[1], (times, 1)), np.tile(lines[2], (times, 1))
    for table in (None, sectors):
        np.testing.assert_array_equal(line_integral(pafs, *many, 0.05, 0.95, table), np.tile(expected, times))


@pytest.mark.parametrize("size", [(1, 1), (1, 30), (30, 1), (2, 2)])
def test_maps_of_one_row_or_column(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(3)
    joints = np.repeat(np.arange(2), 40)
    positions = rng.uniform(-0.5, np.array(size[::-1]) - 0.5, (80, 2)).astype(np.float32)
    pafs = np.full((2, *size), np.sqrt(0.5), dtype=np.float32)
    limb, start, end = (indices.ravel() for indices in np.meshgrid([0], np.arange(40), np.arange(40, 80)))
    scores = line_integral(pafs, limb, positions[start], positions[end], 0.05, 0.95)
    accepted = set(zip(start[scores > 0].tolist(), end[scores > 0].tolist(), strict=True))
    _, starts, ends = likely_pairs(joints, positions, [(0, 1)], sectors_above(pafs, 0.05), 0.95)
    assert accepted <= set(zip(starts.tolist(), ends.tolist(), strict=True))


def test_no_peaks_and_no_limbs_have_no_pairs() -> None:
    nothing = np.zeros(0, dtype=np.intp), np.zeros((0, 2), dtype=np.float32)
    assert [len(column) for column in likely_pairs(*nothing, LIMBS, np.zeros((4, 5, 6), np.uint8), 0.95)] == [0] * 3
    one = np.zeros(1, dtype=np.intp), np.zeros((1, 2), dtype=np.float32)
    assert [len(column) for column in likely_pairs(*one, LIMBS, np.zeros((4, 5, 6), np.uint8), 0.95)] == [0] * 3
    assert [len(column) for column in likely_pairs(*one, (), np.zeros((0, 5, 6), np.uint8), 0.95)] == [0] * 3
