"""Runs a predictor over labeled images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from cairn.datasets.labels import LabeledImage, Labels
from cairn.errors import LabelError
from cairn.inference.predictor import large_enough
from cairn.structures.annotation import Annotation
from cairn.structures.poses import Poses
from cairn.structures.skeleton import Skeleton

Progress = Callable[[int], None]
"""Called with the number of images done."""

Predict = Callable[..., Poses]
"""`predict(image)` returns the poses of an image. For the task "crop", `predict(image, boxes=(P, 4))` returns one pose
per bounding box, in the order of the boxes."""


def annotated_instances(image: LabeledImage) -> Annotation:
    """Returns the instances that are evaluated: no crowds, and at least one labeled keypoint."""
    return image.annotation[np.flatnonzero(image.annotation.labeled)]


def predict_all_images(predict: Predict, labels: Labels, progress: Progress | None = None) -> Iterator[Poses]:
    """Yields the predictions for each whole image."""
    for number, image in enumerate(labels, start=1):
        yield replace(predict(image.path), image=None)  # not every image at once in memory
        if progress:
            progress(number)


def predict_all_boxes(predict: Predict, labels: Labels, progress: Progress | None = None) -> Iterator[Poses]:
    """Yields the predictions for the annotated bounding boxes of each image."""
    for number, image in enumerate(labels, start=1):
        yield replace(predict_annotated_boxes(predict, image, labels.skeleton), image=None)
        if progress:
            progress(number)


def predict_annotated_boxes(predict: Predict, image: LabeledImage, skeleton: Skeleton) -> Poses:
    """Returns one pose per annotated instance of an image.

    Args:
        predict: A predictor of one instance per bounding box.
        image: The image with its annotations.
        skeleton: The skeleton of the empty result for an image without annotated instances.

    Raises:
        LabelError: A bounding box cannot be used.
    """
    instances = annotated_instances(image)
    try:
        return predict(image.path, boxes=large_enough(instances.boxes)) if len(instances) else Poses.empty(skeleton)
    except LabelError as error:
        raise LabelError(f"{image.path}: {error}") from None


def predict_in_skeleton(predict: Predict, skeleton: Skeleton, labels: Labels) -> Predict:
    """Returns a predictor whose poses have the skeleton of the labels (`Poses.mapped`).

    Args:
        predict: The predictor to wrap.
        skeleton: The skeleton of its poses.
        labels: The labels to evaluate on.

    Raises:
        LabelError: The labels have a keypoint that the predictor cannot produce. It would be missed in every image.
    """
    target = labels.skeleton
    available = [bool(parts) for parts in target.parts_in(skeleton)]
    missing = [
        joint
        for joint, there, known in zip(target.joints, available, labels.labeled_joints, strict=True)
        if known > there
    ]
    if missing:
        raise LabelError(
            f"the labels have keypoints of {target.name} that the model's skeleton {skeleton.name} does not have: "
            f"{', '.join(missing)}"
        )
    return lambda *image, **boxes: predict(*image, **boxes).mapped(target)
