"""How models of each task are run on labels, paired with annotations, and measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.labels import Labels
from cairn.errors import LabelError
from cairn.evaluation.metrics.oks import match
from cairn.evaluation.prediction import Predict, Progress, predict_all_boxes, predict_all_images
from cairn.inference.model_spec import Task
from cairn.structures.annotation import Annotation
from cairn.structures.poses import Poses

Pair = Callable[[Annotation, Poses], NDArray[np.int64]]
"""Returns (G,) the row of the predicted pose for each of G annotated instances of an image; -1 for none."""


def pair_in_order(instances: Annotation, poses: Poses) -> NDArray[np.int64]:
    """Pairs row by row. Raises LabelError unless there is one pose per instance."""
    if len(poses) != len(instances):
        raise LabelError(f"expected one prediction for each of {len(instances)} labeled instances, got {len(poses)}")
    return np.arange(len(instances))


def pair_nearest(instances: Annotation, poses: Poses) -> NDArray[np.int64]:
    """Pairs the only pose with the instance at the smallest mean keypoint distance, at any distance.

    A pose that is far off is measured as an error, not as a missed instance. Raises LabelError for more than one pose.
    """
    if len(poses) > 1:
        raise LabelError(f"expected at most one predicted instance per image, got {len(poses)}")
    partner = np.full(len(instances), -1)
    if len(instances) and len(poses):
        distances = np.linalg.norm(poses.keypoints - instances.keypoints, axis=-1)
        both = np.isfinite(distances)
        means = np.where(both, distances, 0).sum(axis=1) / np.maximum(both.sum(axis=1), 1)
        partner[np.where(both.any(axis=1), means, np.inf).argmin()] = 0
    return partner


@dataclass(frozen=True)
class TaskEvaluation:
    """How models of one task are evaluated.

    Attributes:
        predict: Runs a predictor over labels; yields one `Poses` per image.
        pair: Pairs the annotated instances of an image with its predictions.
        given_boxes: Whether the predictor gets the annotated bounding boxes as input.
        measures_oks: Whether OKS AP is measured.
    """

    predict: Callable[[Predict, Labels, Progress | None], Iterator[Poses]]
    pair: Pair
    given_boxes: bool
    measures_oks: bool


TASKS: Mapping[Task, TaskEvaluation] = {
    "multi_instance": TaskEvaluation(predict_all_images, match, given_boxes=False, measures_oks=True),
    "single_instance": TaskEvaluation(predict_all_images, pair_nearest, given_boxes=False, measures_oks=False),
    "crop": TaskEvaluation(predict_all_boxes, pair_in_order, given_boxes=True, measures_oks=False),
}
"""By `ModelSpec.task`."""
