"""Average precision by object keypoint similarity (OKS), as COCO defines it (https://cocodataset.org/#keypoints-eval)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.checks.instance_checks import areas_fit, reference_areas
from cairn.datasets.labels import LabeledImage, Labels
from cairn.errors import LabelError, MissingExtra
from cairn.ops.similarity import similarity_terms
from cairn.structures.annotation import Annotation
from cairn.structures.poses import Poses

MAX_DETECTIONS = 20
"""Predictions per image that count, by score; COCO's number for keypoints."""

FAR_AWAY = -1e6
"""Coordinate of keypoints that were not detected: their similarity to any label is 0."""

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
"""Names of COCO's metrics in papers -> names in faster-coco-eval."""


def oks_metrics(labels: Labels, predictions: Sequence[Poses]) -> dict[str, float]:
    """Returns AP, AP50, AP75, APM, APL, AR, AR50, AR75, ARM, ARL in percent; NaN without instances of that size.

    Of labels with several classes, they are the means over the classes with annotated instances, as COCO's; the
    predictions must have the same classes.

    The sigmas are those of the labels' skeleton. Crowds and instances without a labeled keypoint are regions to ignore:
    predictions there count neither as right nor as wrong. Medium is an area of 32² to 96² pixels, large is above.

    Args:
        labels: The ground truth.
        predictions: One `Poses` per image of the labels, in their order.

    Raises:
        LabelError: Labels and predictions do not match.
        MissingExtra: faster-coco-eval is not installed.
    """
    coco, evaluator = library()
    check_parallel(labels, predictions)
    if labels.classes:
        measured = oks_by_class(labels, predictions).values()
        columns = {name: [each[name] for each in measured if not np.isnan(each[name])] for name in NAMES}
        return {name: float(np.mean(column)) if column else float("nan") for name, column in columns.items()}
    ground_truth = coco(
        {
            "images": [
                {"id": i, "height": image.size[0], "width": image.size[1]} for i, image in enumerate(labels.images)
            ],
            "categories": [{"id": 1, "name": labels.skeleton.name}],
            "annotations": _numbered(
                row for i, image in enumerate(labels) for row in _annotation_rows(i, image.annotation)
            ),
        }
    )
    results = ground_truth.loadRes(
        _numbered(row for i, poses in enumerate(predictions) for row in _prediction_rows(i, poses))
    )
    evaluation = evaluator(ground_truth, results, "keypoints", kpt_oks_sigmas=list(labels.skeleton.sigmas))
    evaluation.params.catIds = [1]  # without annotations the library would take no category
    evaluation.params.maxDets = [MAX_DETECTIONS]
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    values = evaluation.stats_as_dict
    return {name: 100 * values[key] if values[key] >= 0 else float("nan") for name, key in NAMES.items()}


def oks_by_class(labels: Labels, predictions: Sequence[Poses]) -> dict[str, dict[str, float]]:
    """Returns the metrics of `oks_metrics` for each class by name; NaN for a class without annotated instances.

    Raises:
        LabelError: The predictions have other classes than the labels.
        MissingExtra: faster-coco-eval is not installed.
    """
    check_parallel(labels, predictions)
    if any(poses.class_names != labels.classes for poses in predictions):
        raise LabelError(f"the predictions have other classes than the labels: expected {', '.join(labels.classes)}")
    results = {}
    for index, name in enumerate(labels.classes):
        images = tuple(_of_class(image, index) for image in labels)
        if not any(image.annotation.labeled.any() for image in images):
            results[name] = dict.fromkeys(NAMES, float("nan"))
            continue
        own = [poses[_rows_of(poses, index)].in_classes(()) for poses in predictions]
        results[name] = oks_metrics(replace(labels, images=images, classes=()), own)
    return results


def library() -> tuple[Any, Any]:
    """Returns faster-coco-eval's classes of labels and of evaluations. Raises MissingExtra if it is not installed."""
    try:
        from faster_coco_eval import COCO, COCOeval_faster
    except ImportError:
        raise MissingExtra("faster-coco-eval", "train") from None
    return COCO, COCOeval_faster


