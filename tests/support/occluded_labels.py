"""Images of shapes some of whose keypoints are occluded."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from cairn.datasets.classes import in_classes
from cairn.datasets.labels import Labels
from support.made_classes import class_labels


def occluded_labels(folder: Path, images: int = 6, seed: int = 0) -> Labels:
    """Returns labels whose last keypoint is occluded in every second instance, and whose first is once not labeled."""
    labels = in_classes(class_labels(folder, images, seed=seed), ())
    result = []
    for number, image in enumerate(labels):
        visibility = image.annotation.visibility.copy()
        visibility[number % 2 :: 2, 2] = 1
        visibility[0, 0] = 0
        points = np.where(visibility[..., None] > 0, image.annotation.keypoints, np.float32(np.nan))
        result.append(replace(image, annotation=replace(image.annotation, visibility=visibility, keypoints=points)))
    return replace(labels, images=tuple(result))
