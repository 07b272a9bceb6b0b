"""MPII's multi-person AP against a brute-force version of the released evaluation, and laws that it keeps."""

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
    """Up to four people in each of four images, and noisy, doubled, missed and invented finds."""
    rng = np.random.default_rng(seed)
    images, finds = [], []
    for i in range(4):
        count = int(rng.integers(0, 5))
        points = rng.uniform(0, 300, (count, 4, 2)).astype(np.float32)
        visibility = rng.integers(0, 3, (count, 4)).astype(np.uint8)
        visibility[:, 0] = 2
        if regions and count:
            visibility[0] = 0
        boxes = np.concatenate([points.min(axis=1), np.ptp(points, axis=1)], axis=1)
        truth = Annotation(
            keypoints=np.where(visibility[..., None] > 0, points, np.nan).astype(np.float32),
            visibility=visibility,
            boxes=boxes,
            areas=np.ones(count, np.float32),
            crowd=np.zeros(count, bool),
            heads=rng.uniform(20, 90, count).astype(np.float32),
        )
        images.append(LabeledImage(i, Path(f"{i}.jpg"), (300, 300), truth))
        near = np.concatenate(
            [points + rng.normal(0, 12, points.shape), points[:2] + rng.normal(0, 20, (min(count, 2), 4, 2))]
        )
        both = np.concatenate([near, rng.uniform(0, 300, (int(rng.integers(0, 3)), 4, 2))]).astype(np.float32)
        found = rng.random(both.shape[:2]) < 0.85
        found[:, 1] |= ~found.any(axis=1)
        sure = np.where(found, rng.uniform(0.01, 1, found.shape), 0).astype(np.float32)
        finds.append(
            Poses(
                np.where(found[..., None], both, np.nan).astype(np.float32), sure, np.ones(len(both), np.float32), TOY
            )
        )
    return Labels(TOY, tuple(images), np.ones(4, bool)), finds


def brute_force(labels: Labels, finds: list[Poses], threshold: float) -> list[float | None]:
    """AP of each joint, one joint of one person at a time."""
    rows: list[list[tuple[float, bool]]] = [[] for _ in TOY.joints]
    wanted = [0] * len(TOY)
    for image, poses in zip(labels, finds, strict=True):
        truth = image.annotation
        labeled = [g for g in range(len(truth)) if truth.visibility[g].any()]
        for g in labeled:
            for k in range(len(TOY)):
                wanted[k] += truth.visibility[g, k] > 0

        def right(p: int, g: int, k: int, poses: Poses = poses, truth: Annotation = truth) -> bool:
            if not poses.confidence[p, k] or not truth.visibility[g, k]:
                return False
            away = np.linalg.norm(poses.keypoints[p, k].astype(float) - truth.keypoints[g, k].astype(float))
            return away / (0.6 * float(truth.heads[g])) <= threshold

        share = {
            (p, g): sum(right(p, g, k) for k in range(len(TOY))) / int((truth.visibility[g] > 0).sum())
            for p in range(len(poses))
            for g in labeled
        }
        favorite = {p: max(labeled, key=lambda g: (share[p, g], -g)) for p in range(len(poses)) if labeled}
        match: dict[int, int] = {}
        for g in labeled:
            claims = [p for p in favorite if favorite[p] == g and share[p, g] > 0]
            if claims:
                match[max(claims, key=lambda p: (share[p, g], -p))] = g
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
            curve.append((hits / wanted[k] if wanted[k] else 0.0, hits / i))
        area = recall = 0.0
        for i, (reached, _) in enumerate(curve):
            area += (reached - recall) * max(precision for _, precision in curve[i:])
            recall = reached
        result.append(100 * area if wanted[k] else None)
    return result


@given(st.integers(0, 10**6), st.sampled_from([0.2, 0.5, 1.0]))
def test_it_is_the_brute_force_version(seed: int, threshold: float) -> None:
    labels, finds = random_case(seed)
    expected = brute_force(labels, finds, threshold)
    result = joint_precision(labels, finds, MPII, threshold)
    for value, wanted in zip(result.per_joint, expected, strict=True):
        assert np.isnan(value) if wanted is None else value == pytest.approx(wanted, abs=1e-9)
    mean = [value for value in expected[:3] if value is not None]  # the protocol leaves out the pelvis
    assert np.isnan(result.value) if not mean else result.value == pytest.approx(np.mean(mean))


