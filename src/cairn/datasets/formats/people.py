"""Labeled people and other objects, one by one, gathered into Labels: what most readers have in common."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.formats.coco_rows import AREA_PER_BOX, LARGEST
from cairn.datasets.image_files import located
from cairn.datasets.labels import LabeledImage, Labels
from cairn.datasets.problems import Faults
from cairn.errors import ImageError, LabelError
from cairn.media.images import image_size
from cairn.structures.annotation import Annotation
from cairn.structures.geometry import Size
from cairn.structures.skeleton import Skeleton

Split = Literal["train", "val"]
"""A part of a set, where one file holds several."""

HUMAN = 200.0  # pixels: the height of a person of scale 1; MPII
MARGIN = 1.25  # of a crop around a box: `InputSpec.margin` puts it there


@dataclass(frozen=True)
class Person:
    """One labeled object.

    image     name of the file
    keypoints   (K, 2) pixels counted from 0, NaN where not labeled
    hidden      (K,) bool, of those that are labeled
    box         x, y, width, height; None draws it around the joints
    head        diagonal of the head box in pixels, NaN where there is none
    area        in square pixels, as OKS uses it; None takes a share of the box around the joints
    track       who it is in all images of a video, -1 where that is not known
    """

    image: str
    keypoints: NDArray[np.float64]
    hidden: NDArray[np.bool_]
    box: tuple[float, float, float, float] | None = None
    head: float = float("nan")
    area: float | None = None
    track: int = -1
    crowd: bool = False


@dataclass(frozen=True)
class Listed:
    """An image that labels list, with or without objects.

    size   (height, width) where the labels say so; None looks into the image
    kin, frame  as `LabeledImage` has them
    """

    name: str
    size: Size | None = None
    kin: tuple[str, ...] = ()
    frame: int | None = None


def gather(
    people: Iterable[Person],
    skeleton: Skeleton,
    source: Path,
    images: Path | None,
    heads: bool = False,
    listed: Iterable[Listed] = (),
    faults: Faults | None = None,
) -> Labels:
    """Labels of people, image by image: those listed, then others in the order in which they first appear.

    images  folder of the images; None looks where tools put them (see `image_files`)
    heads   the source has head boxes
    Raises LabelError where nobody has a labeled joint, or images are missing.
    """
    faults = faults or Faults()
    entries = {entry.name: entry for entry in listed}
    by_image: dict[str, list[Person]] = {name: [] for name in entries}
    for person in people:
        if np.isfinite(person.keypoints).all(axis=1).any() or person.box is not None:
            by_image.setdefault(person.image, []).append(person)
    if not any(np.isfinite(person.keypoints).any() for group in by_image.values() for person in group):
        raise LabelError(f"{source}: nobody has a labeled joint")
    paths = located(list(by_image), source, images, faults)
    found = []
    for number, ((name, group), path) in enumerate(zip(by_image.items(), paths, strict=True), start=1):
        if path is None:
            continue
        entry = entries.get(name, Listed(name))
        with faults:
            size = entry.size or _size_of(path, source)
            found.append(
                LabeledImage(number, path, size, _annotation(group, heads, len(skeleton)), entry.kin, entry.frame)
            )
    if not any(image.annotation.labeled.any() for image in found):
        raise LabelError(f"{source}: nobody has a labeled joint in an image that can be read")
    if any(image.annotation.tracks is not None for image in found):
        found = [replace(image, annotation=_tracked(image.annotation)) for image in found]
    known = np.any([np.any(image.annotation.visibility > 0, axis=0) for image in found], axis=0)
    return Labels(skeleton, tuple(found), np.asarray(known))


def placed(points: NDArray, record: str) -> NDArray[np.float64]:
    """(K, 2) points of an object, a point with one coordinate missing being none.

    Raises LabelError, which `record` begins, where a coordinate is infinite or beyond what single precision holds.
    """
    points = np.asarray(points, dtype=np.float64).reshape(-1, 2)
    wrong = np.abs(points) > LARGEST  # NaN is not
    if wrong.any():
        i = int(wrong.any(axis=1).argmax())
        raise LabelError(f"{record}: joint {i + 1} is at {points[i].tolist()}: expected finite numbers")
    return np.where(np.isnan(points).any(axis=1, keepdims=True), np.nan, points)


def square(center: tuple[float, float], side: float) -> tuple[float, float, float, float]:
    """The box of a square around its center."""
    return center[0] - side / 2, center[1] - side / 2, side, side


def in_split(entries: Iterable[tuple[bool, Person]], split: Split | None) -> Iterator[Person]:
    """The people of a part: (belongs to training, person)."""
    return (person for training, person in entries if split is None or training == (split == "train"))


def _annotation(group: list[Person], heads: bool, joints: int) -> Annotation:
    keypoints = np.array([person.keypoints for person in group], np.float64).reshape(-1, joints, 2)
    labeled = np.all(np.isfinite(keypoints), axis=2)
    hidden = np.array([person.hidden for person in group], bool).reshape(-1, joints)
    tight = [_around(points[there]) for points, there in zip(keypoints, labeled, strict=True)]
    # OKS wants the area of the person, and a published box is that of a crop.
    boxes = [person.box or around for person, around in zip(group, tight, strict=True)]
    sizes = [around if there.any() else box for around, box, there in zip(tight, boxes, labeled, strict=True)]
    areas = [
        AREA_PER_BOX * box[2] * box[3] if person.area is None else person.area
        for person, box in zip(group, sizes, strict=True)
    ]
    tracks = np.array([person.track for person in group], np.int64)
    return Annotation(
        keypoints=keypoints.astype(np.float32),
        visibility=np.where(labeled, np.where(hidden, 1, 2), 0).astype(np.uint8),
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        areas=np.array(areas, np.float32),
        crowd=np.array([person.crowd for person in group], bool),
        heads=np.array([person.head for person in group], np.float32) if heads else None,
        tracks=tracks if (tracks >= 0).any() else None,
    )


def _tracked(annotation: Annotation) -> Annotation:
    """Every image of a source that has tracks says so, also one in which nobody is followed."""
    return annotation if annotation.tracks is not None else replace(annotation, tracks=np.full(len(annotation), -1))


def _size_of(path: Path, source: Path) -> Size:
    try:
        return image_size(path)
    except ImageError as error:
        raise LabelError(f"{source}: {error}") from None


def _around(points: NDArray[np.float64]) -> tuple[float, float, float, float]:
    if not len(points):
        return 0.0, 0.0, 0.0, 0.0
    (x, y), (width, height) = points.min(axis=0).tolist(), np.ptp(points, axis=0).tolist()
    return x, y, width, height
