"""Visibility: how well the predicted probability separates visible keypoints from occluded ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.labels import Labels
from cairn.evaluation.pairing import pair_images
from cairn.inference.model_spec import Task
from cairn.structures.poses import Poses


@dataclass(frozen=True)
class VisibilityResult:
    """How well visible and occluded keypoints are separated.

    Attributes:
        auc: Area under the ROC curve in percent: the probability that a visible keypoint has a higher value than an
            occluded one, ties counted as half. 50 is chance; NaN without one of the two.
        visible: Number of detected keypoints of paired instances that are labeled visible.
        occluded: Number of those that are labeled occluded.
    """

    auc: float
    visible: int
    occluded: int


def measure_visibility(labels: Labels, predictions: Sequence[Poses], task: Task) -> VisibilityResult | None:
    """Returns the separation over the labeled keypoints of paired instances; None where no prediction has visibility.

    Args:
        labels: The ground truth.
        predictions: One `Poses` per image of the labels.
        task: The task of the model, which determines how predictions are paired with the labels.
    """
    if all(poses.visibility is None for poses in predictions):
        return None
    values: list[NDArray[np.float32]] = []
    truths: list[NDArray[np.uint8]] = []
    for _, instances, poses, partner in pair_images(labels, predictions, task):
        if poses.visibility is not None:
            matched = np.flatnonzero(partner >= 0)
            values.append(poses.visibility[partner[matched]].ravel())
            truths.append(instances.visibility[matched].ravel())
    value, truth = np.concatenate(values), np.concatenate(truths)
    known = np.isfinite(value)
    visible, occluded = value[known & (truth == 2)], value[known & (truth == 1)]
    return VisibilityResult(100 * auc(visible, occluded), len(visible), len(occluded))


def auc(positive: NDArray[np.floating], negative: NDArray[np.floating]) -> float:
    """Returns the share of pairs whose positive value is the larger one, ties counted as half; NaN without pairs."""
    if not len(positive) or not len(negative):
        return float("nan")
    ordered = np.sort(negative)
    below = np.searchsorted(ordered, positive, side="left").sum()
    not_above = np.searchsorted(ordered, positive, side="right").sum()
    return float((below + not_above) / (2 * len(positive) * len(negative)))
