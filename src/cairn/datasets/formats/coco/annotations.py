"""Validates the annotations of a COCO file and puts them into arrays."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.formats.coco.columns import Columns, Context, name_of
from cairn.datasets.formats.coco.ids import id_of
from cairn.datasets.formats.coco.records import NUMBER, OUTLINE, TRACKS, Part, Record, Table, column, packed, zeros
from cairn.datasets.problems import Problems
from cairn.structures.annotation import MAX_VALUE, Annotation

MAX_TRACK = np.iinfo(np.int64).max


def read_annotations(
    parts: Sequence[Part], categories: Sequence[int | None], context: Context
) -> tuple[Annotation, NDArray[np.int64]]:
    """Returns the annotations of the chosen categories, and for each the index of its image.

    Args:
        parts: The reduced records.
        categories: Position of the category of each; None where the file has no such category.
        context: What they refer to.

    Raises:
        LabelError: A record is invalid.
    """
    found = context.images.find_all(column(parts, "image"))
    _note_ids(parts, context.problems)
    images = [None if position is None else context.kept.get(position) for position in found]
    classes = [None if category is None else context.choice.class_of.get(category) for category in categories]
    columns = Columns(context)
    start = 0
    for part in parts:
        stop = start + len(part)
        of_part = slice(start, stop)
        if not isinstance(part, Table) or not columns.add_table(part, start, classes[of_part], images[of_part]):
            references = zip(found[of_part], images[of_part], categories[of_part], classes[of_part], strict=True)
            for i, (row, reference) in enumerate(zip(part, references, strict=True), start):
                _read(row, i, reference, columns, context)
        start = stop
    return columns.annotation()


def _read(
    row: Any,
    i: int,
    reference: tuple[int | None, int | None, int | None, int | None],
    columns: Columns,
    context: Context,
) -> None:
    """Adds a record to the columns. Raises LabelError where it is invalid and not skipped.

    Args:
        row: The reduced record.
        i: Its position.
        reference: Position and index of its image, position and class of its category.
        columns: Get the record.
        context: What it refers to.
    """
    error, problems = context.error, context.problems
    position, image, category, label = reference
    if image is not None and label is not None and columns.is_checked(row):  # as a rule; `with` takes time
        columns.rows.append((row, i, -1, label, image))
        return
    with problems:
        if not isinstance(row, Record):
            raise error(f"annotations[{i}] must be an object, got {row!r:.40}")
        if position is not None and image is None:
            return
        if category is None:
            got = f"{row.category!r:.40}"
            raise error(f"{name_of(row.key, i)} has category_id {got}, which is not in categories")
        if image is None:
            raise error(f"{name_of(row.key, i)} has image_id {row.image!r:.40}, which is not in images")
        if label is not None:
            columns.rows.append((_checked(row, name_of(row.key, i), context), i, _track(row.others), label, image))
        elif row.keypoints:
            problems.note("annotations of other categories are skipped", name_of(row.key, i))


def _note_ids(parts: Sequence[Part], problems: Problems) -> None:
    """Notes records whose id is missing, or that of an earlier one."""
    keys = column(parts, "key")
    if set(map(type, keys)) <= {int} and len(set(keys)) == len(keys):
        return
    seen: set[Any] = set()
    for i, row in enumerate(chain.from_iterable(parts)):
        if not isinstance(row, Record):
            continue
        key = id_of(row.key)
        if key is None:
            problems.note("annotations without an id are counted", name_of(row.key, i))
        elif key in seen:
            problems.note("annotations have the id of another, which is kept too", name_of(row.key, i))
        seen.add(key)


def _checked(row: Record, name: str, context: Context) -> Record:
    """The record with valid numbers. Raises LabelError."""
    count = 3 * len(context.choice.skeleton)
    keypoints = _keypoints(row.keypoints, count, name, context) if row.keypoints else zeros(count)
    box = _box(row, name, context)
    area = _area(row.area, name, context)
    if row.crowd not in (0, 1):
        raise context.error(f"{name}: iscrowd must be 0 or 1, got {row.crowd!r:.40}")
    return row._replace(keypoints=keypoints, box=box, area=area)


def _keypoints(value: Any, count: int, name: str, context: Context) -> bytes:
    """x, y, v of each joint; NaN for null."""
    if (numbers := _filled(value)) is None:
        got = next((v for v in value if not _is_number(v)), value) if isinstance(value, list) else value
        raise context.error(f"{name}: keypoints must be a list of finite numbers, got {got!r:.80}")
    if len(numbers) != NUMBER * count:
        expected = f"3 numbers for each of the category's {count // 3} joints, {count} in all"
        raise context.error(f"{name}: keypoints must be {expected}, got {len(numbers) // NUMBER}")
    return numbers


def _box(row: Record, name: str, context: Context) -> bytes:
    """x, y, width, height; that of the outline where there is none, NaN where there is neither or some are null."""
    value = row.box or row.others.get(OUTLINE) or [math.nan] * 4
    if (numbers := _filled(value)) is None:
        raise context.error(f"{name}: bbox must be a list of finite numbers, got {value!r:.80}")
    if len(numbers) != 4 * NUMBER:
        raise context.error(f"{name}: bbox must be x, y, width, height, 4 in all, got {len(numbers) // NUMBER}")
    return numbers


def _filled(value: Any) -> bytes | None:
    """Packed numbers as they are, others packed with NaN for null; None where a value is no list of numbers."""
    if isinstance(value, list) and all(map(_is_number, value)):
        value = packed([math.nan if v is None else v for v in value])
    return value if isinstance(value, bytes) else None


def _area(value: Any, name: str, context: Context) -> float:
    """The area; 0 where it is to be computed."""
    if not _is_number(value) or value < 0 or MAX_VALUE < value < math.inf:
        raise context.error(f"{name}: area must be a number of square pixels, got {value!r:.40}")
    if not math.isfinite(value):
        context.problems.note("areas that are not finite are computed from the box", name)
        return 0.0
    return float(value)


def _track(others: Mapping[str, Any]) -> int:
    """The track ID; other values under these names are ignored, because most readers of labels need no tracks."""
    attributes = others.get("attributes")  # where CVAT writes it
    places = (others, attributes) if isinstance(attributes, dict) else (others,)
    values = (place.get(key) for place in places for key in TRACKS)
    return next((v for v in values if isinstance(v, int) and not isinstance(v, bool) and 0 <= v <= MAX_TRACK), -1)


def _is_number(value: Any) -> bool:
    """Whether a value is a number, or null, which stands for none."""
    return value is None or isinstance(value, float) or (type(value) is int and abs(value) <= MAX_VALUE)
