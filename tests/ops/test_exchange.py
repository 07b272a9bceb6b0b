"""Laws of pairwise exchange."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.ops.exchange import exchange

SEEDS = st.integers(0, 2**32 - 1)


def random_pairs(seed: int, count: int = 5) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Starts, ends and weights of some of all pairs, in random order."""
    rng = np.random.default_rng(seed)
    starts, ends = np.nonzero(rng.random((count, count)) < 0.6)
    order = rng.permutation(len(starts))
    return starts[order], ends[order], rng.uniform(0.1, 1, len(starts))


def greedy(starts: np.ndarray, ends: np.ndarray, weights: np.ndarray) -> np.ndarray:
    kept: list[int] = []
    for i in np.argsort(-weights):
        if starts[i] not in starts[kept] and ends[i] not in ends[kept]:
            kept.append(int(i))
    return np.array(kept, dtype=np.intp)


@given(SEEDS)
def test_the_result_is_a_matching_of_at_least_the_sum(seed: int) -> None:
    starts, ends, weights = random_pairs(seed)
    kept = greedy(starts, ends, weights)
    better = exchange(starts, ends, weights, kept)
    assert len(set(starts[better])) == len(set(ends[better])) == len(better)
    assert weights[better].sum() >= weights[kept].sum() - 1e-9


@given(SEEDS)
def test_no_two_pairs_are_worth_more_than_those_in_their_way(seed: int) -> None:
    starts, ends, weights = random_pairs(seed)
    better = exchange(starts, ends, weights, greedy(starts, ends, weights)).tolist()
    pairs = list(zip(starts.tolist(), ends.tolist(), strict=True))
    of_end = {pairs[i][1]: i for i in better}
    free = set(range(5)) - {pairs[i][0] for i in better}
    for rival in better:
        s, e = pairs[rival]
        for first, (start, end) in enumerate(pairs):
            if start != s or end == e:
                continue
            other = of_end.get(end)
            for beside in free if other is None else {pairs[other][0]}:
                if (beside, e) in pairs:
                    in_the_way = weights[rival] + (0 if other is None else weights[other])
                    assert weights[first] + weights[pairs.index((beside, e))] <= in_the_way + 1e-5


@pytest.mark.parametrize("other", [0.3, 0.0])
def test_two_right_pairs_replace_a_stronger_wrong_one(other: float) -> None:
    pairs = [(0, 1, 1.0), (0, 0, 0.9), (1, 1, 0.8)] + ([(1, 0, other)] if other else [])
    starts, ends, weights = (np.array(column) for column in zip(*pairs, strict=True))
    kept = greedy(starts, ends, weights)
    assert kept.tolist() == ([0, 3] if other else [0])
    assert exchange(starts, ends, weights, kept).tolist() == [1, 2]


def test_a_pair_stays_where_two_others_are_worth_less() -> None:
    starts, ends, weights = np.array([0, 0, 1]), np.array([1, 0, 1]), np.array([1.0, 0.4, 0.5])
    assert exchange(starts, ends, weights, np.array([0])).tolist() == [0]


def test_no_pairs_are_no_matching() -> None:
    nothing = np.zeros(0, dtype=np.intp)
    assert len(exchange(nothing, nothing, np.zeros(0), nothing)) == 0
