"""Metrics by class, for labels and models that distinguish several.

Instances are matched within classes, as COCO does. Labels or models without classes are measured regardless of class,
which `Aligned.note` says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from cairn.datasets.classes import UNKNOWN, class_counts, in_classes
from cairn.datasets.labels import LabeledImage, Labels
from cairn.evaluation.keypoint_metrics import Pck
from cairn.evaluation.metrics.oks import oks_by_class
from cairn.evaluation.metrics.pck import average, count, pck
from cairn.evaluation.pairing import Pairs
from cairn.evaluation.prediction import annotated_instances
from cairn.evaluation.tasks import TASKS
from cairn.inference.model_spec import Task
from cairn.structures.poses import Poses


@dataclass(frozen=True)
class ClassResult:
    """The metrics of the instances of one class.

    Attributes:
        name: Name of the class.
        instances: Number of annotated instances.
        ap: OKS AP in percent; NaN without instances, and for a task that does not measure OKS.
        pck: PCK in percent, as that of all instances; NaN if none can be measured.
    """

    name: str
    instances: int
    ap: float
    pck: float


@dataclass(frozen=True, eq=False)
class Aligned:
    """Labels and predictions with the same classes in the same order, or both without.

    Attributes:
        labels: The ground truth.
        predictions: One `Poses` per image.
        note: Why classes are ignored, or which of them the model lacks; empty where there is nothing to say.
    """

    labels: Labels
    predictions: tuple[Poses, ...]
    note: str = ""


def align(labels: Labels, predictions: Sequence[Poses]) -> Aligned:
    """Returns labels and predictions with the same classes, matched by name.

    Classes that the model has and the labels do not are kept: their predictions match no annotated instance, and no
    metric has them.
    """
    theirs = tuple(dict.fromkeys(name for poses in predictions for name in poses.class_names))
    ours = labels.classes
    if not ours and not theirs:
        return Aligned(labels, tuple(predictions))
    note = ""
    if not theirs:
        note = f"the labels have the classes {', '.join(ours)}, the model has none"
    elif not ours:
        note = f"the model has the classes {', '.join(theirs)}, the labels have none"
    elif not set(ours) & set(theirs):
        note = f"the labels have the classes {', '.join(ours)}, the model has {', '.join(theirs)}: no name is the same"
    elif any(UNKNOWN in _classes_of(image) for image in in_classes(labels, ours)):
        note = "some labeled instances have no class"
    if note:
        plain = tuple(poses.in_classes(()) for poses in predictions)
        return Aligned(in_classes(labels, ()), plain, f"{note}: measured regardless of class")
    names = (*ours, *(name for name in theirs if name not in ours))
    aligned = in_classes(labels, names)
    counts = dict(zip(names, class_counts(aligned).tolist(), strict=True))
    lacking = [f"{name} ({counts[name]})" for name in ours if name not in theirs and counts[name]]
    if lacking:
        note = f"the model does not have these classes, whose labeled instances count as missed: {', '.join(lacking)}"
    return Aligned(aligned, tuple(poses.in_classes(names) for poses in predictions), note)


def _classes_of(image: LabeledImage) -> list[int]:
    """The classes of the annotated instances."""
    classes = annotated_instances(image).classes
    return [] if classes is None else classes.tolist()


def by_class(labels: Labels, predictions: Sequence[Poses], pairs: Pairs, result: Pck, oks: bool) -> list[ClassResult]:
    """Returns the metrics of each class that has annotated instances; none where the labels have one class.

    Args:
        labels: The ground truth, with the classes of the predictions (`align`).
        predictions: One `Poses` per image.
        pairs: Annotated instances and their predictions.
        result: PCK of all pairs.
        oks: Whether OKS is measured.
    """
    if not labels.classes or pairs.ground_truth.classes is None:
        return []
    aps = oks_by_class(labels, predictions) if oks else {}
    results = []
    for index, name in enumerate(labels.classes):
        rows = np.flatnonzero(pairs.ground_truth.classes == index)
        if not len(rows):
            continue
        errors = result.errors[rows]
        counted = np.where(result.counted > 0, count(errors), 0)
        value = average(pck(errors, result.threshold), counted, result.mean)
        results.append(ClassResult(name, len(rows), aps[name]["AP"] if oks else float("nan"), value))
    return results


def class_accuracy(labels: Labels, predictions: Sequence[Poses], task: Task) -> float:
    """Returns the percentage of detected instances with the right class, matched regardless of class; NaN for none.

    Args:
        labels: The ground truth, with the classes of the predictions (`align`).
        predictions: One `Poses` per image.
        task: The task of the model.
    """
    right = detected = 0
    for image, poses in zip(labels, predictions, strict=True):
        instances = annotated_instances(image)
        if instances.classes is None or poses.classes is None:
            continue
        partner = TASKS[task].pair(replace(instances, classes=None), poses.in_classes(()))
        matched = np.flatnonzero(partner >= 0)
        detected += len(matched)
        right += int((poses.classes[partner[matched]] == instances.classes[matched]).sum())
    return 100 * right / detected if detected else float("nan")
