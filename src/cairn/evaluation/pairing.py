"""Pairs annotated instances with predictions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.labels import LabeledImage, Labels
from cairn.errors import LabelError
from cairn.evaluation.metrics.oks import check_parallel
from cairn.evaluation.prediction import annotated_instances
from cairn.evaluation.tasks import TASKS
from cairn.inference.model_spec import Task
from cairn.structures.annotation import Annotation
from cairn.structures.poses import Poses
from cairn.structures.skeleton import Skeleton


@dataclass(frozen=True, eq=False)
class Pairs:
    """Annotated instances and the predictions paired with them.

    Attributes:
        ground_truth: N annotated instances of all images, image by image.
        predicted: (N, K, 2) float32 keypoints in pixels; NaN where a keypoint or the whole instance was not detected.
        images: (N,) index of the image of each instance.
        skeleton: The skeleton of both.
    """

    ground_truth: Annotation
    predicted: NDArray[np.float32]
    images: NDArray[np.int64]
    skeleton: Skeleton

    @property
    def matched(self) -> NDArray[np.bool_]:
        """(N,) whether at least one keypoint of the instance was detected."""
        matched: NDArray[np.bool_] = np.any(np.isfinite(self.predicted), axis=(1, 2))
        return matched

    def __getitem__(self, rows: NDArray[np.integer]) -> Pairs:
        return Pairs(self.ground_truth[rows], self.predicted[rows], self.images[rows], self.skeleton)


def pair_images(
    labels: Labels, predictions: Sequence[Poses], task: Task
) -> Iterator[tuple[LabeledImage, Annotation, Poses, NDArray[np.int64]]]:
    """Yields image, annotated instances (G), predictions (P), and (G,) the row of the prediction of each instance.

    The row is -1 for an instance without a prediction.

    Raises:
        LabelError: The predictions of an image do not suit the task.
    """
    for image, poses in zip(labels, predictions, strict=True):
        instances = annotated_instances(image)
        try:
            partner = TASKS[task].pair(instances, poses)
        except LabelError as error:
            raise LabelError(f"{image.path}: {error}") from None
        yield image, instances, poses, partner


def pair_instances(labels: Labels, predictions: Sequence[Poses], task: Task = "multi_instance") -> Pairs:
    """Pairs each annotated instance with its prediction.

    Args:
        labels: The ground truth.
        predictions: One `Poses` per image of the labels, in their order.
        task: The task of the model. "multi_instance" pairs the most similar instances first (`oks.match`), "crop" pairs
            row by row, "single_instance" pairs the only prediction with the nearest annotated instance.

    Raises:
        LabelError: The predictions do not suit the labels or the task.
    """
    check_parallel(labels, predictions)
    predicted, images, ground_truth = [], [], []
    for number, (_, instances, poses, partner) in enumerate(pair_images(labels, predictions, task)):
        points = np.full((len(instances), len(labels.skeleton), 2), np.nan, np.float32)
        there = partner >= 0
        paired = poses[partner[there]]
        points[there] = np.where(paired.detected[..., None], paired.keypoints, np.nan)
        predicted.append(points)
        images.append(np.full(len(instances), number))
        ground_truth.append(instances)
    return Pairs(
        Annotation.concatenate(ground_truth), np.concatenate(predicted), np.concatenate(images), labels.skeleton
    )
