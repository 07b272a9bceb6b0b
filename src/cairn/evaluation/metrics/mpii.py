"""Mean average precision of joints over several people, as MPII's multi-person benchmark measures it.

Pishchulin et al., DeepCut, CVPR 2016, and the released evaluation: in each image every found person goes to the
labeled one of whose joints it has the largest share right; of several that go to one, that with the largest share
is matched, the first of equals. A joint of a matched person is right where it is near enough; all others that were
found are wrong. Each joint's finds, the surest first, give its precision over recall, and the area below is its AP.

Where we depart: the benchmark cuts images to groups whose people are all labeled. Here whole images count, and
what is found in a region of people who are not labeled joint by joint, or have no head to measure by, is ignored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
    """AP of every joint under a protocol.

    per_joint  (K,) percent; NaN for a joint that is nowhere labeled
    counts     (K,) labeled keypoints; 0 for a joint that the protocol leaves out
    value      mAP: the mean over those joints
    """

    threshold: float
    per_joint: NDArray[np.float64]
    counts: NDArray[np.int64]
    value: float


def joint_precision(
    labels: Labels, predictions: Sequence[Poses], protocol: Protocol, threshold: float | None = None
) -> JointPrecision:
    """predictions: one for each of the labels' images, in their order. threshold: None takes the protocol's own.

    Raises LabelError where labels and predictions do not match, or labels have not the protocol's length.
    """
    check_parallel(labels, predictions)
    limit = protocol.threshold if threshold is None else threshold
    joints = len(labels.skeleton)
    scores, right, counts = [np.zeros((0, joints))], [np.zeros((0, joints), bool)], np.zeros(joints, np.int64)
    for image, poses in zip(labels, predictions, strict=True):
        lengths = protocol.length(image.annotation, labels.skeleton)
        measured = image.annotation.labeled & (lengths > 0)
        truth = image.annotation[np.flatnonzero(measured)]
        near = near_enough(poses, truth, lengths[measured], limit)  # (P, G, K)
        partner = assign(near, truth)
        regions = image.annotation[np.flatnonzero(~measured)].boxes
        kept = np.flatnonzero((partner >= 0) | ~inside(poses, regions))
        matched = np.flatnonzero(partner >= 0)
        hits = np.zeros(poses.detected.shape, bool)
        hits[matched] = near[matched, partner[matched]]
        right.append(hits[kept])
        scores.append(np.where(poses.detected, poses.confidence, np.nan)[kept])
        counts += (truth.visibility > 0).sum(axis=0)
    table, truths = np.concatenate(scores), np.concatenate(right)
    per_joint = np.array([average_precision(table[:, k], truths[:, k], int(counts[k])) for k in range(joints)])
    counted = np.where(np.isin(labels.skeleton.joints, protocol.left_out), 0, counts)
    return JointPrecision(limit, per_joint, counted, average(per_joint, counted))


def near_enough(poses: Poses, truth: Annotation, lengths: NDArray, threshold: float) -> NDArray[np.bool_]:
    """(P, G, K): joints of P found that are within `threshold` lengths of those of G labeled people."""
    distances = np.linalg.norm(poses.keypoints[:, None].astype(np.float64) - truth.keypoints[None], axis=-1)
    there = poses.detected[:, None] & (truth.visibility > 0)[None]
    return there & (np.where(there, distances, np.inf) <= threshold * lengths[None, :, None])


def assign(near: NDArray[np.bool_], truth: Annotation) -> NDArray[np.intp]:
    """(P,) the labeled person of each found one; -1 for none."""
    people, labeled, _ = near.shape
    partner = np.full(people, -1)
    if not people or not labeled:
        return partner
    shares = near.sum(axis=2) / np.maximum((truth.visibility > 0).sum(axis=1), 1)  # (P, G)
    wanted = shares.argmax(axis=1)
    for person in range(labeled):
        claims = np.where(wanted == person, shares[:, person], 0)
        if claims.max() > 0:
            partner[claims.argmax()] = person
    return partner


def average_precision(scores: NDArray, right: NDArray[np.bool_], count: int) -> float:
    """Percent, from the scores of one joint's finds (NaN for none) and `count` labeled ones; NaN for count 0.

    The area below the precision that is reached at each recall or a larger one (PASCAL VOC since 2010).
    """
    if count == 0:
        return float("nan")
    found = np.flatnonzero(~np.isnan(scores))
    order = found[np.argsort(-scores[found], kind="stable")]
    hits = np.cumsum(right[order])
    precision = hits / np.arange(1, len(order) + 1)
    best = np.maximum.accumulate(precision[::-1])[::-1]  # that of this recall or a larger one
    return 100 * float(best[right[order]].sum()) / count


def inside(poses: Poses, regions: NDArray) -> NDArray[np.bool_]:
    """(P,): whether the middle of an object's found joints is in one of the regions (R, 4) x, y, width, height."""
    boxes = poses.boxes
    middles = (boxes[:, :2] + boxes[:, 2:] / 2)[:, None]  # (P, 1, 2)
    return ((middles >= regions[:, :2]) & (middles <= regions[:, :2] + regions[:, 2:])).all(axis=2).any(axis=1)
