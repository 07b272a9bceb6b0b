"""Tracking metrics against cases counted by hand, and against an exhaustive search of all matchings."""

from itertools import pairwise, permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.datasets.labels import LabeledImage, Labels
from cairn.errors import LabelError
from cairn.evaluation.metrics.oks import similarity
from cairn.evaluation.metrics.tracking import measure_tracks
from cairn.structures.annotation import Annotation
from cairn.structures.poses import Poses
from cairn.structures.skeleton import Skeleton

DOT = Skeleton("dot", ("dot",), sigmas=(0.5,))  # with an area of 100: OKS is exp(-d²/200), 0.5 at 11.8 pixels

Frame = dict[int, float]
"""Track ID -> x coordinate."""


def labels_of(frames: list[Frame]) -> Labels:
    return Labels(
        DOT, tuple(LabeledImage(i, Path(f"{i}.jpg"), (9, 9), annotation_of(p)) for i, p in enumerate(frames)), 1
    )


def annotation_of(frame: Frame) -> Annotation:
    count = len(frame)
    points = np.array([[[x, 0]] for x in frame.values()], np.float32).reshape(count, 1, 2)
    return Annotation(
        keypoints=points,
        visibility=np.full((count, 1), 2, np.uint8),
        boxes=np.zeros((count, 4), np.float32),
        areas=np.full(count, 100, np.float32),
        crowd=np.zeros(count, bool),
        tracks=np.array(list(frame), np.int64),
    )


def poses_of(frame: Frame) -> Poses:
    count = len(frame)
    points = np.array([[[x, 0]] for x in frame.values()], np.float32).reshape(count, 1, 2)
    ids = np.array(list(frame), np.int64)
    return Poses(points, np.ones((count, 1), np.float32), np.ones(count, np.float32), DOT, ids)


def metrics(annotated: list[Frame], predicted: list[Frame]) -> dict[str, float]:
    return vars(measure_tracks(labels_of(annotated), [poses_of(p) for p in predicted]))


def counts(annotated: list[Frame], predicted: list[Frame]) -> tuple[float, ...]:
    got = metrics(annotated, predicted)
    return tuple(got[name] for name in ("misses", "false_positives", "switches", "fragmentations"))


def test_perfect_tracks_score_100() -> None:
    images = [{0: 0.0, 1: 50.0}] * 3
    got = metrics(images, [{4: 0.0, 9: 50.0}] * 3)
    assert (got["instances"], got["predictions"], got["mota"], got["motp"]) == (6, 6, 100, 100)
    assert (got["idf1"], got["idp"], got["idr"]) == (100, 100, 100)


def test_exchanged_ids_count_two_switches() -> None:
    annotated = [{0: 0.0, 1: 50.0}] * 4
    predicted = [{4: 0.0, 9: 50.0}] + [{9: 0.0, 4: 50.0}] * 3
    assert counts(annotated, predicted) == (0, 0, 2, 0)
    got = metrics(annotated, predicted)
    assert got["mota"] == pytest.approx(100 * (1 - 2 / 8))
    assert got["idf1"] == pytest.approx(75)  # six of eight have the ID that the instance has most often


def test_a_track_that_resumes_with_another_id_is_one_switch_and_one_fragmentation() -> None:
    annotated = [{0: 0.0}] * 5
    assert counts(annotated, [{4: 0.0}, {4: 0.0}, {}, {5: 0.0}, {5: 0.0}]) == (1, 0, 1, 1)
    got = metrics(annotated, [{4: 0.0}, {4: 0.0}, {}, {5: 0.0}, {5: 0.0}])
    assert (got["mota"], got["idp"], got["idr"]) == pytest.approx((60, 50, 40))
    assert got["idf1"] == pytest.approx(100 * 2 * 2 / 9)


def test_a_match_of_the_previous_frame_is_kept_though_another_is_nearer() -> None:
    annotated = [{0: 0.0}, {0: 0.0}]
    assert counts(annotated, [{4: 0.0}, {4: 8.0, 5: 1.0}]) == (0, 1, 0, 0)
    assert counts(annotated, [{4: 0.0}, {4: 12.0, 5: 1.0}]) == (0, 1, 1, 0)


def test_false_positives_lower_precision_only() -> None:
    got = metrics([{0: 0.0}] * 2, [{1: 0.0, 2: 90.0}] * 2)
    assert (got["false_positives"], got["misses"], got["mota"], got["idr"], got["idp"]) == (2, 0, 0, 100, 50)


