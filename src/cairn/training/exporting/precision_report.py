"""Costs and gains of lower precision: metric before and after, speed, size."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.labels import LabeledImage, Labels
from cairn.errors import ModelError
from cairn.evaluation.evaluate import evaluate
from cairn.evaluation.keypoint_metrics import measure_pck
from cairn.evaluation.metrics.summary import main_metric
from cairn.evaluation.pairing import pair_instances
from cairn.evaluation.prediction import annotated_instances, predict_all_images, predict_in_skeleton
from cairn.evaluation.protocols import DIAGONAL
from cairn.inference.model_spec import ModelSpec, Task
from cairn.inference.network import Network
from cairn.inference.predictor import large_enough
from cairn.media.images import image_size
from cairn.structures.annotation import AREA_PER_BOX, Annotation
from cairn.structures.poses import Poses

Calibration = Labels | Sequence[Path]
"""Images. For a model of crops, labels give the crops; else it gets the whole images."""

AGREEMENT = "keypoints of fp32 detected again, %:"
"""Name of the metric without labels: PCK against the detections of the original model."""


@dataclass(frozen=True)
class PrecisionReport:
    """Costs and gains of a model in lower precision.

    Attributes:
        metric: Name of the metric; "" if nothing could be measured.
        before: Value of the metric for the original model, in percent.
        after: Value of the metric for the quantized model, in percent.
        speed: Speed relative to the original: the network alone, on one core of this machine.
        megabytes: Size of the file.
    """

    metric: str
    before: float
    after: float
    speed: float
    megabytes: float

    def __str__(self) -> str:
        metric = f"{self.metric} {self.before:.2f} -> {self.after:.2f}, " if self.metric else ""
        return f"{metric}{self.speed:.1f}x as fast, {self.megabytes:.1f} MB"


def speedup(before: Network, after: Network, inputs: Sequence[NDArray[np.float32]]) -> float:
    """Returns the ratio of median CPU times, measured in alternation. Both networks should use one thread."""
    times: tuple[list[float], list[float]] = [], []
    for batch in (inputs[0], *inputs):  # the first one twice, to warm up
        for network, taken in zip((before, after), times, strict=True):
            started = time.process_time()
            network(batch)
            taken.append(time.process_time() - started)
    return statistics.median(times[0][1:]) / statistics.median(times[1][1:])


def compare_metrics(
    before: Any, after: Any, spec: ModelSpec, images: Calibration | None, validation: Labels | None
) -> tuple[str, float, float]:
    """Compares two predictors of one specification.

    Args:
        before: The predictor of the original model.
        after: The predictor of the quantized model.
        spec: Their specification.
        images: Images on which the detections of `before` are the ground truth if there are no labels.
        validation: Labels to measure on.

    Returns:
        Name of the metric, and its values before and after; "" and nan without images and labels.

    Raises:
        ModelError: There are no labels, and `before` detects nothing in the images.
    """
    if validation is not None:
        predictors = [predict_in_skeleton(predictor, spec.skeleton, validation) for predictor in (before, after)]
        (metric, first), (_, second) = (
            main_metric(evaluate(predictor, validation, spec.task)) for predictor in predictors
        )
        return metric, first, second
    if images is None:
        return "", float("nan"), float("nan")
    truth = pseudo_labels(before, spec, images)
    task: Task = "multi_instance" if spec.task == "multi_instance" else "single_instance"
    if not any(len(annotated_instances(image)) for image in truth):
        raise ModelError(f"{spec.name} detects nothing in the {len(images)} images: give others, or labels")
    pairs = pair_instances(truth, tuple(predict_all_images(after, truth)), task)
    return AGREEMENT, 100.0, measure_pck(pairs, DIAGONAL, mean="pooled").value


def pseudo_labels(predictor: Callable[[Path], Poses], spec: ModelSpec, images: Calibration) -> Labels:
    """Returns the detections of a model as labels."""
    labeled = []
    listed: Sequence[LabeledImage | Path] = images.images if isinstance(images, Labels) else images
    for i, image in enumerate(listed):
        path = path_of(image)
        poses = predictor(path)
        poses = poses[np.flatnonzero(poses.detected.any(axis=1))]
        boxes = large_enough(poses.boxes).astype(np.float32)
        annotation = Annotation(
            keypoints=np.where(poses.detected[..., None], poses.keypoints, np.float32(np.nan)),
            visibility=np.where(poses.detected, 2, 0).astype(np.uint8),
            boxes=boxes,
            areas=AREA_PER_BOX * boxes[:, 2] * boxes[:, 3],
            crowd=np.zeros(len(poses), bool),
            classes=poses.classes,
        )
        labeled.append(LabeledImage(i, path, image_size(path), annotation))
    return Labels(spec.skeleton, tuple(labeled), np.ones(len(spec.skeleton), bool), spec.classes)


def path_of(image: LabeledImage | Path) -> Path:
    """Returns the path of an image, labeled or not."""
    return image.path if isinstance(image, LabeledImage) else image
