"""Average precision by object keypoint similarity, as COCO defines it (https://cocodataset.org/#keypoints-eval)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.labels import Labels
from cairn.errors import LabelError, MissingExtra
from cairn.structures.annotation import Annotation
from cairn.structures.poses import Poses

MAX_DETECTIONS = 20  # of one image that count, by score; COCO's number for keypoints
NOWHERE = -1e6  # where joints are put that were not found: they earn nothing, as far from everything as this

NAMES = {
    "AP": "AP_all",
    "AP50": "AP_50",
    "AP75": "AP_75",
    "APM": "AP_medium",
    "APL": "AP_large",
    "AR": "AR_all",
    "AR50": "AR_50",
    "AR75": "AR_75",
    "ARM": "AR_medium",
    "ARL": "AR_large",
}
"""COCO's figures under the names that papers use: those of the library that computes them."""


def oks_metrics(labels: Labels, predictions: Sequence[Poses]) -> dict[str, float]:
    """AP, AP50, AP75, APM, APL, AR, AR50, AR75, ARM, ARL in percent; NaN where no object is of that size.

    predictions  one for each of the labels' images, in their order
    Sigmas are those of the labels' skeleton. Crowds and objects without a labeled joint are regions to
    ignore: what is found there counts neither way. Medium is an area of 32² to 96² pixels, large is above.
    Raises LabelError where labels and predictions do not match, MissingExtra without faster-coco-eval.
    """
    coco, evaluator = library()
    check_parallel(labels, predictions)
    truth = coco(
        {
            "images": [{"id": i, "height": p.size[0], "width": p.size[1]} for i, p in enumerate(labels.images)],
            "categories": [{"id": 1, "name": labels.skeleton.name}],
            "annotations": _numbered(row for i, p in enumerate(labels) for row in _truth(i, p.annotation)),
        }
    )
    found = truth.loadRes(_numbered(row for i, poses in enumerate(predictions) for row in _found(i, poses)))
    evaluation = evaluator(truth, found, "keypoints", kpt_oks_sigmas=list(labels.skeleton.sigmas))
    evaluation.params.catIds = [1]  # also where there is nothing to find, and the library would see no category
    evaluation.params.maxDets = [MAX_DETECTIONS]
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    values = evaluation.stats_as_dict
    return {name: 100 * values[key] if values[key] >= 0 else float("nan") for name, key in NAMES.items()}


def library() -> tuple[Any, Any]:
    """faster-coco-eval's classes of labels and of evaluations. Raises MissingExtra where it is not installed."""
    try:
        from faster_coco_eval import COCO, COCOeval_faster
    except ImportError:
        raise MissingExtra("faster-coco-eval", "train") from None
    return COCO, COCOeval_faster


def similarity(annotation: Annotation, keypoints: NDArray, sigmas: Sequence[float]) -> NDArray[np.float64]:
    """Object keypoint similarity (P, G) of P found (P, K, 2) and G labeled objects.

    The mean over the labeled joints of exp(-d² / (2·area·(2·sigma)²)); 0 for a joint that was not found, and
    for objects that are not labeled.
    """
    labeled = (annotation.visibility > 0) & annotation.labeled[:, None]
    each = keypoint_similarity(annotation, keypoints, sigmas) * labeled
    return each.sum(axis=-1) / np.maximum(labeled.sum(axis=-1), 1)


def keypoint_similarity(annotation: Annotation, keypoints: NDArray, sigmas: Sequence[float]) -> NDArray[np.float64]:
    """What each joint of P found (P, K, 2) would add to the similarity with each of G labeled objects: (P, G, K).

    0 for a joint that was not found or is not labeled.
    """
    variance = (2 * np.asarray(sigmas)) ** 2
    distance = ((keypoints[:, None].astype(np.float64) - annotation.keypoints[None]) ** 2).sum(axis=-1)
    areas = annotation.areas.astype(np.float64) + np.spacing(1)  # as COCO guards against an area of 0
    return np.nan_to_num(np.exp(-distance / (2 * areas[:, None] * variance)))


def match(annotation: Annotation, poses: Poses, least: float = 0.1) -> NDArray[np.int64]:
    """(G,) the row of `poses` for each labeled object; -1 where none is left with a similarity of `least`.

    The most similar pair first: this serves to measure distances, and scores have no part in it.
    """
    partner = np.full(len(annotation), -1)
    alike = similarity(annotation, poses.keypoints, poses.skeleton.sigmas)
    for _ in range(min(alike.shape)):
        found, labeled = np.unravel_index(int(alike.argmax()), alike.shape)
        if alike[found, labeled] < least:
            break
        partner[labeled] = found
        alike[found], alike[:, labeled] = -1, -1
    return partner


def check_parallel(labels: Labels, predictions: Sequence[Poses]) -> None:
    """Raises LabelError where predictions are not one for each image, in the labels' joints."""
    if len(predictions) != len(labels):
        raise LabelError(f"{len(labels)} labeled images need as many predictions, got {len(predictions)}")
    for poses in predictions:
        if poses.skeleton.joints != labels.skeleton.joints:
            raise LabelError(
                f"predictions have the joints of {poses.skeleton.name} ({len(poses.skeleton)}), labels those of "
                f"{labels.skeleton.name} ({len(labels.skeleton)}): map the labels first"
            )


def _truth(image: int, annotation: Annotation) -> list[dict[str, Any]]:
    points = np.concatenate([np.nan_to_num(annotation.keypoints), annotation.visibility[..., None]], axis=2)
    return [
        {
            "image_id": image,
            "category_id": 1,
            "keypoints": row.ravel().tolist(),
            "num_keypoints": int((row[:, 2] > 0).sum()),
            "bbox": box.tolist(),
            "area": float(area),
            "iscrowd": int(crowd),
        }
        for row, box, area, crowd in zip(
            points.astype(np.float64), annotation.boxes, annotation.areas, annotation.crowd, strict=True
        )
    ]


def _found(image: int, poses: Poses) -> list[dict[str, Any]]:
    poses = poses[np.flatnonzero(poses.detected.any(axis=1))]
    placed = np.where(poses.detected[..., None], poses.keypoints, NOWHERE).astype(np.float64)
    points = np.concatenate([placed, poses.confidence[..., None]], axis=2)
    # With a box the library takes the object's area from there, and not from joints that are nowhere.
    return [
        {
            "image_id": image,
            "category_id": 1,
            "keypoints": row.ravel().tolist(),
            "bbox": box.tolist(),
            "score": float(score),
        }
        for row, box, score in zip(points, poses.boxes, poses.scores, strict=True)
    ]


def _numbered(rows: Any) -> list[dict[str, Any]]:
    """Ids from 1: the evaluation takes an id of 0 for 'unmatched'."""
    return [{"id": number, **row} for number, row in enumerate(rows, start=1)]
