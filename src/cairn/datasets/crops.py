"""Crops of labeled images: a square around each instance, which the labels move into."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.labels import LabeledImage, Labels
from cairn.datasets.motion import with_motion_boxes
from cairn.datasets.problems import Problems
from cairn.errors import CairnError, LabelError
from cairn.inference.boxes import MIN_CROP, overlapping
from cairn.structures.annotation import Annotation
from cairn.structures.geometry import Affine

CropBy = Literal["boxes", "landmarks", "motion"]
"""What a crop is around: the bounding box of the labels, that of the labeled keypoints, or what moves in the image."""

MARGIN = 1.25
"""Default side of a crop over the longer side of its box, as of `InputSpec.margin`."""


@dataclass(frozen=True, eq=False)
class Crop:
    """One instance to crop.

    Attributes:
        image: Its image.
        row: Its row in the annotation of the image.
        box: (4,) x, y, width, height in pixels that the crop is around.
    """

    image: LabeledImage
    row: int
    box: NDArray[np.float64]


def check_crop(by: str, margin: float) -> CropBy:
    """Returns what crops are by. Raises CairnError for a value that does not exist."""
    known: CropBy | None = next((each for each in get_args(CropBy) if each == by), None)
    if known is None:
        raise CairnError(f"crops are by {', '.join(get_args(CropBy)[:-1])} or {get_args(CropBy)[-1]}, got {by!r}")
    if not 0 < margin < float("inf"):
        raise CairnError(f"the margin of crops must be positive, got {margin:g}")
    return known


def crops_of(labels: Labels, by: CropBy, margin: float, problems: Problems) -> list[Crop]:
    """Returns the instances of labels that can be cropped, in order; crowd regions are none.

    Args:
        labels: The labels.
        by: What the crops are around.
        margin: Side of a crop over the longer side of its box.
        problems: Collects notes about the others.

    Raises:
        LabelError: There is none.
    """
    crops = []
    if by == "motion":
        labels = with_motion_boxes(labels, problems)
    for image in labels:
        rows = image.annotation
        boxes = bounding_boxes(rows) if by == "landmarks" else rows.boxes
        sides = margin * boxes.max(axis=1, initial=0, where=np.array([False, False, True, True]))
        usable = np.isfinite(boxes).all(axis=1) & (sides >= MIN_CROP) & overlapping(boxes, image.size)
        for i in np.flatnonzero(~rows.crowd).tolist():
            if usable[i]:
                crops.append(Crop(image, i, boxes[i].astype(np.float64)))
            else:
                what = "extent of its keypoints" if by == "landmarks" else "bounding box"
                problems.note(
                    f"instances are not cropped, because the {what} is outside the image or gives a crop below "
                    f"{MIN_CROP} pixels",
                    f"instance {i + 1} of {image.path.name}",
                )
    if not crops:
        raise LabelError(f"no instance can be cropped by {by}")
    return crops


def bounding_boxes(rows: Annotation) -> NDArray[np.float32]:
    """Returns the (P, 4) boxes x, y, width, height of the labeled keypoints; NaN where none is labeled."""
    points = np.where((rows.visibility > 0)[..., None], rows.keypoints, np.nan)
    low = np.where(np.isnan(points), np.inf, points).min(axis=1, initial=np.inf)
    high = np.where(np.isnan(points), -np.inf, points).max(axis=1, initial=-np.inf)
    boxes = np.concatenate([low, high - low], axis=1)
    return np.where(np.isfinite(boxes).all(axis=1, keepdims=True), boxes, np.nan).astype(np.float32)


def square_around(box: Sequence[float] | NDArray[np.floating], margin: float) -> tuple[tuple[float, float], float]:
    """Returns center and side in pixels of the square crop around a box, as `TopDownPredictor` takes it."""
    x, y, width, height = (float(value) for value in box)
    return (x + width / 2, y + height / 2), margin * max(width, height)


def moved(annotation: Annotation, affine: Affine) -> Annotation:
    """Returns instances in the pixels of a crop.

    Args:
        annotation: Instances in the pixels of the image.
        affine: Map from the image to the crop: a scaling and a shift.
    """
    scale = affine.scale
    corners, extents = affine.apply(annotation.boxes[:, :2]), annotation.boxes[:, 2:] * scale
    return replace(
        annotation,
        keypoints=affine.apply(annotation.keypoints).astype(np.float32),
        boxes=np.concatenate([corners, extents], axis=1).astype(np.float32),
        areas=(annotation.areas * scale**2).astype(np.float32),
        heads=None if annotation.heads is None else (annotation.heads * scale).astype(np.float32),
    )
