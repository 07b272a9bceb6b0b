"""MPII's multi-person AP against a brute-force version of the released evaluation, and its invariants."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.datasets.labels import LabeledImage, Labels
from cairn.errors import LabelError
from cairn.evaluation.evaluate import measure
from cairn.evaluation.metrics.mpii import average_precision, joint_precision
from cairn.evaluation.metrics.summary import headline, metrics
from cairn.evaluation.protocols import PROTOCOLS
from cairn.structures.annotation import Annotation
from cairn.structures.poses import Poses
from cairn.structures.skeleton import Skeleton

TOY = Skeleton("toy", ("a", "b", "c", "pelvis"))
MPII = PROTOCOLS["mpii"]


def random_case(seed: int, regions: bool = False) -> tuple[Labels, list[Poses]]:
    """Up to four people in each of four images, with noisy, duplicate, missed and spurious predictions."""
    rng = np.random.default_rng(seed)
    images, predictions = [], []
    for i in range(4):
        count = int(rng.integers(0, 5))
        points = rng.uniform(0, 300, (count, 4, 2)).astype(np.float32)
        visibility = rng.integers(0, 3, (count, 4)).astype(np.uint8)
        visibility[:, 0] = 2
        if regions and count:
            visibility[0] = 0
        boxes = np.concatenate([points.min(axis=1), np.ptp(points, axis=1)], axis=1)
        annotation = Annotation(
            keypoints=np.where(visibility[..., None] > 0, points, np.nan).astype(np.float32),
            visibility=visibility,
            boxes=boxes,
            areas=np.ones(count, np.float32),
            crowd=np.zeros(count, bool),
            heads=rng.uniform(20, 90, count).astype(np.float32),
        )
        images.append(LabeledImage(i, Path(f"{i}.jpg"), (300, 300), annotation))
        near = np.concatenate(
            [points + rng.normal(0, 12, points.shape), points[:2] + rng.normal(0, 20, (min(count, 2), 4, 2))]
        )
        both = np.concatenate([near, rng.uniform(0, 300, (int(rng.integers(0, 3)), 4, 2))]).astype(np.float32)
        detected = rng.random(both.shape[:2]) < 0.85
        detected[:, 1] |= ~detected.any(axis=1)
        confidence = np.where(detected, rng.uniform(0.01, 1, detected.shape), 0).astype(np.float32)
        keypoints = np.where(detected[..., None], both, np.nan).astype(np.float32)
        predictions.append(Poses(keypoints, confidence, np.ones(len(both), np.float32), TOY))
    return Labels(TOY, tuple(images), np.ones(4, bool)), predictions


def brute_force(labels: Labels, predictions: list[Poses], threshold: float) -> list[float | None]:
    """AP of each joint, one joint of one person at a time."""
    rows: list[list[tuple[float, bool]]] = [[] for _ in TOY.joints]
    totals = [0] * len(TOY)
    for image, poses in zip(labels, predictions, strict=True):
        annotation = image.annotation
        labeled = [g for g in range(len(annotation)) if annotation.visibility[g].any()]
        for g in labeled:
            for k in range(len(TOY)):
                totals[k] += annotation.visibility[g, k] > 0

        def right(p: int, g: int, k: int, poses: Poses = poses, annotation: Annotation = annotation) -> bool:
            if not poses.confidence[p, k] or not annotation.visibility[g, k]:
                return False
            away = np.linalg.norm(poses.keypoints[p, k].astype(float) - annotation.keypoints[g, k].astype(float))
            return away / (0.6 * float(annotation.heads[g])) <= threshold

        share = {
            (p, g): sum(right(p, g, k) for k in range(len(TOY))) / int((annotation.visibility[g] > 0).sum())
            for p in range(len(poses))
            for g in labeled
        }
        best = {p: max(labeled, key=lambda g: (share[p, g], -g)) for p in range(len(poses)) if labeled}
        match: dict[int, int] = {}
        for g in labeled:
            candidates = [p for p in best if best[p] == g and share[p, g] > 0]
            if candidates:
                match[max(candidates, key=lambda p: (share[p, g], -p))] = g
        for p in range(len(poses)):
            for k in range(len(TOY)):
                if poses.confidence[p, k]:
                    rows[k].append((float(poses.confidence[p, k]), p in match and right(p, match[p], k)))
    result: list[float | None] = []
    for k, entries in enumerate(rows):
        entries.sort(reverse=True)
        curve, hits = [], 0
        for i, (_, good) in enumerate(entries, start=1):
            hits += good
            curve.append((hits / totals[k] if totals[k] else 0.0, hits / i))
        area = recall = 0.0
        for i, (reached, _) in enumerate(curve):
            area += (reached - recall) * max(precision for _, precision in curve[i:])
            recall = reached
        result.append(100 * area if totals[k] else None)
    return result


@given(st.integers(0, 10**6), st.sampled_from([0.2, 0.5, 1.0]))
def test_equals_the_brute_force_version(seed: int, threshold: float) -> None:
    labels, predictions = random_case(seed)
    expected = brute_force(labels, predictions, threshold)
    result = joint_precision(labels, predictions, MPII, threshold)
    for value, correct in zip(result.per_joint, expected, strict=True):
        assert np.isnan(value) if correct is None else value == pytest.approx(correct, abs=1e-9)
    mean = [value for value in expected[:3] if value is not None]  # the protocol ignores the pelvis
    assert np.isnan(result.value) if not mean else result.value == pytest.approx(np.mean(mean))


def test_perfect_predictions_score_100() -> None:
    labels, _ = random_case(1)
    predictions = []
    for image in labels:
        rows = image.annotation
        confidence = (rows.visibility > 0).astype(np.float32)
        predictions.append(Poses(rows.keypoints, confidence, np.ones(len(rows), np.float32), TOY))
    result = joint_precision(labels, predictions, MPII)
    assert result.threshold == 0.5
    assert result.value == pytest.approx(100)
    nothing = [Poses.empty(TOY) for _ in labels]
    assert joint_precision(labels, nothing, MPII).value == 0


def test_a_second_prediction_of_one_person_is_wrong() -> None:
    labels, _ = random_case(1)
    (image,) = [image for image in labels if len(image.annotation)][:1]
    person = image.annotation[np.array([0])]
    alone = Labels(TOY, (replace(image, annotation=person),), labels.labeled_joints)
    full = (person.visibility > 0).astype(np.float32)
    confidence = np.concatenate([0.5 * full, full])
    twice = Poses(person.keypoints.repeat(2, axis=0), confidence, np.ones(2, np.float32), TOY)
    # The first of equals is matched, and it has the lower confidence: precision 1/2 at recall 1.
    assert joint_precision(alone, [twice], MPII).value == pytest.approx(50)
    assert joint_precision(alone, [twice[np.array([1, 0])]], MPII).value == pytest.approx(100)


@given(st.integers(0, 10**6))
def test_predictions_in_regions_of_people_without_joints_are_ignored(seed: int) -> None:
    labels, predictions = random_case(seed, regions=True)
    inside = []
    for image, poses in zip(labels, predictions, strict=True):
        boxes = image.annotation.boxes[~image.annotation.visibility.any(axis=1)]
        extra = [np.tile(box[:2] + box[2:] / 2, (1, 4, 1)).astype(np.float32) for box in boxes]
        far = [points for points in extra if not _near_a_person(points, image.annotation)]
        points = np.concatenate([poses.keypoints, *far]).astype(np.float32)
        confidence = np.concatenate([poses.confidence, np.ones((len(far), 4), np.float32)])
        inside.append(Poses(points, confidence, np.ones(len(points), np.float32), TOY))
    one, other = joint_precision(labels, predictions, MPII), joint_precision(labels, inside, MPII)
    np.testing.assert_array_equal(one.per_joint, other.per_joint)


def _near_a_person(points: np.ndarray, annotation: Annotation) -> bool:
    away = np.linalg.norm(points - annotation.keypoints, axis=-1)
    return bool((away < 0.6 * annotation.heads[:, None]).any())


def test_average_precision_of_a_known_curve() -> None:
    # right, wrong, right of three: 1/3 at precision 1, 1/3 at 2/3, the last never detected
    scores, right = np.array([0.9, np.nan, 0.8, 0.7]), np.array([True, True, False, True])
    assert average_precision(scores, right, 3) == pytest.approx(100 * (1 / 3 + 2 / 9))
    assert np.isnan(average_precision(scores, right, 0))
    assert average_precision(np.zeros(0), np.zeros(0, bool), 2) == 0


def test_labels_without_head_boxes_are_an_error() -> None:
    labels, predictions = random_case(2)
    bare = tuple(replace(image, annotation=replace(image.annotation, heads=None)) for image in labels)
    with pytest.raises(LabelError, match="PCKh needs head boxes"):
        joint_precision(replace(labels, images=bare), predictions, MPII)
    with pytest.raises(LabelError, match="expected predictions for 4 labeled images, got 3"):
        joint_precision(labels, predictions[:-1], MPII)


def test_evaluation_under_mpii_reports_map() -> None:
    labels, predictions = random_case(5)
    result = measure(labels, tuple(predictions), "multi_instance", MPII)
    expected = joint_precision(labels, predictions, MPII)
    assert result.ap is not None
    assert result.ap.value == expected.value
    assert metrics(result)["mpii"]["mAP"] == expected.value
    assert headline(result)["MPII mAP@0.5"] == f"{expected.value:.1f}"
    assert measure(labels, tuple(predictions), "multi_instance", PROTOCOLS["diagonal"]).ap is None