def test_instances_without_track_and_predictions_without_id_are_ignored() -> None:
    annotated, predicted = [{0: 0.0, -1: 50.0}] * 2, [{1: 0.0, -1: 90.0}] * 2
    got = metrics(annotated, predicted)
    assert (got["instances"], got["predictions"], got["mota"]) == (2, 2, 100)
    nothing = metrics([{0: 0.0}], [{-1: 0.0}])
    assert (nothing["misses"], nothing["idr"], nothing["idf1"]) == (1, 0, 0)
    assert np.isnan(nothing["motp"])
    assert np.isnan(nothing["idp"])


def exhaustive(annotated: list[Frame], predicted: list[Frame]) -> dict[str, float]:
    frames = []  # of pairs (track, ID) -> OKS
    for labeled, tracked in zip(annotated, predicted, strict=True):
        oks = similarity(annotation_of(labeled), poses_of(tracked).keypoints, DOT.sigmas)
        frames.append({(t, h): oks[j, i] for i, t in enumerate(labeled) for j, h in enumerate(tracked)})
    misses = false = switches = fragments = 0
    history: dict[int, list[int | None]] = {}
    before: set[tuple[int, int]] = set()
    for labeled, tracked, oks in zip(annotated, predicted, frames, strict=True):
        kept = {pair for pair in before if oks.get(pair, 0) >= 0.5}
        tracks = [t for t in labeled if t not in {pair[0] for pair in kept}]
        free = [h for h in tracked if h not in {pair[1] for pair in kept}] + [None] * len(tracks)
        best, best_value = [], (-1, -1.0)
        for way in set(permutations(free, len(tracks))):
            pairs = [(t, h) for t, h in zip(tracks, way, strict=True) if h is not None]
            if all(oks[pair] >= 0.5 for pair in pairs):
                value = (len(pairs), sum(oks[pair] for pair in pairs))
                best, best_value = (pairs, value) if value > best_value else (best, best_value)
        before = kept | set(best)
        misses += len(labeled) - len(before)
        false += len(tracked) - len(before)
        for t in labeled:
            history.setdefault(t, []).append(dict(before).get(t))
    for ids in history.values():
        known = [h for h in ids if h is not None]
        switches += sum(a != b for a, b in pairwise(known))
        text = "".join("x" if h is not None else "." for h in ids).strip(".")
        fragments += len(text.replace(".", " ").split()) - 1 if text else 0
    tracks = sorted({t for p in annotated for t in p})
    ids = sorted({h for p in predicted for h in p}) + [None] * len(tracks)
    own = max(
        sum(oks.get(pair, 0) >= 0.5 for oks in frames for pair in zip(tracks, way, strict=True))
        for way in set(permutations(ids, len(tracks)))
    )
    instances, num_predicted = sum(map(len, annotated)), sum(map(len, predicted))
    return {
        "misses": misses,
        "false_positives": false,
        "switches": switches,
        "fragmentations": fragments,
        "mota": 100 * (1 - (misses + false + switches) / instances),
        "idf1": 100 * 2 * own / (instances + num_predicted),
    }


@given(st.integers(0, 2**32 - 1))
def test_equals_an_exhaustive_search(seed: int) -> None:
    rng = np.random.default_rng(seed)

    def frame(num_ids: int, max_count: int) -> Frame:
        ids = rng.permutation(num_ids)[: rng.integers(0, max_count + 1)]
        return {int(number): float(rng.uniform(0, 30)) for number in ids}

    annotated = [{0: 5.0}, *(frame(3, 3) for _ in range(5))]
    predicted = [frame(4, 3) for _ in range(6)]
    got = metrics(annotated, predicted)
    for name, value in exhaustive(annotated, predicted).items():
        assert got[name] == pytest.approx(value), name


def test_missing_and_duplicate_ids_are_errors() -> None:
    labels = labels_of([{0: 0.0}])
    with pytest.raises(LabelError, match=r"0\.jpg have no track IDs"):
        measure_tracks(labels, [Poses.empty(DOT)])
    twice = poses_of({1: 0.0, 2: 0.0})
    twice.ids[:] = 7
    with pytest.raises(LabelError, match=r"predictions of 0\.jpg have track ID 7 twice"):
        measure_tracks(labels, [twice])
    with pytest.raises(LabelError, match="no instance with a track"):
        measure_tracks(labels_of([{-1: 0.0}]), [poses_of({1: 0.0})])
    with pytest.raises(LabelError, match="expected predictions for 1 labeled images, got 2"):
        measure_tracks(labels, [poses_of({})] * 2)
