"""Mean average precision of joints of several people, as in MPII's multi-person benchmark.

Pishchulin et al., DeepCut, CVPR 2016, and the released evaluation code. In each image, every predicted person is
assigned to the annotated person of whose joints it has the largest share right. Of several that are assigned to one,
the one with the largest share is matched (the first of equals). A joint of a matched person is right if it lies within
the threshold; all other predicted joints are wrong. The predictions of each joint, by decreasing confidence, give
precision over recall. AP is the area below that curve.

Difference: the benchmark crops images to groups in which every person is labeled. Here whole images are evaluated.
Predictions in regions of people without labeled joints or without a head box are ignored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.labels import Labels
from cairn.evaluation.metrics.oks import check_parallel
from cairn.evaluation.metrics.pck import average
from cairn.evaluation.protocols import Protocol
from cairn.structures.annotation import Annotation
from cairn.structures.poses import Poses


@dataclass(frozen=True, eq=False)
class JointPrecision:
    """AP of each joint under a protocol.

    Attributes:
        threshold: Threshold of the distance in reference lengths.
        per_joint: (K,) percent; NaN for a joint that is never labeled.
        counts: (K,) labeled keypoints; 0 for a joint that the protocol ignores.
        value: mAP, the mean over the joints with a count above 0, in percent.
    """

    threshold: float
    per_joint: NDArray[np.float64]
    counts: NDArray[np.int64]
    value: float


def joint_precision(
    labels: Labels, predictions: Sequence[Poses], protocol: Protocol, threshold: float | None = None
) -> JointPrecision:
    """Returns the AP of each joint.

    Args:
        labels: The ground truth.
        predictions: One `Poses` per image of the labels, in their order.
        protocol: Defines the reference length and the joints that the mean ignores.
        threshold: Threshold of the distance in reference lengths; None takes the protocol's default.

    Raises:
        LabelError: Labels and predictions do not match, or the labels lack the protocol's reference length.
    """
    check_parallel(labels, predictions)
    limit = protocol.threshold if threshold is None else threshold
    joints = len(labels.skeleton)
    confidences, right = [np.zeros((0, joints))], [np.zeros((0, joints), bool)]
    counts = np.zeros(joints, np.int64)
    for image, poses in zip(labels, predictions, strict=True):
        lengths = protocol.length(image.annotation, labels.skeleton)
        measured = image.annotation.labeled & (lengths > 0)
        people = image.annotation[np.flatnonzero(measured)]
        near = near_enough(poses, people, lengths[measured], limit)  # (P, G, K)
        partner = assign(near, people)
        regions = image.annotation[np.flatnonzero(~measured)].boxes
        kept = np.flatnonzero((partner >= 0) | ~inside(poses, regions))
        matched = np.flatnonzero(partner >= 0)
        hits = np.zeros(poses.detected.shape, bool)
        hits[matched] = near[matched, partner[matched]]
        right.append(hits[kept])
        confidences.append(np.where(poses.detected, poses.confidence, np.nan)[kept])
        counts += (people.visibility > 0).sum(axis=0)
    scores, hits = np.concatenate(confidences), np.concatenate(right)
    per_joint = np.array([average_precision(scores[:, k], hits[:, k], int(counts[k])) for k in range(joints)])
    counted = np.where(np.isin(labels.skeleton.joints, protocol.ignored_joints), 0, counts)
    return JointPrecision(limit, per_joint, counted, average(per_joint, counted))


def near_enough(poses: Poses, people: Annotation, lengths: NDArray[Any], threshold: float) -> NDArray[np.bool_]:
    """Returns (P, G, K) whether a joint of P predicted people is right for G annotated people.

    Args:
        poses: P predicted people.
        people: G annotated people.
        lengths: (G,) reference lengths in pixels.
        threshold: Maximum distance, in reference lengths.
    """
    distances = np.linalg.norm(poses.keypoints[:, None].astype(np.float64) - people.keypoints[None], axis=-1)
    there = poses.detected[:, None] & (people.visibility > 0)[None]
    return there & (np.where(there, distances, np.inf) <= threshold * lengths[None, :, None])


def assign(near: NDArray[np.bool_], people: Annotation) -> NDArray[np.intp]:
    """Returns (P,) the annotated person of each prediction; -1 for none.

    Args:
        near: (P, G, K) as `near_enough` returns it.
        people: The G annotated people.
    """
    predicted, annotated, _ = near.shape
    partner = np.full(predicted, -1)
    if not predicted or not annotated:
        return partner
    shares = near.sum(axis=2) / np.maximum((people.visibility > 0).sum(axis=1), 1)  # (P, G)
    best = shares.argmax(axis=1)
    for person in range(annotated):
        candidates = np.where(best == person, shares[:, person], 0)
        if candidates.max() > 0:
            partner[candidates.argmax()] = person
    return partner


def average_precision(scores: NDArray[Any], right: NDArray[np.bool_], count: int) -> float:
    """Returns the AP of one joint in percent; NaN for a count of 0.

    The precision at each recall is the maximum precision at this or a larger recall (PASCAL VOC since 2010).

    Args:
        scores: (N,) confidence of each prediction of the joint; NaN where it was not detected.
        right: (N,) whether the prediction is right.
        count: Number of labeled keypoints of the joint.
    """
    if count == 0:
        return float("nan")
    detected = np.flatnonzero(~np.isnan(scores))
    order = detected[np.argsort(-scores[detected], kind="stable")]
    hits = np.cumsum(right[order])
    precision = hits / np.arange(1, len(order) + 1)
    best = np.maximum.accumulate(precision[::-1])[::-1]  # at this or a larger recall
    return 100 * float(best[right[order]].sum()) / count


def inside(poses: Poses, regions: NDArray[Any]) -> NDArray[np.bool_]:
    """Returns (P,) whether the center of the predicted bounding box lies in a region.

    Args:
        poses: P predictions.
        regions: (R, 4) x, y, width, height in pixels.
    """
    boxes = poses.boxes
    centers = (boxes[:, :2] + boxes[:, 2:] / 2)[:, None]  # (P, 1, 2)
    inside_region = (centers >= regions[:, :2]) & (centers <= regions[:, :2] + regions[:, 2:])
    result: NDArray[np.bool_] = inside_region.all(axis=2).any(axis=1)
    return result
