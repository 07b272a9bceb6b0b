"""Matching equals brute force, and assembled people never have a joint twice."""

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.ops.grouping import Connections, Order, assemble, connect, match_exchange, match_greedy, match_hungarian
from cairn.ops.heatmaps import Peaks
from cairn.ops.pafs import render_pafs

SEEDS = st.integers(0, 2**32 - 1)


def connections_of(rows: list[tuple[int, int, int, float]]) -> Connections:
    limbs, starts, ends, scores = (np.array(column) for column in zip(*rows, strict=True))
    return Connections(limbs, starts, ends, *[scores.astype(np.float32)] * 3)


def random_connections(rng: np.random.Generator) -> Connections:
    """Some of the pairs of two limbs between peaks 0 to 3 and 4 to 7."""
    rows = [
        (limb, start, end, rng.uniform(0.1, 1))
        for limb in range(2)
        for start in range(4)
        for end in range(4, 8)
        if rng.random() < 0.6
    ]
    return connections_of([rows[i] for i in rng.permutation(len(rows))] or [(0, 0, 4, 0.5)])


def best_sum(scores: np.ndarray) -> float:
    """Maximum over all one-to-one assignments by brute force; scores (n, m) with n <= m."""
    rows = range(len(scores))
    return max(
        sum(scores[i, j] for i, j in zip(rows, way, strict=True))
        for way in permutations(range(scores.shape[1]), len(rows))
    )


@given(SEEDS)
def test_hungarian_matching_has_the_maximum_total_score_of_each_limb(seed: int) -> None:
    connections = random_connections(np.random.default_rng(seed))
    kept = match_hungarian(connections)
    for limb in range(2):
        mine = [i for i in kept.tolist() if connections.limbs[i] == limb]
        assert len({connections.starts[i] for i in mine}) == len({connections.ends[i] for i in mine}) == len(mine)
        scores = np.zeros((4, 4))
        of_limb = connections.limbs == limb
        scores[connections.starts[of_limb], connections.ends[of_limb] - 4] = connections.scores[of_limb]
        assert connections.scores[mine].sum() == pytest.approx(best_sum(scores), rel=1e-5)


@given(SEEDS)
def test_greedy_matching_takes_the_best_remaining_connection(seed: int) -> None:
    connections = random_connections(np.random.default_rng(seed))
    left = set(range(len(connections)))
    expected = set()
    while left:
        best = max(left, key=lambda i: connections.scores[i])
        expected.add(best)
        left = {
            i
            for i in left
            if connections.limbs[i] != connections.limbs[best]
            or (connections.starts[i] != connections.starts[best] and connections.ends[i] != connections.ends[best])
        }
    assert set(match_greedy(connections).tolist()) == expected


def test_greedy_and_hungarian_differ_on_a_known_case() -> None:
    connections = connections_of([(0, 0, 2, 0.9), (0, 0, 3, 0.8), (0, 1, 2, 0.8)])
    assert match_greedy(connections).tolist() == [0]
    assert match_hungarian(connections).tolist() == [1, 2]


@given(SEEDS)
def test_exchanges_never_lower_the_total_score_and_keep_limbs_apart(seed: int) -> None:
    connections = random_connections(np.random.default_rng(seed))
    greedy, better = match_greedy(connections), match_exchange(connections)
    sums = [connections.scores[kept].sum() for kept in (greedy, better, match_hungarian(connections))]
    assert sums[0] - 1e-5 <= sums[1] <= sums[2] + 1e-5
    for ends in (connections.starts, connections.ends):
        assert len(set(zip(connections.limbs[better], ends[better], strict=True))) == len(better)


def test_two_limbs_replace_a_stronger_one_but_not_for_weak_peaks_beside_its_parts() -> None:
    crossing = connections_of([(0, 0, 2, 0.9), (0, 0, 3, 0.8), (0, 1, 2, 0.8)])
    assert match_exchange(crossing).tolist() == [1, 2]
    weights = np.array([0.9, 0.8 * 0.3, 0.8 * 0.3], dtype=np.float32)  # peaks 1 and 3 are noise
    assert match_exchange(replace(crossing, weights=weights)).tolist() == [0]


def test_no_connections_give_no_people() -> None:
    nothing = connections_of([(0, 0, 1, 0.5)])[np.zeros(0, dtype=np.intp)]
    assert len(match_greedy(nothing)) == len(match_exchange(nothing)) == len(match_hungarian(nothing)) == 0
    person, holding = assemble(np.array([], dtype=int), nothing)
    assert len(person) == len(holding) == 0


@pytest.mark.parametrize("order", ["global", "limb"])
def test_limbs_that_share_a_part_are_one_person_in_any_order_of_limbs(order: Order) -> None:
    joints = np.array([0, 0, 1, 1, 2, 2, 3, 3])  # two people with a chain of four joints
    rows = [(0, 4, 6, 0.9), (0, 5, 7, 0.8), (1, 0, 2, 0.7), (1, 1, 3, 0.6), (2, 2, 4, 0.5), (2, 3, 5, 0.4)]
    person, holding = assemble(joints, connections_of(rows), order=order)
    assert holding.all()
    assert len({*person[::2]}) == len({*person[1::2]}) == 1
    assert person[0] != person[1]


