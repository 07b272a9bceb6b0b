"""The pruned search equals the comparison of all pairs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.datasets import near_duplicates
from cairn.datasets.near_duplicates import Components, join_similar, most_similar

THRESHOLD = 0.9


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some hundred vectors take every path that 100,000 take: projection, many blocks, parts of blocks."""
    for name, value in {"COMPONENTS": 4, "BLOCK": 8, "MAX_SAMPLE": 30, "MAX_COMPARED": 50}.items():
        monkeypatch.setattr(near_duplicates, name, value)


def vectors_of(count: int, seed: int, spread: float) -> np.ndarray:
    """(count, 12) vectors around 20 directions, some of them 0; a smaller spread makes more of them similar."""
    rng = np.random.default_rng(seed)
    centers = np.random.default_rng(0).normal(size=(20, 12)) * np.geomspace(1, 0.1, 12)
    vectors = centers[rng.integers(0, 20, count)] + spread * rng.normal(size=(count, 12))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors[rng.random(count) < 0.1] = 0
    return vectors.astype(np.float32)


def away_from_threshold(similarity: np.ndarray) -> bool:
    return bool((np.abs(similarity - THRESHOLD) > 1e-5).all())


def components_of(similar: np.ndarray) -> np.ndarray:
    """(N,) the first member of the component of each item."""
    if not len(similar):
        return np.zeros(0, int)
    reached = similar | np.eye(len(similar), dtype=bool)
    while (more := (reached.astype(int) @ reached) > 0).sum() > reached.sum():
        reached = more
    return reached.argmax(axis=1)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 150), st.integers(0, 999), st.sampled_from([0.02, 0.1, 0.2, 0.4]))
def test_components_are_those_of_all_pairs(count: int, seed: int, spread: float) -> None:
    vectors = vectors_of(count, seed, spread)
    similarity = vectors.astype(np.float64) @ vectors.T
    if not away_from_threshold(similarity):
        return
    components = Components(count)
    join_similar(components, vectors, THRESHOLD)
    assert components.first(np.arange(count)).tolist() == components_of(similarity >= THRESHOLD).tolist()


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 120), st.integers(0, 120), st.integers(0, 999), st.sampled_from([0.02, 0.1, 0.2, 0.4]))
def test_most_similar_is_that_of_all_pairs(count: int, others: int, seed: int, spread: float) -> None:
    a, b = vectors_of(count, seed, spread), vectors_of(others, seed + 1, spread)
    similarity = a.astype(np.float64) @ b.T
    if not away_from_threshold(similarity):
        return
    index, value = most_similar(a, b, THRESHOLD)
    highest = similarity.max(axis=1, initial=-1)
    assert value == pytest.approx(np.where(highest >= THRESHOLD, highest, 0), abs=1e-5)
    found = np.flatnonzero(value)
    assert similarity[found, index[found]] == pytest.approx(highest[found], abs=1e-5)


@given(st.lists(st.lists(st.integers(0, 29), min_size=1, max_size=4), max_size=25))
def test_joined_items_share_the_first_one(groups: list[list[int]]) -> None:
    components = Components(30)
    together = np.zeros((30, 30), bool)
    for members in groups:
        components.join(np.array(members))
        together[np.ix_(members, members)] = True
    assert components.first(np.arange(30)).tolist() == components_of(together).tolist()


def test_blocks_that_cannot_be_similar_are_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[int] = []
    parts = near_duplicates._parts

    def counted(positions: np.ndarray, rows: int) -> list[np.ndarray]:
        compared.append(len(positions) * rows)
        return parts(positions, rows)

    monkeypatch.setattr(near_duplicates, "_parts", counted)
    join_similar(Components(2000), vectors_of(2000, 0, 0.02), THRESHOLD)
    assert sum(compared) < 2000**2 / 4
