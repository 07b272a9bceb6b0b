"""What kind of errors a model makes: Ronchi and Perona, Benchmarking and Error Diagnosis in Multi-Instance Pose
Estimation, ICCV 2017.

The similarity of a found keypoint to a labeled one is what it adds to OKS, exp(-d² / (2·area·(2·sigma)²)), area and
sigma being those of the labeled one. A keypoint of a found object that goes with labeled object p is, by the first
that holds (section 3.1):

    good           as similar as GOOD to the same joint of p
    jitter         as similar as NEAR to it: in the right place, not exactly
    inversion      as similar as NEAR to the joint of p that changes places with it in a mirror: left for right
    swap           as similar as NEAR to the same joint, or its mirror's, of another labeled object
    miss           near none of these, or not found
    object missed  no found object goes with p (a false negative, section 3.3)

A found object that goes with no labeled one, outside regions to ignore, is a false positive of the background.

Where we depart: pairs are the most similar ones (`oks.match`, down to the paper's OKS of 0.1), not by score; where
inversion and swap both hold, the more similar has it, as in the released code; in `repaired` a keypoint is put on its
label, where the paper puts it as near as the next better kind needs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.labels import LabeledImage, Labels
from cairn.evaluation.evaluate import PAIRING, Evaluation, labeled_rows
from cairn.evaluation.metrics.mpii import inside
from cairn.evaluation.metrics.oks import MAX_DETECTIONS, keypoint_similarity, oks_metrics
from cairn.structures.annotation import Annotation
from cairn.structures.poses import Poses
from cairn.structures.skeleton import Skeleton

GOOD, NEAR = 0.85, 0.5  # section 3.1

KINDS = ("good", "jitter", "inversion", "swap", "miss", "object missed")
BACKGROUND = "false background"
IS_GOOD, JITTER, INVERSION, SWAP, MISS, OBJECT_MISSED = range(len(KINDS))


@dataclass(frozen=True, eq=False)
class Breakdown:
    """Every labeled keypoint by what became of it.

    kinds       (N, K) index into KINDS for the objects of the evaluation's pairs; -1 where not labeled
    background  found objects that are none: of those that count, MAX_DETECTIONS an image
    """

    kinds: NDArray[np.int8]
    background: int

    @property
    def shares(self) -> dict[str, float]:
        """Percent of the labeled keypoints, by kind."""
        labeled = max(int((self.kinds >= 0).sum()), 1)
        return {name: 100 * int((self.kinds == kind).sum()) / labeled for kind, name in enumerate(KINDS)}


def breakdown(evaluation: Evaluation) -> Breakdown:
    kinds, background = [np.zeros((0, len(evaluation.labels.skeleton)), np.int8)], 0
    for image, poses, partner in _paired(evaluation):
        rows = labeled_rows(image)
        kinds.append(kinds_of(rows, poses, partner))
        background += len(background_of(image.annotation, poses, partner))
    return Breakdown(np.concatenate(kinds), background)


def kinds_of(rows: Annotation, poses: Poses, partner: NDArray) -> NDArray[np.int8]:
    """(G, K) index into KINDS for G labeled objects of an image, with which the rows `partner` (-1: none) go."""
    skeleton, objects = poses.skeleton, len(rows)
    kinds = np.full((objects, len(skeleton)), OBJECT_MISSED, np.int8)
    met = np.flatnonzero(partner >= 0)
    chosen = poses[partner[met]]
    points = np.where(chosen.detected[..., None], chosen.keypoints, np.nan)
    straight = keypoint_similarity(rows, points, skeleton.sigmas)  # (M, G, K)
    crossed = keypoint_similarity(_mirrored(rows, skeleton), points, skeleton.sigmas)
    each = np.arange(len(met))
    own, inverted = straight[each, met], crossed[each, met]
    of_others = np.maximum(straight, crossed)
    of_others[each, met] = 0
    other = of_others.max(axis=1, initial=0)
    kinds[met] = np.select(
        [own >= GOOD, own >= NEAR, (inverted >= NEAR) & (inverted >= other), other >= NEAR],
        [IS_GOOD, JITTER, INVERSION, SWAP],
        MISS,
    )
    kinds[rows.visibility == 0] = -1
    return kinds


def background_of(annotation: Annotation, poses: Poses, partner: NDArray) -> NDArray[np.intp]:
    """Rows of the found objects that are none; `partner` is of the labeled ones."""
    best = np.argsort(-poses.scores, kind="stable")[:MAX_DETECTIONS]
    regions = annotation[np.flatnonzero(~annotation.labeled)].boxes
    none = poses.detected.any(axis=1) & ~inside(poses, regions)
    return np.array([row for row in best if none[row] and row not in partner], np.intp)


def repaired(evaluation: Evaluation) -> dict[str, float]:
    """OKS AP in percent if the errors of one kind had not been made, and all others had; nothing without OKS.

    jitter, inversion, swap, miss  such keypoints are where their labels are
    object missed                  such objects are regions to ignore
    false background               such finds are not there

    By the kinds of KINDS that are errors, and BACKGROUND.
    """
    if evaluation.oks is None:
        return {}
    labels, predictions = evaluation.labels, evaluation.predictions
    pairs = list(_paired(evaluation))
    result = {}
    for kind in (JITTER, INVERSION, SWAP, MISS):
        put_right = [_put_right(*pair, kind) for pair in pairs]
        result[KINDS[kind]] = oks_metrics(labels, put_right)["AP"]
    ignoring = tuple(_ignoring_missed(image, partner) for image, _, partner in pairs)
    result[KINDS[OBJECT_MISSED]] = oks_metrics(replace(labels, images=ignoring), predictions)["AP"]
    kept = [
        poses[np.setdiff1d(np.arange(len(poses)), background_of(image.annotation, poses, partner))]
        for image, poses, partner in pairs
    ]
    result[BACKGROUND] = oks_metrics(labels, kept)["AP"]
    return result


def _paired(evaluation: Evaluation) -> Iterator[tuple[LabeledImage, Poses, NDArray]]:
    """Each image, what was found in it, and the row of that for each labeled object."""
    labels: Labels = evaluation.labels
    for image, poses in zip(labels, evaluation.predictions, strict=True):
        yield image, poses, PAIRING[evaluation.task](labeled_rows(image), poses)


def _mirrored(rows: Annotation, skeleton: Skeleton) -> Annotation:
    """The labels of each joint's mirror in its place; nothing for a joint that is its own."""
    order = np.array(skeleton.flip_order, np.intp)
    alone = order == np.arange(len(order))
    points = np.where(alone[:, None], np.float32(np.nan), rows.keypoints[:, order])
    return replace(rows, keypoints=points, visibility=np.where(alone, np.uint8(0), rows.visibility[:, order]))


def _put_right(image: LabeledImage, poses: Poses, partner: NDArray, kind: int) -> Poses:
    rows = labeled_rows(image)
    wrong = kinds_of(rows, poses, partner) == kind
    keypoints, confidence = poses.keypoints.copy(), poses.confidence.copy()
    for labeled, joint in zip(*np.nonzero(wrong), strict=True):
        keypoints[partner[labeled], joint] = rows.keypoints[labeled, joint]
        confidence[partner[labeled], joint] = max(confidence[partner[labeled], joint], np.finfo(np.float32).tiny)
    return replace(poses, keypoints=keypoints, confidence=confidence)


def _ignoring_missed(image: LabeledImage, partner: NDArray) -> LabeledImage:
    crowd = image.annotation.crowd.copy()
    crowd[np.flatnonzero(image.annotation.labeled)[partner < 0]] = True
    return replace(image, annotation=replace(image.annotation, crowd=crowd))
