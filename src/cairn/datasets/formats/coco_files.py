"""Files in COCO format that hold one split each, read as one data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.formats import coco
from cairn.datasets.formats.format import ReadOptions
from cairn.datasets.formats.splits import images_apart
from cairn.datasets.labels import LabeledImage, Labels
from cairn.errors import LabelError
from cairn.structures.annotation import Annotation


@dataclass(frozen=True)
class AnnotationFile:
    """A file in COCO format.

    Attributes:
        path: Path of the file.
        split: The split that it holds.
        images: Folder of its images; None searches for it.
    """

    path: Path
    split: str | None = None
    images: Path | None = None


def read_files(files: Sequence[AnnotationFile], source: Path, options: ReadOptions) -> Labels:
    """Reads annotation files of several splits as one data set.

    Raises:
        LabelError: A file is invalid, the files have different joints, or the split that is asked for has no file.
    """
    chosen = [file for file in files if options.split in (None, file.split)]
    if not chosen:
        known = ", ".join(dict.fromkeys(file.split or "none" for file in files))
        raise LabelError(f"{source} has no annotation file of the split {options.split}: it has {known}")
    parts = []
    for file in chosen:
        own = replace(options, split=None, images=file.images or options.images)
        assert coco.FORMAT.read is not None
        labels = coco.FORMAT.read(file.path, own)
        parts.append(replace(labels, images=tuple(replace(image, split=file.split) for image in labels)))
    labels = joined(parts, source)
    if not labels.splits:
        return labels
    found = {split: [image.path for image in labels.of_split(split)] for split in labels.splits}
    apart = {split: set(paths) for split, paths in images_apart(found, source, options.split, options.problems).items()}
    kept = [image for image in labels if image.split is None or image.path in apart.get(image.split, ())]
    return replace(labels, images=tuple(kept))


def joined(parts: Sequence[Labels], source: Path) -> Labels:
    """Returns the images of several labels as one data set, in the skeleton of the first.

    Images are numbered anew where numbers occur twice. Classes are matched by name.

    Raises:
        LabelError: The labels have different joints.
    """
    if len(parts) == 1:
        return parts[0]
    skeleton = parts[0].skeleton
    for part in parts:
        if set(part.skeleton.joints) != set(skeleton.joints):
            raise LabelError(
                f"{source}: its annotation files have different joints: {skeleton.name} ({len(skeleton)}) and "
                f"{part.skeleton.name} ({len(part.skeleton)})"
            )
    mapped = [part.mapped(skeleton) for part in parts]
    own_classes = [part.classes or (part.skeleton.name,) for part in parts]
    classes = tuple(dict.fromkeys(name for names in own_classes for name in names))
    several = any(part.classes for part in parts)
    tracked = any(image.annotation.tracks is not None for part in parts for image in part)
    images: list[LabeledImage] = []
    for part, names in zip(mapped, own_classes, strict=True):
        index_of = np.array([classes.index(name) for name in names], np.int64)
        for image in part:
            annotation = _with_columns(image.annotation, index_of if several else None, tracked)
            images.append(replace(image, annotation=annotation))
    if len({image.id for image in images}) < len(images):
        images = [replace(image, id=number) for number, image in enumerate(images, start=1)]
    labeled = np.any([part.labeled_joints for part in mapped], axis=0)
    return Labels(skeleton, tuple(images), labeled, classes if several else ())


def _with_columns(annotation: Annotation, index_of: NDArray[np.int64] | None, tracked: bool) -> Annotation:
    """The annotation with the columns that the joined data set has."""
    if index_of is not None:
        own = annotation.classes if annotation.classes is not None else np.zeros(len(annotation), np.int64)
        annotation = replace(annotation, classes=index_of[own])
    if tracked and annotation.tracks is None:
        annotation = replace(annotation, tracks=np.full(len(annotation), -1, np.int64))
    return annotation