def similarity(annotation: Annotation, keypoints: NDArray[Any], sigmas: Sequence[float]) -> NDArray[np.float64]:
    """Returns (P, G) object keypoint similarity of P predictions and G annotated instances.

    It is the mean of exp(-d² / (2·area·(2·sigma)²)) over the labeled keypoints. A keypoint that was not detected
    contributes 0. The similarity to an instance that is not labeled is 0.

    Args:
        annotation: G annotated instances.
        keypoints: (P, K, 2) predicted keypoints in pixels; NaN where not detected.
        sigmas: (K,) OKS sigmas.
    """
    labeled = (annotation.visibility > 0) & annotation.labeled[:, None]
    each = keypoint_similarity(annotation, keypoints, sigmas) * labeled
    result: NDArray[np.float64] = each.sum(axis=-1) / np.maximum(labeled.sum(axis=-1), 1)
    return result


def keypoint_similarity(
    annotation: Annotation, keypoints: NDArray[Any], sigmas: Sequence[float]
) -> NDArray[np.float64]:
    """Returns (P, G, K) the term of each keypoint in the similarity; 0 where not detected or not labeled.

    Args:
        annotation: G annotated instances.
        keypoints: (P, K, 2) predicted keypoints in pixels; NaN where not detected.
        sigmas: (K,) OKS sigmas.
    """
    return similarity_terms(keypoints, annotation.keypoints, annotation.areas, sigmas)


def match(annotation: Annotation, poses: Poses, min_similarity: float = 0.1) -> NDArray[np.int64]:
    """Returns (G,) the row of the prediction of each annotated instance; -1 for none.

    Pairs are formed by decreasing similarity, down to `min_similarity`. Scores are not used: the pairs serve to measure
    distances. An area that the instance cannot have is replaced by that of its box or keypoints, so that PCK does not
    depend on a wrong area. Where both have classes, the two of a pair have the same.
    """
    partner = np.full(len(annotation), -1)
    areas = np.where(areas_fit(annotation), annotation.areas, reference_areas(annotation).astype(np.float32))
    similarities = similarity(replace(annotation, areas=areas), poses.keypoints, poses.skeleton.sigmas)
    if annotation.classes is not None and poses.classes is not None:
        similarities[poses.classes[:, None] != annotation.classes] = -1
    for _ in range(min(similarities.shape)):
        predicted, annotated = np.unravel_index(int(similarities.argmax()), similarities.shape)
        if similarities[predicted, annotated] < min_similarity:
            break
        partner[annotated] = predicted
        similarities[predicted], similarities[:, annotated] = -1, -1
    return partner


def check_parallel(labels: Labels, predictions: Sequence[Poses]) -> None:
    """Raises LabelError unless there is one prediction per image, in the joints of the labels."""
    if len(predictions) != len(labels):
        raise LabelError(f"expected predictions for {len(labels)} labeled images, got {len(predictions)}")
    for poses in predictions:
        if poses.skeleton.joints != labels.skeleton.joints:
            raise LabelError(
                f"the predictions have the joints of {poses.skeleton.name} ({len(poses.skeleton)}), the labels those "
                f"of {labels.skeleton.name} ({len(labels.skeleton)}): map the labels first"
            )


def _of_class(image: LabeledImage, index: int) -> LabeledImage:
    """The image with the annotations of one class."""
    classes = image.annotation.classes
    rows = np.flatnonzero(np.zeros(0) if classes is None else classes == index)
    return replace(image, annotation=image.annotation[rows])


def _rows_of(poses: Poses, index: int) -> NDArray[np.intp]:
    """The rows of one class."""
    return np.zeros(0, np.intp) if poses.classes is None else np.flatnonzero(poses.classes == index)


def _annotation_rows(image: int, annotation: Annotation) -> list[dict[str, Any]]:
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


def _prediction_rows(image: int, poses: Poses) -> list[dict[str, Any]]:
    poses = poses[np.flatnonzero(poses.detected.any(axis=1))]
    placed = np.where(poses.detected[..., None], poses.keypoints, FAR_AWAY).astype(np.float64)
    points = np.concatenate([placed, poses.confidence[..., None]], axis=2)
    # With a box, the library takes the area from the box and not from keypoints that are far away.
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


def _numbered(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Adds IDs from 1: the library takes an ID of 0 as 'unmatched'."""
    return [{"id": number, **row} for number, row in enumerate(rows, start=1)]
