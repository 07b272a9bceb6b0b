"""Laws of poses that were predicted in several crops: those of one instance become one, the others stay."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.evaluation.metrics.oks import similarity as annotated_similarity
from cairn.inference.merging import merged, similarity
from cairn.structures.annotation import AREA_PER_BOX, Annotation
from cairn.structures.poses import Poses
from cairn.structures.skeleton import Skeleton

SQUARE = Skeleton("square", ("a", "b", "c", "d"), ((0, 1),))
CORNERS = np.array([[0, 0], [100, 0], [100, 100], [0, 100]], np.float32)

seeds = st.integers(0, 2**32 - 1)


def poses_at(offsets: object, scores: object = None, confidence: float = 0.5, **more: object) -> Poses:
    """Squares of 100 pixels, moved."""
    moved = CORNERS + np.asarray(offsets, np.float32)[:, None]
    scores = np.linspace(0.9, 0.5, len(moved)) if scores is None else np.array(scores)
    confidences = np.full(moved.shape[:2], confidence, np.float32)
    return Poses(moved, confidences, scores.astype(np.float32), SQUARE, **more)


@given(seeds)
def test_similarity_is_that_to_annotations_of_the_same_place(seed: int) -> None:
    rng = np.random.default_rng(seed)
    poses = poses_at(rng.normal(0, 5, (4, 2)))
    annotation = Annotation(
        poses.keypoints,
        np.full((4, 4), 2, np.uint8),
        poses.boxes,
        (AREA_PER_BOX * poses.boxes[:, 2:].prod(axis=1)).astype(np.float32),
        np.zeros(4, bool),
    )
    expected = annotated_similarity(annotation, poses.keypoints, SQUARE.sigmas)
    np.testing.assert_allclose(similarity(poses), expected, atol=1e-5)


def test_instances_apart_stay_as_they_are_by_decreasing_score() -> None:
    poses = poses_at([[0, 0], [300, 0], [0, 300]], [0.2, 0.9, 0.5])
    result = merged(poses)
    np.testing.assert_array_equal(result.keypoints, poses.keypoints[[1, 2, 0]])
    np.testing.assert_array_equal(result.scores, poses.scores[[1, 2, 0]])
    assert len(merged(poses[:0])) == 0


def test_poses_of_one_instance_become_their_mean_by_confidence() -> None:
    poses = poses_at([[0, 0], [4, 0], [300, 0]])
    poses = replace(poses, confidence=poses.confidence * np.array([[0.5], [1.5], [1]], np.float32))
    result = merged(poses)
    assert len(result) == 2
    np.testing.assert_allclose(result.keypoints[0], CORNERS + np.array([3, 0]), atol=1e-4)
    np.testing.assert_allclose(result.confidence[0], 0.75)
    assert result.scores[0] == poses.scores[0]


def test_a_keypoint_far_from_the_most_confident_one_has_no_weight() -> None:
    poses = poses_at([[0, 0], [0, 0]])
    poses.keypoints[1, 2] += 40
    poses.confidence[0, 2] = 0.9
    np.testing.assert_array_equal(merged(poses).keypoints, CORNERS[None])


def test_an_undetected_keypoint_is_that_of_the_others() -> None:
    poses = poses_at([[0, 0], [2, 0]])
    poses.keypoints[0, 1], poses.confidence[0, 1] = np.nan, 0
    poses.keypoints[:, 3], poses.confidence[:, 3] = np.nan, 0
    result = merged(poses)
    assert len(result) == 1
    np.testing.assert_allclose(result.keypoints[0, 1], [102, 0])
    assert result.detected[0].tolist() == [True, True, True, False]


def test_the_class_has_the_most_of_the_scores() -> None:
    names = ("cat", "dog")
    classes = np.array([0, 1, 1], np.int64)
    poses = poses_at([[0, 0], [1, 0], [0, 1]], [0.5, 0.4, 0.35], classes=classes, class_names=names)
    result = merged(poses)
    assert [names[i] for i in result.classes] == ["dog"]
    assert result.scores[0] == pytest.approx(0.5 * 0.75 / 1.25)


@given(seeds, st.integers(1, 12))
def test_merged_poses_are_apart_and_no_more_than_before(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    poses = poses_at(rng.uniform(0, 150, (count, 2)), rng.random(count))
    result = merged(poses)
    assert 1 <= len(result) <= count
    assert (np.diff(result.scores) <= 0).all()
    low, high = poses.keypoints.min(axis=0), poses.keypoints.max(axis=0)
    assert ((result.keypoints >= low - 1e-3) & (result.keypoints <= high + 1e-3)).all()
