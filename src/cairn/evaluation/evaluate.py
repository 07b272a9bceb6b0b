"""Evaluation of a model on labels. The command `evaluate` and validation during training both use it."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from cairn.datasets.labels import Labels
from cairn.evaluation.classes import ClassResult, align, by_class, class_accuracy
from cairn.evaluation.keypoint_metrics import MeanError, Pck, measure_error, measure_pck
from cairn.evaluation.metrics.mpii import JointPrecision, joint_precision
from cairn.evaluation.metrics.oks import library, oks_metrics
from cairn.evaluation.metrics.pck import Mean
from cairn.evaluation.metrics.visibility import VisibilityResult, measure_visibility
from cairn.evaluation.pairing import Pairs, pair_instances
from cairn.evaluation.prediction import Predict, Progress, annotated_instances
from cairn.evaluation.protocols import Protocol, default_protocol
from cairn.evaluation.tasks import TASKS
from cairn.inference.model_spec import Task
from cairn.structures.annotation import Annotation
from cairn.structures.poses import Poses


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The metrics of a model on labels.

    Attributes:
        labels: The ground truth.
        predictions: One `Poses` per image of the labels.
        task: The task of the model, which determines how predictions are paired with the labels.
        pairs: Annotated instances and their predictions.
        pck: Over all annotated instances; the keypoints of a missed instance count as wrong.
        error: NME of the detected keypoints.
        oks: COCO's metrics by name, in percent; None for a task that does not measure OKS.
        ap: MPII's mAP of joints, under its protocol; None under another protocol or where `oks` is None.
        pck_detected: PCK over the detected instances; None where `oks` is None or no instance can be measured.
        seconds: Time per image, with reading it; NaN for predictions that were made elsewhere.
        classes: Metrics of each class with annotated instances; none where labels or predictions have one class.
        class_accuracy: Percentage of detected instances with the right class, matched regardless of class; NaN without
            classes.
        class_note: Why classes are ignored, or which of them the model lacks; empty where there is nothing to say.
        visibility: How well visible and occluded keypoints are separated; None where the model does not predict it.
    """

    labels: Labels
    predictions: tuple[Poses, ...]
    task: Task
    pairs: Pairs
    pck: Pck
    error: MeanError
    oks: dict[str, float] | None
    ap: JointPrecision | None
    pck_detected: Pck | None
    seconds: float
    classes: tuple[ClassResult, ...] = ()
    class_accuracy: float = float("nan")
    class_note: str = ""
    visibility: VisibilityResult | None = None


def evaluate(
    predict: Predict,
    labels: Labels,
    task: Task = "multi_instance",
    protocol: Protocol | None = None,
    threshold: float | None = None,
    mean: Mean = "joints",
    progress: Progress | None = None,
) -> Evaluation:
    """Runs a predictor over labels and measures it.

    Args:
        predict: Called with the path of each image, and with `boxes` for the task "crop".
        labels: The ground truth.
        task: The task of the model. "multi_instance" is measured by OKS AP and PCK; "single_instance" and "crop" are
            measured by PCK. "crop" gets the annotated bounding boxes as input.
        protocol: Defines the reference length of PCK; None takes the default for these labels.
        threshold: Threshold of PCK in reference lengths; None takes the protocol's default.
        mean: How PCK is averaged over keypoints.
        progress: Called with the number of images done.

    Raises:
        ImageError: An image cannot be read.
        LabelError: The labels do not suit the model or the protocol.
        MissingExtra: OKS is measured and faster-coco-eval is not installed.
    """
    rules = TASKS[task]
    # Check the protocol and the installation before the first image, not after the last one.
    ground_truth = Annotation.concatenate([annotated_instances(image) for image in labels])
    protocol = protocol or default_protocol(ground_truth, labels.skeleton)
    protocol.lengths(ground_truth, labels.skeleton)
    if rules.measures_oks:
        library()
    begun = time.perf_counter()  # includes decoding the image files
    predictions = tuple(rules.predict(predict, labels, progress))
    seconds = (time.perf_counter() - begun) / len(labels)
    return measure(labels, predictions, task, protocol, threshold, mean, seconds)


def measure(
    labels: Labels,
    predictions: tuple[Poses, ...],
    task: Task = "multi_instance",
    protocol: Protocol | None = None,
    threshold: float | None = None,
    mean: Mean = "joints",
    seconds: float = float("nan"),
) -> Evaluation:
    """Returns the metrics of given predictions; see `evaluate`.

    Instances are matched within classes where labels and predictions have some; see `evaluation.classes`.

    Args:
        labels: The ground truth.
        predictions: One `Poses` per image of the labels, in their order.
        task: The task of the model.
        protocol: Defines the reference length of PCK; None takes the default for these labels.
        threshold: Threshold of PCK in reference lengths; None takes the protocol's default.
        mean: How PCK is averaged over keypoints.
        seconds: Time per image, to report.

    Raises:
        LabelError: The labels do not suit the predictions or the protocol.
        MissingExtra: OKS is measured and faster-coco-eval is not installed.
    """
    aligned = align(labels, predictions)
    labels, predictions = aligned.labels, aligned.predictions
    pairs = pair_instances(labels, predictions, task)
    selected = protocol or default_protocol(pairs.ground_truth, labels.skeleton)
    detected = pairs[np.flatnonzero(pairs.matched)]
    oks = TASKS[task].measures_oks
    measurable = oks and bool((selected.length(detected.ground_truth, labels.skeleton) > 0).any())
    result = measure_pck(pairs, selected, threshold, mean)
    return Evaluation(
        labels=labels,
        predictions=predictions,
        task=task,
        pairs=pairs,
        pck=result,
        error=measure_error(pairs, selected.nme_protocol or selected),
        oks=oks_metrics(labels, predictions) if oks else None,
        ap=joint_precision(labels, predictions, selected, threshold) if oks and selected.name == "mpii" else None,
        pck_detected=measure_pck(detected, selected, threshold, mean) if measurable else None,
        seconds=seconds,
        classes=tuple(by_class(labels, predictions, pairs, result, oks)),
        class_accuracy=class_accuracy(labels, predictions, task),
        class_note=aligned.note,
        visibility=measure_visibility(labels, predictions, task),
    )
