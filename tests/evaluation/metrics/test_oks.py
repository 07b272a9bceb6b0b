"""OKS AP against a brute-force version of COCO's protocol."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.datasets.checks.instance_checks import areas_fit, reference_areas
from cairn.datasets.labels import LabeledImage, Labels
from cairn.errors import LabelError, MissingExtra
from cairn.evaluation.metrics.oks import check_parallel, match, oks_metrics, similarity
from cairn.structures.annotation import Annotation
from cairn.structures.poses import Poses
from cairn.structures.skeleton import Skeleton

TOY = Skeleton("toy", ("a", "b", "c"), sigmas=(0.03, 0.05, 0.1))
THRESHOLDS = np.linspace(0.5, 0.95, 10)


def annotation(points: np.ndarray, visibility: np.ndarray, areas: np.ndarray, crowd: np.ndarray) -> Annotation:
    low, high = points.min(axis=1, initial=1e3), points.max(axis=1, initial=0)
    return Annotation(
        keypoints=np.where(visibility[..., None] > 0, points, np.nan).astype(np.float32),
        visibility=visibility.astype(np.uint8),
        boxes=np.concatenate([low, high - low], axis=1).astype(np.float32),
        areas=areas.astype(np.float32),
        crowd=crowd,
    )


def poses(points: np.ndarray, detected: np.ndarray, scores: np.ndarray) -> Poses:
    keypoints = np.where(detected[..., None], points, np.nan).astype(np.float32)
    return Poses(keypoints, detected.astype(np.float32), scores.astype(np.float32), TOY)


def labels(annotations: list[Annotation]) -> Labels:
    images = [LabeledImage(50 - i, Path(f"{i}.jpg"), (200, 300), rows) for i, rows in enumerate(annotations)]
    return Labels(TOY, tuple(images), np.ones(3, bool))


def random_case(seed: int) -> tuple[Labels, list[Poses]]:
    """Up to four instances in each of three images, with noisy, duplicate, missed and spurious predictions."""
    generator = np.random.default_rng(seed)
    annotations, predictions = [], []
    for _ in range(3):
        count = int(generator.integers(0, 5))
        points = generator.uniform(20, 190, (count, 3, 2))
        areas = generator.choice([400.0, 3000.0, 20000.0], count)
        visibility = generator.integers(0, 3, (count, 3))
        visibility[generator.random(count) < 0.2] = 0
        annotations.append(annotation(points, visibility, areas, generator.random(count) < 0.15))
        near = points + generator.normal(size=points.shape) * np.sqrt(areas)[:, None, None] * 0.06
        both = np.concatenate([near, near[:2] + 2.0, generator.uniform(20, 190, (int(generator.integers(0, 3)), 3, 2))])
        detected = generator.random(both.shape[:2]) < 0.9
        detected[:, 0] |= ~detected.any(axis=1)
        predictions.append(
            poses(both, detected, generator.permutation(len(both)) / 10 + generator.random(len(both)) / 100)
        )
    return labels(annotations), predictions


# The protocol, written with loops from COCO's description; it shares no code with the code under test.


def brute_oks(points: np.ndarray, detected: np.ndarray, rows: Annotation, j: int) -> float:
    labeled = rows.visibility[j] > 0
    x, y, width, height = rows.boxes[j].astype(float)
    total, used = 0.0, 0
    for k in range(3):
        if labeled.any() and not labeled[k]:
            continue
        used += 1
        if not detected[k]:
            continue
        if labeled.any():
            dx, dy = points[k].astype(float) - rows.keypoints[j, k].astype(float)
        else:  # a region to ignore: the distance to its box, doubled
            dx = max(0, x - width - points[k, 0], points[k, 0] - (x + 2 * width))
            dy = max(0, y - height - points[k, 1], points[k, 1] - (y + 2 * height))
        total += np.exp(-(dx**2 + dy**2) / (2 * float(rows.areas[j]) * (2 * TOY.sigmas[k]) ** 2))
    return total / used


def outcomes(
    labeled: Labels, predictions: list[Poses], threshold: float, min_area: float, max_area: float
) -> tuple[list[tuple[float, bool]], int]:
    """(score, right) of every prediction that counts, and the number of instances."""
    entries, total = [], 0
    for image, predicted in zip(labeled, predictions, strict=True):
        rows = image.annotation
        ignored = [
            bool(rows.crowd[j] or not rows.visibility[j].any() or not min_area <= rows.areas[j] <= max_area)
            for j in range(len(rows))
        ]
        total += ignored.count(False)
        taken: set[int] = set()
        for i in sorted(range(len(predicted)), key=lambda i: -predicted.scores[i])[:20]:
            best, partner = min(threshold, 1 - 1e-10), -1
            for j in sorted(range(len(rows)), key=lambda j: ignored[j]):  # regions to ignore come last
                if j in taken and not rows.crowd[j]:
                    continue
                if partner >= 0 and not ignored[partner] and ignored[j]:
                    break
                value = brute_oks(predicted.keypoints[i], predicted.detected[i], rows, j)
                if value >= best:
                    best, partner = value, j
            if partner >= 0:
                taken.add(partner)
                if not ignored[partner]:
                    entries.append((float(predicted.scores[i]), True))
            elif min_area <= np.prod(predicted.boxes[i, 2:].astype(float)) <= max_area:
                entries.append((float(predicted.scores[i]), False))
    return entries, total


def brute_metrics(labeled: Labels, predictions: list[Poses]) -> dict[str, float]:
    values = {}
    for suffix, min_area, max_area in (("", 0, 1e10), ("M", 32**2, 96**2), ("L", 96**2, 1e10)):
        precisions, recalls = [], []
        for threshold in THRESHOLDS:
            entries, total = outcomes(labeled, predictions, threshold, min_area, max_area)
            if total == 0:
                break
            right = np.cumsum([ok for _, ok in sorted(entries, key=lambda entry: -entry[0])])
            recall = right / total
            precision = right / np.arange(1, len(right) + 1)
            levels = [precision[recall >= level].max(initial=0.0) for level in np.linspace(0, 1, 101)]
            precisions.append(np.mean(levels))
            recalls.append(recall[-1] if len(recall) else 0.0)
        nothing = not precisions
        values["AP" + suffix] = float("nan") if nothing else 100 * float(np.mean(precisions))
        values["AR" + suffix] = float("nan") if nothing else 100 * float(np.mean(recalls))
        if not suffix:
            for name, i in (("50", 0), ("75", 5)):
                values["AP" + name] = float("nan") if nothing else 100 * float(precisions[i])
                values["AR" + name] = float("nan") if nothing else 100 * float(recalls[i])
    return values


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**9))
def test_metrics_equal_the_brute_force_protocol(seed: int) -> None:
    ground_truth, predictions = random_case(seed)
    expected, got = brute_metrics(ground_truth, predictions), oks_metrics(ground_truth, predictions)
    assert got.keys() == expected.keys()
    for name, value in expected.items():
        assert got[name] == pytest.approx(value, abs=1e-6, nan_ok=True), name


def perfect_predictions(ground_truth: Labels) -> Iterator[Poses]:
    for image in ground_truth:
        rows = image.annotation[image.annotation.labeled]
        yield poses(np.nan_to_num(rows.keypoints), rows.visibility > 0, np.linspace(1, 0.5, len(rows)))


@given(st.integers(0, 10**6))
@settings(max_examples=20, deadline=None)
def test_ground_truth_scores_100(seed: int) -> None:
    ground_truth, _ = random_case(seed)
    values = oks_metrics(ground_truth, list(perfect_predictions(ground_truth)))
    there = any(image.annotation.labeled.any() for image in ground_truth)
    assert values["AP"] == pytest.approx(100 if there else np.nan, nan_ok=True)
    assert values["AR"] == pytest.approx(100 if there else np.nan, nan_ok=True)


def test_no_predictions_score_0() -> None:
    ground_truth, _ = random_case(1)
    values = oks_metrics(ground_truth, [Poses.empty(TOY)] * len(ground_truth))
    assert values["AP"] == values["AR"] == 0


def test_predictions_in_a_region_to_ignore_do_not_count() -> None:
    points = np.array([[[50, 50], [60, 60], [70, 50]], [[150, 150], [160, 160], [170, 150]]], float)
    visibility = np.array([[2, 2, 2], [0, 0, 0]])
    ground_truth = labels([annotation(points, visibility, np.array([5000.0, 5000.0]), np.array([False, False]))])
    both = poses(points, np.ones((2, 3), bool), np.array([0.5, 0.9]))
    assert oks_metrics(ground_truth, [both])["AP"] == pytest.approx(100)
    elsewhere = poses(np.stack([points[0], points[0] + [0, 100]]), np.ones((2, 3), bool), np.array([0.5, 0.9]))
    assert oks_metrics(ground_truth, [elsewhere])["AP"] == pytest.approx(50)


def test_oks_uses_the_sigmas_of_the_skeleton() -> None:
    points = np.array([[[50, 50], [60, 60], [70, 50]]], float)
    ground_truth = labels([annotation(points, np.full((1, 3), 2), np.array([900.0]), np.array([False]))])
    off = poses(points + np.array([4, 0]), np.ones((1, 3), bool), np.ones(1))
    wide = Skeleton("toy", TOY.joints, sigmas=(0.5, 0.5, 0.5))
    lenient = Labels(wide, ground_truth.images, ground_truth.labeled_joints)
    assert oks_metrics(lenient, [off])["AP"] > oks_metrics(ground_truth, [off])["AP"]


@given(st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_similarity_and_match_equal_loops(seed: int) -> None:
    ground_truth, predictions = random_case(seed)
    for image, predicted in zip(ground_truth, predictions, strict=True):
        rows = image.annotation
        similarities = similarity(rows, predicted.keypoints, TOY.sigmas)
        for i in range(len(predicted)):
            for j in range(len(rows)):
                expected = brute_oks(predicted.keypoints[i], predicted.detected[i], rows, j) if rows.labeled[j] else 0
                assert similarities[i, j] == pytest.approx(expected, abs=1e-6)
        partner = match(rows, predicted)
        # An area that the instance cannot have is replaced: the pairs are those of the areas that it can have.
        rows = replace(rows, areas=np.where(areas_fit(rows), rows.areas, reference_areas(rows).astype(np.float32)))
        similarities = similarity(rows, predicted.keypoints, TOY.sigmas)
        pairs = [(int(i), j) for j, i in enumerate(partner) if i >= 0]
        assert len({i for i, _ in pairs}) == len(pairs)
        for i, j in pairs:  # the matching is stable
            assert similarities[i, j] >= 0.1
        for i in range(len(predicted)):
            for j in range(len(rows)):
                if similarities[i, j] < 0.1:
                    continue
                mine = similarities[i, partner.tolist().index(i)] if i in partner else -1
                theirs = similarities[partner[j], j] if partner[j] >= 0 else -1
                assert similarities[i, j] <= max(mine, theirs)


def test_predictions_need_one_entry_per_image_and_the_same_joints() -> None:
    ground_truth, predictions = random_case(2)
    with pytest.raises(LabelError, match="expected predictions for 3 labeled images, got 2"):
        check_parallel(ground_truth, predictions[:2])
    with pytest.raises(LabelError, match=r"joints of hand \(1\), the labels those of toy \(3\)"):
        check_parallel(ground_truth, [Poses.empty(Skeleton("hand", ("thumb",)))] * 3)


def test_a_missing_library_names_the_extra_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faster_coco_eval", None)
    ground_truth, predictions = random_case(2)
    with pytest.raises(MissingExtra, match=r"faster-coco-eval.*cairn-pose\[train\]"):
        oks_metrics(ground_truth, predictions)