def test_perfect_finds_are_100_percent() -> None:
    labels, _ = random_case(1)
    finds = []
    for image in labels:
        truth = image.annotation
        sure = (truth.visibility > 0).astype(np.float32)
        finds.append(Poses(truth.keypoints, sure, np.ones(len(truth), np.float32), TOY))
    result = joint_precision(labels, finds, MPII)
    assert result.threshold == 0.5
    assert result.value == pytest.approx(100)
    nobody = [Poses.empty(TOY) for _ in labels]
    assert joint_precision(labels, nobody, MPII).value == 0


def test_a_second_find_of_one_person_is_wrong() -> None:
    labels, _ = random_case(1)
    (image,) = [image for image in labels if len(image.annotation)][:1]
    truth = image.annotation[np.array([0])]
    alone = Labels(TOY, (replace(image, annotation=truth),), labels.known)
    sure = (truth.visibility > 0).astype(np.float32)
    twice = Poses(truth.keypoints.repeat(2, axis=0), np.concatenate([0.5 * sure, sure]), np.ones(2, np.float32), TOY)
    # The first of equals is matched, and it is the less sure one: precision 1/2 at recall 1.
    assert joint_precision(alone, [twice], MPII).value == pytest.approx(50)
    assert joint_precision(alone, [twice[np.array([1, 0])]], MPII).value == pytest.approx(100)


@given(st.integers(0, 10**6))
def test_finds_in_regions_of_people_without_joints_are_ignored(seed: int) -> None:
    labels, finds = random_case(seed, regions=True)
    inside = []
    for image, poses in zip(labels, finds, strict=True):
        boxes = image.annotation.boxes[~image.annotation.visibility.any(axis=1)]
        extra = [np.tile(box[:2] + box[2:] / 2, (1, 4, 1)).astype(np.float32) for box in boxes]
        far = [points for points in extra if not _near_anybody(points, image.annotation)]
        points = np.concatenate([poses.keypoints, *far]).astype(np.float32)
        sure = np.concatenate([poses.confidence, np.ones((len(far), 4), np.float32)])
        inside.append(Poses(points, sure, np.ones(len(points), np.float32), TOY))
    one, other = joint_precision(labels, finds, MPII), joint_precision(labels, inside, MPII)
    np.testing.assert_array_equal(one.per_joint, other.per_joint)


def _near_anybody(points: np.ndarray, truth: Annotation) -> bool:
    away = np.linalg.norm(points - truth.keypoints, axis=-1)
    return bool((away < 0.6 * truth.heads[:, None]).any())


def test_average_precision_of_a_known_curve() -> None:
    # right, wrong, right of three: 1/3 at precision 1, 1/3 at 2/3, the last never found
    scores, right = np.array([0.9, np.nan, 0.8, 0.7]), np.array([True, True, False, True])
    assert average_precision(scores, right, 3) == pytest.approx(100 * (1 / 3 + 2 / 9))
    assert np.isnan(average_precision(scores, right, 0))
    assert average_precision(np.zeros(0), np.zeros(0, bool), 2) == 0


def test_labels_without_heads_are_refused() -> None:
    labels, finds = random_case(2)
    bare = tuple(replace(p, annotation=replace(p.annotation, heads=None)) for p in labels)
    with pytest.raises(LabelError, match="PCKh needs head boxes"):
        joint_precision(replace(labels, images=bare), finds, MPII)
    with pytest.raises(LabelError, match="need as many predictions"):
        joint_precision(labels, finds[:-1], MPII)


def test_an_evaluation_by_heads_says_it() -> None:
    labels, finds = random_case(5)
    result = measure(labels, tuple(finds), "multi_instance", MPII)
    expected = joint_precision(labels, finds, MPII)
    assert result.ap is not None
    assert result.ap.value == expected.value
    assert metrics(result)["mpii"]["mAP"] == expected.value
    assert headline(result)["MPII mAP@0.5"] == f"{expected.value:.1f}"
    assert measure(labels, tuple(finds), "multi_instance", PROTOCOLS["diagonal"]).ap is None