@pytest.mark.parametrize("order", ["global", "limb"])
def test_no_person_gets_a_joint_twice(order: Order) -> None:
    joints = np.array([0, 0, 1, 2])
    rows = [(0, 0, 2, 0.9), (1, 2, 3, 0.8), (2, 1, 3, 0.7)]  # the last one would add a second joint 0
    person, holding = assemble(joints, connections_of(rows), order=order)
    assert person.tolist() == [0, -1, 0, 0]
    assert holding.tolist() == [True, True, False]


def test_a_redundant_limb_of_high_priority_takes_precedence_in_global_order() -> None:
    """A weak limb connects joint 2 to the wrong person; the stronger redundant limb 0-2 to the right one."""
    joints = np.array([0, 0, 1, 1, 2])
    rows = [(0, 0, 2, 0.9), (0, 1, 3, 0.9), (1, 3, 4, 0.3), (2, 0, 4, 0.8)]
    person, _ = assemble(joints, connections_of(rows), redundant=[2], order="global")
    assert person[4] == person[0]
    person, _ = assemble(joints, connections_of(rows), redundant=[2], order="limb")
    assert person[4] == person[1]


def test_redundant_limbs_only_fill_gaps_in_limb_order() -> None:
    joints = np.array([0, 1, 2, 3])
    rows = [(0, 0, 1, 0.5), (1, 1, 2, 0.9), (1, 2, 3, 0.9)]
    person, holding = assemble(joints, connections_of(rows[:2]), redundant=[1], order="limb")
    assert person.tolist() == [0, 0, 0, -1]
    person, holding = assemble(joints, connections_of(rows[2:]), redundant=[1], order="limb")
    assert person.tolist() == [-1, -1, -1, -1]
    assert not holding.any()


def test_equal_limbs_are_ranked_by_their_parts() -> None:
    positions = np.array([[4, 4], [9, 4], [4, 9]], np.float32)
    peaks = Peaks(np.array([0, 1, 1]), positions, np.array([0.9, 0.3, 0.8], np.float32))
    found = connect(peaks, np.full((2, 12, 12), 0.5, np.float32), [(0, 1)], 0.05, 0.95, 0.05)
    np.testing.assert_allclose(found.scores, 0.5, atol=1e-3)
    np.testing.assert_allclose(found.priorities, [0.5 + 0.1 * 1.2, 0.5 + 0.1 * 1.7], atol=1e-3)
    np.testing.assert_allclose(found.weights, [0.5 * 0.3, 0.5 * 0.8], atol=1e-3)
    assert match_greedy(found).tolist() == match_exchange(found).tolist() == match_hungarian(found).tolist() == [1]


@given(SEEDS)
def test_only_the_limbs_of_separate_people_are_connected(seed: int) -> None:
    rng = np.random.default_rng(seed)
    starts = np.stack([np.full(3, 4.0), [3.0, 12, 21]], axis=1) + rng.uniform(-0.5, 0.5, (3, 2))
    ends = starts + np.array([rng.uniform(5, 20), 0]) + rng.uniform(-1, 1, (3, 2))
    pafs = render_pafs(np.stack([starts, ends], axis=1), [(0, 1)], (26, 30), 1.0)
    order = rng.permutation(3)
    peaks = Peaks(
        np.repeat([0, 1], 3), np.concatenate([starts, ends[order]]).astype(np.float32), np.ones(6, np.float32)
    )
    found = connect(peaks, pafs, [(0, 1)], 0.05, 0.95, 0.05)
    assert {(a, int(order[b - 3])) for a, b in zip(found.starts.tolist(), found.ends.tolist(), strict=True)} == {
        (0, 0),
        (1, 1),
        (2, 2),
    }
    assert (found.scores > 0.8).all()


@given(SEEDS, st.floats(0.05, 2))
def test_a_limb_loses_score_beyond_the_free_length(seed: int, free_length: float) -> None:
    rng = np.random.default_rng(seed)
    points = rng.uniform(0, 19, (8, 2)).astype(np.float32)
    peaks = Peaks(np.repeat([0, 1], 4), points, np.ones(8, np.float32))
    pafs = rng.normal(0.5, 0.2, (2, 20, 30)).astype(np.float32)
    plain, found = (
        dict(zip(zip(c.starts.tolist(), c.ends.tolist(), strict=True), c.scores.tolist(), strict=True))
        for c in (connect(peaks, pafs, [(0, 1)], -1, 0, 0.05, *more) for more in ((), (free_length,)))
    )
    assert set(found) <= set(plain)
    for (a, b), score in plain.items():
        lower = score + min(free_length * 20 / np.linalg.norm(points[a] - points[b]) - 1, 0)
        assert found.get((a, b), 0) == pytest.approx(max(lower, 0), abs=1e-5)


def test_parts_closer_than_a_cell_are_connected_without_a_paf() -> None:
    peaks = Peaks(np.array([0, 1, 1]), np.array([[3.2, 3], [3.8, 3], [4.6, 3]], np.float32), np.ones(3, np.float32))
    found = connect(peaks, np.zeros((2, 8, 8), np.float32), [(0, 1)], 0.05, 0.95, 0.051)
    assert found.ends.tolist() == [1]
    assert found.scores[0] == pytest.approx(0.051)
