"""Labelled people, one by one, gathered into Labels: what the readers of published sets have in common."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cairn.annotations.coco_rows import AREA_PER_BOX
from cairn.annotations.labels import LabelledPicture, Labels
from cairn.errors import ImageError, LabelError
from cairn.image import image_size
from cairn.poses import Annotation
from cairn.skeleton import Skeleton

Split = Literal["train", "val"]
"""A part of a set, where one file holds several."""

HUMAN = 200.0  # pixels: the height of a person of scale 1; MPII
MARGIN = 1.25  # of a crop around a box: `InputSpec.margin` puts it there


@dataclass(frozen=True)
class Person:
    """One labelled person.

    picture     name of the file
    keypoints   (K, 2) pixels counted from 0, NaN where not labelled
    hidden      (K,) bool, of those that are labelled
    box         x, y, width, height; None draws it around the joints
    head        diagonal of the head box in pixels, NaN where there is none
    """

    picture: str
    keypoints: NDArray[np.float64]
    hidden: NDArray[np.bool_]
    box: tuple[float, float, float, float] | None = None
    head: float = float("nan")


def gather(
    people: Iterable[Person], skeleton: Skeleton, source: Path, images: Path | None, heads: bool = False
) -> Labels:
    """Labels of people, picture by picture in the order in which they first appear.

    images  folder of the pictures; None takes `images` beside the source, or else its own folder
    heads   the source has head boxes
    Raises LabelError where nobody has a labelled joint, or pictures are missing.
    """
    by_picture: dict[str, list[Person]] = {}
    for person in people:
        labelled = person.keypoints[~np.isnan(person.keypoints).any(axis=1)]
        if len(labelled) or person.box is not None:
            by_picture.setdefault(person.picture, []).append(person)
    if not any(np.isfinite(person.keypoints).any() for group in by_picture.values() for person in group):
        raise LabelError(f"{source}: nobody has a labelled joint")
    beside = source.parent / "images"
    folder = images or (beside if beside.is_dir() else source.parent)
    missing = [name for name in by_picture if not (folder / name).is_file()]
    if missing:
        raise LabelError(
            f"{source}: {len(missing)} of {len(by_picture)} pictures are missing, the first is "
            f"{folder / missing[0]}: say where they lie with --images"
        )
    pictures = []
    for number, (name, group) in enumerate(by_picture.items(), start=1):
        try:
            size = image_size(folder / name)
        except ImageError as error:
            raise LabelError(f"{source}: {error}") from None
        pictures.append(LabelledPicture(number, folder / name, size, _annotation(group, heads)))
    known = np.any([np.any(picture.annotation.visibility > 0, axis=0) for picture in pictures], axis=0)
    return Labels(skeleton, tuple(pictures), np.asarray(known))


def square(center: tuple[float, float], side: float) -> tuple[float, float, float, float]:
    """The box of a square around its centre."""
    return center[0] - side / 2, center[1] - side / 2, side, side


def in_split(entries: Iterable[tuple[bool, Person]], split: Split | None) -> Iterator[Person]:
    """The people of a part: (belongs to training, person)."""
    return (person for training, person in entries if split is None or training == (split == "train"))


def _annotation(group: list[Person], heads: bool) -> Annotation:
    keypoints = np.stack([person.keypoints for person in group])
    labelled = np.all(np.isfinite(keypoints), axis=2)
    hidden = np.stack([person.hidden for person in group])
    tight = [_around(points[there]) for points, there in zip(keypoints, labelled, strict=True)]
    # OKS wants the area of the person, and a published box is that of a crop.
    boxes = [person.box or around for person, around in zip(group, tight, strict=True)]
    sizes = [around if there.any() else box for around, box, there in zip(tight, boxes, labelled, strict=True)]
    return Annotation(
        keypoints=keypoints.astype(np.float32),
        visibility=np.where(labelled, np.where(hidden, 1, 2), 0).astype(np.uint8),
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        areas=np.array([AREA_PER_BOX * box[2] * box[3] for box in sizes], np.float32),
        crowd=np.zeros(len(group), bool),
        heads=np.array([person.head for person in group], np.float32) if heads else None,
    )


def _around(points: NDArray[np.float64]) -> tuple[float, float, float, float]:
    if not len(points):
        return 0.0, 0.0, 0.0, 0.0
    (x, y), (width, height) = points.min(axis=0).tolist(), np.ptp(points, axis=0).tolist()
    return x, y, width, height
