"""Error types of keypoints.

Ronchi and Perona, Benchmarking and Error Diagnosis in Multi-Instance Pose Estimation, ICCV 2017.

The keypoint similarity of a predicted keypoint and a label is its term in OKS, exp(-d² / (2·area·(2·sigma)²)), with the
area and the sigma of the label. A keypoint of a prediction that is paired with annotated instance p has the first type
whose condition holds (section 3.1):

| type | condition |
|---|---|
| good | similarity of at least GOOD to the same joint of p |
| jitter | similarity of at least NEAR to the same joint of p |
| inversion | similarity of at least NEAR to the left-right counterpart of the joint in p |
| swap | similarity of at least NEAR to the same joint, or its left-right counterpart, of another instance |
| miss | none of these, or not detected |
| false negative | no prediction is paired with p (section 3.3) |

A prediction that is paired with no annotated instance, outside regions to ignore, is a background false positive.

Differences from the paper:

- Pairs are the most similar ones (`oks.match`, down to the paper's OKS of 0.1), not those of the highest scores.
- Where the conditions of inversion and swap both hold, the greater similarity determines the type, as in the release.
- `corrected_ap` moves a keypoint onto its label; the paper moves it as close as the next better type requires.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.labels import LabeledImage
from cairn.evaluation.evaluate import Evaluation
from cairn.evaluation.metrics.mpii import inside
from cairn.evaluation.metrics.oks import MAX_DETECTIONS, keypoint_similarity, oks_metrics
from cairn.evaluation.pairing import pair_images
from cairn.structures.annotation import Annotation
from cairn.structures.poses import Poses
from cairn.structures.skeleton import Skeleton

GOOD, NEAR = 0.85, 0.5  # section 3.1

ERROR_TYPES = ("good", "jitter", "inversion", "swap", "miss", "false negative")
BACKGROUND = "background false positive"
IS_GOOD, JITTER, INVERSION, SWAP, MISS, FALSE_NEGATIVE = range(len(ERROR_TYPES))


@dataclass(frozen=True, eq=False)
class Breakdown:
    """Every labeled keypoint by its error type.

    Attributes:
        types: (N, K) index into ERROR_TYPES for the instances of the evaluation's pairs; -1 where not labeled.
        background: Number of background false positives among the MAX_DETECTIONS predictions per image that count.
    """

    types: NDArray[np.int8]
    background: int

    @property
    def shares(self) -> dict[str, float]:
        """Percentage of the labeled keypoints, by error type."""
        labeled = max(int((self.types >= 0).sum()), 1)
        return {name: 100 * int((self.types == index).sum()) / labeled for index, name in enumerate(ERROR_TYPES)}


def breakdown(evaluation: Evaluation) -> Breakdown:
    """Returns the error types of an evaluation."""
    types, background = [np.zeros((0, len(evaluation.labels.skeleton)), np.int8)], 0
    for image, instances, poses, partner in _paired(evaluation):
        types.append(error_types(instances, poses, partner))
        background += len(background_rows(image.annotation, poses, partner))
    return Breakdown(np.concatenate(types), background)


def error_types(instances: Annotation, poses: Poses, partner: NDArray[Any]) -> NDArray[np.int8]:
    """Returns (G, K) index into ERROR_TYPES for G annotated instances of an image; -1 where not labeled.

    Args:
        instances: The annotated instances.
        poses: The predictions for the image.
        partner: (G,) row of the prediction of each instance; -1 for none.
    """
    skeleton = poses.skeleton
    types = np.full((len(instances), len(skeleton)), FALSE_NEGATIVE, np.int8)
    matched = np.flatnonzero(partner >= 0)
    paired = poses[partner[matched]]
    points = np.where(paired.detected[..., None], paired.keypoints, np.nan)
    same = keypoint_similarity(instances, points, skeleton.sigmas)  # (M, G, K)
    flipped = keypoint_similarity(_flipped(instances, skeleton), points, skeleton.sigmas)
    each = np.arange(len(matched))
    own, inverted = same[each, matched], flipped[each, matched]
    of_others = np.maximum(same, flipped)
    of_others[each, matched] = 0
    other = of_others.max(axis=1, initial=0)
    types[matched] = np.select(
        [own >= GOOD, own >= NEAR, (inverted >= NEAR) & (inverted >= other), other >= NEAR],
        [IS_GOOD, JITTER, INVERSION, SWAP],
        MISS,
    )
    types[instances.visibility == 0] = -1
    return types


def background_rows(annotation: Annotation, poses: Poses, partner: NDArray[Any]) -> NDArray[np.intp]:
    """Returns the rows of the background false positives.

    Args:
        annotation: All annotations of the image, with crowds and unlabeled instances.
        poses: The predictions for the image.
        partner: (G,) row of the prediction of each annotated instance; -1 for none.
    """
    best = np.argsort(-poses.scores, kind="stable")[:MAX_DETECTIONS]
    regions = annotation[np.flatnonzero(~annotation.labeled)].boxes
    counts = poses.detected.any(axis=1) & ~inside(poses, regions)
    return np.array([row for row in best if counts[row] and row not in partner], np.intp)


def corrected_ap(evaluation: Evaluation) -> dict[str, float]:
    """Returns the OKS AP in percent after correcting all errors of one type and none of the others.

    The keys are the types of ERROR_TYPES that are errors, and BACKGROUND. Corrections are:

    - jitter, inversion, swap, miss: the keypoints are moved onto their labels;
    - false negative: the instances become regions to ignore;
    - background false positive: the predictions are removed.

    The result is empty for an evaluation without OKS.
    """
    if evaluation.oks is None:
        return {}
    labels, predictions = evaluation.labels, evaluation.predictions
    pairs = list(_paired(evaluation))
    result = {}
    for index in (JITTER, INVERSION, SWAP, MISS):
        corrected = [_corrected(instances, poses, partner, index) for _, instances, poses, partner in pairs]
        result[ERROR_TYPES[index]] = oks_metrics(labels, corrected)["AP"]
    ignored = tuple(_ignoring_missed(image, partner) for image, _, _, partner in pairs)
    result[ERROR_TYPES[FALSE_NEGATIVE]] = oks_metrics(replace(labels, images=ignored), predictions)["AP"]
    kept = [
        poses[np.setdiff1d(np.arange(len(poses)), background_rows(image.annotation, poses, partner))]
        for image, _, poses, partner in pairs
    ]
    result[BACKGROUND] = oks_metrics(labels, kept)["AP"]
    return result


def _paired(evaluation: Evaluation) -> Iterator[tuple[LabeledImage, Annotation, Poses, NDArray[np.int64]]]:
    """Each image, its annotated instances, its predictions, and the row of the prediction of each instance."""
    return pair_images(evaluation.labels, evaluation.predictions, evaluation.task)


def _flipped(instances: Annotation, skeleton: Skeleton) -> Annotation:
    """The labels of each joint's left-right counterpart in its place; unlabeled for a joint without one."""
    order = np.array(skeleton.flip_order, np.intp)
    unpaired = order == np.arange(len(order))
    points = np.where(unpaired[:, None], np.float32(np.nan), instances.keypoints[:, order])
    visibility = np.where(unpaired, np.uint8(0), instances.visibility[:, order])
    return replace(instances, keypoints=points, visibility=visibility)


def _corrected(instances: Annotation, poses: Poses, partner: NDArray[np.int64], index: int) -> Poses:
    """The predictions with the keypoints of one error type moved onto their labels."""
    wrong = error_types(instances, poses, partner) == index
    keypoints, confidence = poses.keypoints.copy(), poses.confidence.copy()
    for labeled, joint in zip(*np.nonzero(wrong), strict=True):
        keypoints[partner[labeled], joint] = instances.keypoints[labeled, joint]
        confidence[partner[labeled], joint] = max(confidence[partner[labeled], joint], np.finfo(np.float32).tiny)
    return replace(poses, keypoints=keypoints, confidence=confidence)


def _ignoring_missed(image: LabeledImage, partner: NDArray[np.int64]) -> LabeledImage:
    """The image with its missed instances as regions to ignore."""
    crowd = image.annotation.crowd.copy()
    crowd[np.flatnonzero(image.annotation.labeled)[partner < 0]] = True
    return replace(image, annotation=replace(image.annotation, crowd=crowd))
