"""The AUC of visibility against counting pairs one by one."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.datasets.labels import LabeledImage, Labels
from cairn.evaluation.evaluate import measure
from cairn.evaluation.metrics.summary import VISIBILITY_AUC, headline, metrics
from cairn.evaluation.metrics.visibility import auc, measure_visibility
from cairn.structures.annotation import Annotation
from cairn.structures.poses import Poses
from support.fake_network import TOTEM


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), levels=st.sampled_from([2, 5, 1000]))
def test_the_auc_is_the_share_of_ordered_pairs_with_ties_as_half(seed, levels):
    rng = np.random.default_rng(seed)
    positive, negative = (rng.integers(0, levels, rng.integers(1, 30)) / levels for _ in range(2))
    pairs = [(p > n) + 0.5 * (p == n) for p in positive for n in negative]
    assert auc(positive, negative) == pytest.approx(np.mean(pairs))
    assert auc(negative, positive) == pytest.approx(1 - np.mean(pairs))
    assert auc(np.exp(positive), np.exp(negative)) == pytest.approx(np.mean(pairs))  # any rising function


def test_without_both_kinds_there_is_no_auc():
    assert np.isnan(auc(np.array([0.3]), np.zeros(0)))
    assert np.isnan(auc(np.zeros(0), np.array([0.3])))


def labels_of(visibility: np.ndarray) -> Labels:
    """One image for each row of people (I, P, 3)."""
    images = []
    for number, rows in enumerate(visibility, start=1):
        points = (np.arange(len(rows))[:, None, None] * 40 + np.array([[0, 0], [0, 20], [0, 40]])).astype(np.float32)
        boxes = np.concatenate([points.min(axis=1), np.full((len(rows), 2), 40)], axis=1).astype(np.float32)
        points = np.where(rows[..., None] > 0, points, np.float32(np.nan))
        areas = np.full(len(rows), 800, np.float32)
        annotation = Annotation(points, rows.astype(np.uint8), boxes, areas, np.zeros(len(rows), bool))
        images.append(LabeledImage(number, Path(f"{number}.jpg"), (200, 200), annotation))
    return Labels(TOTEM, tuple(images), np.ones(3, bool))


def perfect(labels: Labels, visibility: np.ndarray | None) -> list[Poses]:
    poses = []
    for i, image in enumerate(labels):
        points = image.annotation.keypoints
        confidence = np.isfinite(points[..., 0]).astype(np.float32)
        scores = np.ones(len(points), np.float32)
        own = None if visibility is None else np.where(confidence > 0, visibility[i], np.nan).astype(np.float32)
        poses.append(Poses(points, confidence, scores, TOTEM, visibility=own))
    return poses


@pytest.mark.parametrize("task", ["multi_instance", "crop"])
def test_detected_keypoints_of_paired_instances_count(task):
    rng = np.random.default_rng(1)
    visibility = rng.choice([0, 1, 2], (6, 3, 3), p=[0.2, 0.4, 0.4])
    visibility[:, :, 0] = 2  # every instance has a label
    labels, values = labels_of(visibility), rng.integers(0, 4, (6, 3, 3)) / 4
    predictions = perfect(labels, values)
    result = measure_visibility(labels, predictions, task)
    visible, occluded = values[visibility == 2], values[visibility == 1]
    assert (result.visible, result.occluded) == (len(visible), len(occluded))
    assert result.auc == pytest.approx(100 * np.mean([(v > o) + 0.5 * (v == o) for v in visible for o in occluded]))
    # A keypoint that is not detected, and a missed instance, do not count.
    first = predictions[0]
    confidence, unknown = first.confidence.copy(), first.visibility.copy()
    confidence[0, 0], unknown[0, 0] = 0, np.nan
    fewer = [replace(first, confidence=confidence, visibility=unknown), *predictions[1:]]
    assert measure_visibility(labels, fewer, task).visible == result.visible - 1
    if task == "multi_instance":
        missed = [predictions[0][[]], *predictions[1:]]
        assert measure_visibility(labels, missed, task).visible == (visibility[1:] == 2).sum()


def test_models_without_visibility_have_no_metric_and_perfect_ones_have_100():
    pytest.importorskip("faster_coco_eval")
    visibility = np.array([[[2, 1, 2]], [[1, 2, 0]]])
    labels = labels_of(visibility)
    plain = measure(labels, tuple(perfect(labels, None)))
    assert plain.visibility is None
    assert VISIBILITY_AUC not in headline(plain)
    assert "visibility" not in metrics(plain)
    seen = measure(labels, tuple(perfect(labels, visibility == 2)))
    assert seen.visibility.auc == 100
    assert headline(seen)[VISIBILITY_AUC] == "100.0"
    table = metrics(seen)["visibility"]
    assert (table["auc"], table["visible"], table["occluded"]) == (100, 3, 2)
    assert "3 visible and 2 occluded" in table["definition"]
    without = measure(labels_of(np.full((1, 1, 3), 2)), tuple(perfect(labels_of(np.full((1, 1, 3), 2)), visibility)))
    assert metrics(without)["visibility"]["auc"] is None
