"""Annotated instances one by one, collected into `Labels`: the common part of most readers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.image_files import locate_images
from cairn.datasets.labels import LabeledImage, Labels
from cairn.datasets.problems import Problems
from cairn.errors import ImageError, LabelError
from cairn.media.images import image_size
from cairn.structures.annotation import AREA_PER_BOX, MAX_VALUE, Annotation
from cairn.structures.geometry import Size
from cairn.structures.skeleton import Skeleton

PERSON_HEIGHT = 200.0
"""Height in pixels of a person of scale 1 (MPII)."""

CROP_MARGIN = 1.25
"""Side of a published crop over the side of its box; `InputSpec.margin` applies it."""


Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Instance:
    """One annotated instance.

    Attributes:
        image: Name of the image.
        keypoints: (K, 2) (x, y) in pixels counted from 0; NaN where not labeled.
        occluded: (K,) bool, which of the labeled keypoints are occluded.
        box: Bounding box x, y, width, height; None computes it from the keypoints.
        head: Diagonal of the head box in pixels; NaN where there is none.
        area: Area in square pixels, as OKS uses it; None takes a share of the box of the keypoints.
        track: Track ID in the images of a video; -1 where unknown.
        crowd: Whether it is a region of several unlabeled instances.
        category: Index of its category, where the labels have several.
    """

    image: str
    keypoints: NDArray[np.float64]
    occluded: NDArray[np.bool_]
    box: Box | None = None
    head: float = float("nan")
    area: float | None = None
    track: int = -1
    crowd: bool = False
    category: int = 0


@dataclass(frozen=True)
class ListedImage:
    """An image that a label file lists, with or without instances.

    Attributes:
        name: Name of the image.
        size: (height, width) where the file states it; None reads it from the image.
        groups: Groups of the image; see `LabeledImage`.
        frame: Frame number; see `LabeledImage`.
        split: Split of the image; see `LabeledImage`.
    """

    name: str
    size: Size | None = None
    groups: tuple[str, ...] = ()
    frame: int | None = None
    split: str | None = None


def collect(
    instances: Iterable[Instance],
    skeleton: Skeleton,
    source: Path,
    images: Path | None,
    listed: Iterable[ListedImage] = (),
    heads: bool = False,
    problems: Problems | None = None,
    classes: Sequence[str] = (),
) -> Labels:
    """Returns labels image by image: the listed images, then the others in order of first appearance.

    Args:
        instances: The annotated instances of all images.
        skeleton: Their skeleton.
        source: The label file.
        images: Folder of the images; None searches where tools put them (see `image_files`).
        listed: Images that the file lists.
        heads: Whether the file has head boxes.
        problems: Collects skipped records; None raises at the first.
        classes: Names of the categories, where the labels have several.

    Raises:
        LabelError: No instance has a labeled joint, or images are missing.
    """
    problems = problems or Problems()
    entries = {entry.name: entry for entry in listed}
    by_image: dict[str, list[Instance]] = {name: [] for name in entries}
    for instance in instances:
        if is_annotated(instance):
            by_image.setdefault(instance.image, []).append(instance)
    if not any(np.isfinite(instance.keypoints).any() for group in by_image.values() for instance in group):
        raise LabelError(f"{source}: no instance has a labeled joint")
    paths = locate_images(list(by_image), source, images, problems)
    result: list[LabeledImage] = []
    for number, ((name, group), path) in enumerate(zip(by_image.items(), paths, strict=True), start=1):
        if path is None:
            continue
        entry = entries.get(name, ListedImage(name))
        with problems:
            size = entry.size or _size_of(path, source)
            annotation = _annotation(group, heads, len(skeleton), several_classes=len(classes) > 1)
            result.append(LabeledImage(number, path, size, annotation, entry.groups, entry.frame, entry.split))
    if not any(image.annotation.labeled.any() for image in result):
        raise LabelError(f"{source}: no instance has a labeled joint in a readable image")
    if any(image.annotation.tracks is not None for image in result):
        result = [replace(image, annotation=_with_tracks(image.annotation)) for image in result]
    labeled = np.any([np.any(image.annotation.visibility > 0, axis=0) for image in result], axis=0)
    return Labels(skeleton, tuple(result), np.asarray(labeled), tuple(classes) if len(classes) > 1 else ())


def checked_points(points: NDArray[Any], record: str) -> NDArray[np.float64]:
    """Returns (K, 2) keypoints; one with a missing coordinate becomes NaN.

    Args:
        points: (K, 2) coordinates.
        record: Name of the record in messages.

    Raises:
        LabelError: A coordinate is infinite or exceeds single precision.
    """
    points = np.asarray(points, dtype=np.float64).reshape(-1, 2)
    wrong = np.abs(points) > MAX_VALUE  # false for NaN
    if wrong.any():
        i = int(wrong.any(axis=1).argmax())
        raise LabelError(f"{record}: joint {i + 1} is at {points[i].tolist()}: expected finite numbers")
    return np.where(np.isnan(points).any(axis=1, keepdims=True), np.nan, points)


def square(center: tuple[float, float], side: float) -> Box:
    """Returns the box of a square by its center."""
    return center[0] - side / 2, center[1] - side / 2, side, side


def is_annotated(instance: Instance) -> bool:
    """Returns whether an instance has a labeled joint or a box."""
    return instance.box is not None or bool(np.isfinite(instance.keypoints).all(axis=1).any())


def _annotation(group: list[Instance], heads: bool, joints: int, several_classes: bool) -> Annotation:
    keypoints = np.array([instance.keypoints for instance in group], np.float64).reshape(-1, joints, 2)
    labeled = np.all(np.isfinite(keypoints), axis=2)
    occluded = np.array([instance.occluded for instance in group], bool).reshape(-1, joints)
    tight = [_bounding_box(points[row]) for points, row in zip(keypoints, labeled, strict=True)]
    # OKS needs the area of the person; a published box is that of a crop.
    boxes = [instance.box or box for instance, box in zip(group, tight, strict=True)]
    extents = [own if row.any() else box for own, box, row in zip(tight, boxes, labeled, strict=True)]
    areas = [
        AREA_PER_BOX * box[2] * box[3] if instance.area is None else instance.area
        for instance, box in zip(group, extents, strict=True)
    ]
    tracks = np.array([instance.track for instance in group], np.int64)
    return Annotation(
        keypoints=keypoints.astype(np.float32),
        visibility=np.where(labeled, np.where(occluded, 1, 2), 0).astype(np.uint8),
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        areas=np.array(areas, np.float32),
        crowd=np.array([instance.crowd for instance in group], bool),
        heads=np.array([instance.head for instance in group], np.float32) if heads else None,
        tracks=tracks if (tracks >= 0).any() else None,
        classes=np.array([instance.category for instance in group], np.int64) if several_classes else None,
    )


def _with_tracks(annotation: Annotation) -> Annotation:
    """Adds the array of track IDs to an image without tracked instances, in a data set that has tracks."""
    return annotation if annotation.tracks is not None else replace(annotation, tracks=np.full(len(annotation), -1))


def _size_of(path: Path, source: Path) -> Size:
    try:
        return image_size(path)
    except ImageError as error:
        raise LabelError(f"{source}: {error}") from None


def _bounding_box(points: NDArray[np.float64]) -> Box:
    if not len(points):
        return 0.0, 0.0, 0.0, 0.0
    (x, y), (width, height) = points.min(axis=0).tolist(), np.ptp(points, axis=0).tolist()
    return x, y, width, height
