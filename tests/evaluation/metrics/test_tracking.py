"""Figures of identities against cases counted by hand, and against all matchings tried one by one."""

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

Image = dict[int, float]
"""Who is where, in one dimension."""


def labels_of(images: list[Image]) -> Labels:
    return Labels(DOT, tuple(LabeledImage(i, Path(f"{i}.jpg"), (9, 9), truth(p)) for i, p in enumerate(images)), 1)


def truth(image: Image) -> Annotation:
    count = len(image)
    points = np.array([[[x, 0]] for x in image.values()], np.float32).reshape(count, 1, 2)
    return Annotation(
        keypoints=points,
        visibility=np.full((count, 1), 2, np.uint8),
        boxes=np.zeros((count, 4), np.float32),
        areas=np.full(count, 100, np.float32),
        crowd=np.zeros(count, bool),
        tracks=np.array(list(image), np.int64),
    )


def finds_of(image: Image) -> Poses:
    count = len(image)
    points = np.array([[[x, 0]] for x in image.values()], np.float32).reshape(count, 1, 2)
    ids = np.array(list(image), np.int64)
    return Poses(points, np.ones((count, 1), np.float32), np.ones(count, np.float32), DOT, ids)


def figures(truths: list[Image], finds: list[Image]) -> dict[str, float]:
    return vars(measure_tracks(labels_of(truths), [finds_of(p) for p in finds]))


def counts(truths: list[Image], finds: list[Image]) -> tuple[float, ...]:
    got = figures(truths, finds)
    return tuple(got[name] for name in ("misses", "false_positives", "switches", "fragmentations"))


def test_perfect() -> None:
    images = [{0: 0.0, 1: 50.0}] * 3
    got = figures(images, [{4: 0.0, 9: 50.0}] * 3)
    assert (got["objects"], got["found"], got["mota"], got["motp"]) == (6, 6, 100, 100)
    assert (got["idf1"], got["idp"], got["idr"]) == (100, 100, 100)


def test_two_that_change_their_ids_count_two_switches() -> None:
    truths = [{0: 0.0, 1: 50.0}] * 4
    finds = [{4: 0.0, 9: 50.0}] + [{9: 0.0, 4: 50.0}] * 3
    assert counts(truths, finds) == (0, 0, 2, 0)
    got = figures(truths, finds)
    assert got["mota"] == pytest.approx(100 * (1 - 2 / 8))
    assert got["idf1"] == pytest.approx(75)  # six of eight are those of the id that an object has most often


def test_lost_and_found_under_another_id() -> None:
    truths = [{0: 0.0}] * 5
    assert counts(truths, [{4: 0.0}, {4: 0.0}, {}, {5: 0.0}, {5: 0.0}]) == (1, 0, 1, 1)
    got = figures(truths, [{4: 0.0}, {4: 0.0}, {}, {5: 0.0}, {5: 0.0}])
    assert (got["mota"], got["idp"], got["idr"]) == pytest.approx((60, 50, 40))
    assert got["idf1"] == pytest.approx(100 * 2 * 2 / 9)


def test_what_was_matched_stays_matched_though_another_is_nearer() -> None:
    truths = [{0: 0.0}, {0: 0.0}]
    assert counts(truths, [{4: 0.0}, {4: 8.0, 5: 1.0}]) == (0, 1, 0, 0)
    assert counts(truths, [{4: 0.0}, {4: 12.0, 5: 1.0}]) == (0, 1, 1, 0)


def test_ghosts_cost_precision_and_no_more() -> None:
    got = figures([{0: 0.0}] * 2, [{1: 0.0, 2: 90.0}] * 2)
    assert (got["false_positives"], got["misses"], got["mota"], got["idr"], got["idp"]) == (2, 0, 0, 100, 50)


def test_without_a_track_or_an_id_nothing_counts() -> None:
    truths, finds = [{0: 0.0, -1: 50.0}] * 2, [{1: 0.0, -1: 90.0}] * 2
    got = figures(truths, finds)
    assert (got["objects"], got["found"], got["mota"]) == (2, 2, 100)
    nothing = figures([{0: 0.0}], [{-1: 0.0}])
    assert (nothing["misses"], nothing["idr"], nothing["idf1"]) == (1, 0, 0)
    assert np.isnan(nothing["motp"])
    assert np.isnan(nothing["idp"])


