"""Reads COCO keypoint files."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.formats.coco.annotations import read_annotations
from cairn.datasets.formats.coco.categories import Category, choose, read_categories
from cairn.datasets.formats.coco.columns import Context
from cairn.datasets.formats.coco.ids import Index
from cairn.datasets.formats.coco.image_records import (
    IMAGE_FIELDS,
    IS_LABELED,
    ImageRecord,
    groups_and_frame,
    read_images,
    reduced_images,
    size_of,
)
from cairn.datasets.formats.coco.json_file import Records, read_object
from cairn.datasets.formats.coco.records import FIELDS, SEGMENTATION, Part, Record, column, reduced
from cairn.datasets.formats.format import MIN_CONFIDENCE, ReadOptions
from cairn.datasets.garbage import no_garbage_collection
from cairn.datasets.image_files import locate_images
from cairn.datasets.labels import LabeledImage, Labels
from cairn.datasets.problems import Problems
from cairn.errors import LabelError
from cairn.structures.annotation import Annotation
from cairn.structures.geometry import Size
from cairn.structures.outline import RunLengths
from cairn.structures.skeleton import Skeleton

LISTS = {
    "images": Records(dict.fromkeys(IMAGE_FIELDS, Any), reduced_images),
    "annotations": Records(FIELDS, reduced, large=(SEGMENTATION,)),
}


def read_coco(
    labels: Path,
    images: Path | None = None,
    skeleton: Skeleton | None = None,
    missing_ok: bool = False,
    problems: Problems | None = None,
    confidence: float = MIN_CONFIDENCE,
    category: str | None = None,
) -> Labels:
    """Reads the annotations of a COCO keypoint file.

    Keypoints with v = 0 become NaN. A missing bounding box is computed from the keypoints, a missing area as
    `AREA_PER_BOX` of the box. An annotation with a box or an outline and no keypoints is an instance without labeled
    joints: a region to ignore. Where v is a confidence anywhere in the file, keypoints are labeled from `confidence`
    on. A joint that no instance of the file has is not among the labeled joints. The track ID of an instance is read
    from `track`, `track_id` or `instance_id` where that is a number of at least 0; the video, subject and frame of an
    image are read from the fields GROUPS and FRAMES of `image_records`.

    Args:
        labels: The file.
        images: Folder of the images; None searches where tools put them (see `image_files`).
        skeleton: Skeleton to map the labels to, matched by joint name. None takes a built-in skeleton where names
            and order are the same, otherwise the skeleton of the file's category.
        missing_ok: Whether a listed image may be missing, for callers that check the images themselves.
        problems: Collects skipped records and notes; None raises at the first record.
        confidence: Minimum confidence at which a predicted keypoint counts as labeled.
        category: Name of the category to read; None reads all that share their keypoints.

    Raises:
        LabelError: A field is missing, of the wrong type or contradictory. Names the file and the record.
    """
    with no_garbage_collection():
        result = _read(
            Path(labels),
            ReadOptions(images, skeleton, None, missing_ok, problems or Problems(), None, confidence, category),
        )
    if skeleton is None:
        return result
    try:
        return result.mapped(skeleton)
    except LabelError as reason:
        raise LabelError(f"{labels}: {reason}") from None


def _read(labels: Path, options: ReadOptions) -> Labels:
    """The labels in the skeleton of the file."""
    problems = options.problems
    content = _content(labels)

    def error(reason: str) -> LabelError:
        return LabelError(f"{labels}: {reason}")

    categories = read_categories(content["categories"], error)
    parts = content["annotations"]
    category_of = _categories_of(parts, categories, problems)
    choice = choose(categories, _labeled_of(parts, category_of, categories), options, error)
    records, index = read_images(content["images"], error, problems)
    records = [record for record in records if not _is_unlabeled(record, problems)]
    names = [record.name for record in records]
    paths = locate_images(
        names, labels, options.images, problems, options.missing_ok, [record.label for record in records]
    )
    entries: list[tuple[ImageRecord, Path, Size]] = []
    for record, path in zip(records, paths, strict=True):
        if path is not None and record.size is not None:  # as a rule; `with` takes time
            entries.append((record, path, record.size))
            continue
        with problems:
            if path is not None:
                entries.append((record, path, size_of(record, path, error, problems)))
    kept = {record.position: i for i, (record, _, _) in enumerate(entries)}
    context = Context(choice, index, kept, options.confidence, error, problems)
    everything, image_of = read_annotations(parts, category_of, context)
    if not everything.labeled.any():
        raise error("no instance has a labeled joint: every v is 0")
    _check_masks(everything, image_of, [size for _, _, size in entries], problems)

    order = np.argsort(image_of, kind="stable")
    cuts = np.searchsorted(image_of[order], np.arange(len(entries) + 1)).tolist()
    annotations = everything[order].split(cuts)
    return Labels(
        skeleton=choice.skeleton,
        images=tuple(
            LabeledImage(
                record.number,
                path,
                size,
                annotation,
                *groups_and_frame(record, path),
            )
            for (record, path, size), annotation in zip(entries, annotations, strict=True)
        ),
        labeled_joints=np.any(everything.visibility > 0, axis=0),
        classes=choice.classes,
    )


def _is_unlabeled(record: ImageRecord, problems: Problems) -> bool:
    """Whether the file states that an image is not labeled, with a note."""
    unlabeled = record.fields.get(IS_LABELED, True) in (False, 0)
    if unlabeled:
        problems.note("images with is_labeled false are skipped", record.label)
    return unlabeled


def _check_masks(
    everything: Annotation, image_of: NDArray[np.int64], sizes: Sequence[Size], problems: Problems
) -> None:
    """Drops masks of another size than their image, with a note."""
    if everything.outlines is None:
        return
    for i, outline in enumerate(everything.outlines):
        if isinstance(outline, RunLengths) and outline.size != sizes[image_of[i]]:
            (height, width), own = outline.size, sizes[image_of[i]]
            what = "segmentations are masks of another size than their image, and bounding boxes are used"
            problems.note(what, f"{width} x {height} for an image of {own[1]} x {own[0]}")
            everything.outlines[i] = None


def _content(path: Path) -> dict[str, Any]:
    content = read_object(path, LISTS)
    for key in ("images", "annotations", "categories"):
        if not isinstance(content, dict) or not isinstance(content.get(key), list):
            raise LabelError(f"{path} is not in COCO format: expected an object with a list {key!r}")
    result: dict[str, Any] = content
    return result


def _categories_of(parts: Sequence[Part], categories: Sequence[Category], problems: Problems) -> list[int | None]:
    """Position of the category of each record; None where the file has no such category."""
    index = Index([category.key for category in categories])
    values = column(parts, "category")
    positions = index.find_all(values)
    only = categories[0] if len(categories) == 1 else None
    if only and (only.key is None or None in values):
        for i, value in enumerate(values):
            if only.key is None or value is None:
                problems.note("annotations without a category belong to the only one", only.name)
                positions[i] = 0
    return positions


def _labeled_of(parts: Sequence[Part], category_of: Sequence[int | None], categories: Sequence[Category]) -> list[int]:
    """Number of annotations with a labeled keypoint of each category; only counted where keypoints may differ."""
    if len({category.joints for category in categories if category.joints}) < 2:
        return [0] * len(categories)
    counts = [0] * len(categories)
    for row, position in zip(chain.from_iterable(parts), category_of, strict=True):
        if position is not None and isinstance(row, Record) and row.is_labeled:
            counts[position] += 1
    return counts
