"""HOTA of cases counted by hand, and its laws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.evaluation.metrics.hota import Frame, hota


def frame(tracks: list[int], ids: list[int], pairs: dict[tuple[int, int], float]) -> Frame:
    near = np.array([[pairs.get((t, i), 0.0) for i in ids] for t in tracks]).reshape(len(tracks), len(ids))
    return np.array(tracks, np.int64), np.array(ids, np.int64), near


def test_perfect_tracks_score_100_and_nothing_0() -> None:
    whole = hota([frame([0, 1], [7, 9], {(0, 7): 1, (1, 9): 1})] * 4)
    assert (whole.hota, whole.deta, whole.assa, whole.loca) == (100, 100, 100, 100)
    assert hota([frame([0], [], {})] * 3).hota == 0


def test_a_track_in_two_halves_has_half_the_association() -> None:
    halves = [frame([0], [1], {(0, 1): 1})] * 4 + [frame([0], [2], {(0, 2): 1})] * 4
    result = hota(halves)
    assert result.deta == 100
    assert result.assa == pytest.approx(50)
    assert result.hota == pytest.approx(100 * np.sqrt(0.5))


def test_a_false_positive_in_every_frame_halves_the_detection() -> None:
    result = hota([frame([0], [1, 2], {(0, 1): 1})] * 5)
    assert result.deta == pytest.approx(50)
    assert result.assa == 100


def test_similarity_counts_at_the_thresholds_below_it() -> None:
    result = hota([frame([0], [1], {(0, 1): 0.5})] * 3)
    assert result.hota == pytest.approx(100 * 10 / 19)  # 0.05 to 0.5
    assert result.deta == pytest.approx(100 * 10 / 19)


@given(st.integers(0, 2**32 - 1))
def test_names_of_ids_and_order_of_rows_change_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    frames, renamed = [], []
    names = rng.permutation(50)
    for _ in range(5):
        tracks, ids = rng.permutation(4)[: rng.integers(1, 5)], rng.permutation(5)[: rng.integers(1, 6)]
        near = rng.random((len(tracks), len(ids)))
        order = rng.permutation(len(ids))
        frames.append((tracks, ids, near))
        renamed.append((tracks, names[ids][order], near[:, order]))
    assert hota(renamed).hota == pytest.approx(hota(frames).hota)