def by_trying_all(truths: list[Image], finds: list[Image]) -> dict[str, float]:
    images = []  # of pairs (track, id) -> OKS
    for labeled, found in zip(truths, finds, strict=True):
        alike = similarity(truth(labeled), finds_of(found).keypoints, DOT.sigmas)
        images.append({(t, h): alike[j, i] for i, t in enumerate(labeled) for j, h in enumerate(found)})
    misses = false = switches = fragments = 0
    history: dict[int, list[int | None]] = {}
    before: set[tuple[int, int]] = set()
    for labeled, found, alike in zip(truths, finds, images, strict=True):
        kept = {pair for pair in before if alike.get(pair, 0) >= 0.5}
        tracks = [t for t in labeled if t not in {pair[0] for pair in kept}]
        free = [h for h in found if h not in {pair[1] for pair in kept}] + [None] * len(tracks)
        best, most = [], (-1, -1.0)
        for way in set(permutations(free, len(tracks))):
            pairs = [(t, h) for t, h in zip(tracks, way, strict=True) if h is not None]
            if all(alike[pair] >= 0.5 for pair in pairs):
                worth = (len(pairs), sum(alike[pair] for pair in pairs))
                best, most = (pairs, worth) if worth > most else (best, most)
        before = kept | set(best)
        misses += len(labeled) - len(before)
        false += len(found) - len(before)
        for t in labeled:
            history.setdefault(t, []).append(dict(before).get(t))
    for ids in history.values():
        known = [h for h in ids if h is not None]
        switches += sum(a != b for a, b in pairwise(known))
        text = "".join("x" if h is not None else "." for h in ids).strip(".")
        fragments += len(text.replace(".", " ").split()) - 1 if text else 0
    tracks = sorted({t for p in truths for t in p})
    ids = sorted({h for p in finds for h in p}) + [None] * len(tracks)
    own = max(
        sum(alike.get(pair, 0) >= 0.5 for alike in images for pair in zip(tracks, way, strict=True))
        for way in set(permutations(ids, len(tracks)))
    )
    objects, found_in_all = sum(map(len, truths)), sum(map(len, finds))
    return {
        "misses": misses,
        "false_positives": false,
        "switches": switches,
        "fragmentations": fragments,
        "mota": 100 * (1 - (misses + false + switches) / objects),
        "idf1": 100 * 2 * own / (objects + found_in_all),
    }


@given(st.integers(0, 2**32 - 1))
def test_as_all_matchings_tried_one_by_one(seed: int) -> None:
    rng = np.random.default_rng(seed)

    def image(numbers: int, most: int) -> Image:
        chosen = rng.permutation(numbers)[: rng.integers(0, most + 1)]
        return {int(number): float(rng.uniform(0, 30)) for number in chosen}

    truths = [{0: 5.0}, *(image(3, 3) for _ in range(5))]
    finds = [image(4, 3) for _ in range(6)]
    got = figures(truths, finds)
    for name, value in by_trying_all(truths, finds).items():
        assert got[name] == pytest.approx(value), name


def test_what_cannot_be_compared_is_told() -> None:
    labels = labels_of([{0: 0.0}])
    with pytest.raises(LabelError, match=r"0\.jpg have no ids"):
        measure_tracks(labels, [Poses.empty(DOT)])
    twice = finds_of({1: 0.0, 2: 0.0})
    twice.ids[:] = 7
    with pytest.raises(LabelError, match=r"predictions of 0\.jpg have the number 7 twice"):
        measure_tracks(labels, [twice])
    with pytest.raises(LabelError, match="no object with a track"):
        measure_tracks(labels_of([{-1: 0.0}]), [finds_of({1: 0.0})])
    with pytest.raises(LabelError, match="as many predictions, got 2"):
        measure_tracks(labels, [finds_of({})] * 2)
