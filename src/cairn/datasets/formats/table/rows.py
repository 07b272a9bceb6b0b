"""Labels as rows of a table, independent of the file that holds them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cairn.datasets.formats.category import make_skeleton
from cairn.datasets.formats.coco.heads import HEAD, head_field
from cairn.datasets.formats.coco.writing import decimals, groups_of, image_folder, name_in
from cairn.datasets.formats.format import ReadOptions
from cairn.datasets.formats.instances import Box, Instance, ListedImage, checked_points, collect
from cairn.datasets.formats.results.predictions import check_frames, image_name
from cairn.datasets.formats.skeleton_file import read_skeleton, skeleton_beside
from cairn.datasets.formats.visibility import EXPECTED, are_confidences, invalid, visibility_of
from cairn.datasets.labels import MAX_NAMES, Labels
from cairn.errors import LabelError
from cairn.structures.skeleton import Skeleton

CLASS = "category"
"""Column of the class of each instance, only in tables of labels with several."""

STRINGS = ("image", "video", "subject", "joint", CLASS)
INTEGERS = ("width", "height", "frame", "object", "track", "crowd", "v")
COLUMNS = (
    *("image", "width", "height", "video", "subject", "frame", "object", "track", "crowd"),
    *("box_x", "box_y", "box_width", "box_height", "area", HEAD, "joint", "x", "y", "v"),
)
REQUIRED = ("image", "object", "joint", "x", "y", "v")

RESULTS = {"person": "object", "id": "track", "confidence": "v"}
"""Columns of Cairn's results (`results.csv_table`) -> columns that they are read as."""

RESULT_CLASS = "class"
"""Column of Cairn's results that is read as `CLASS`, only of models with several."""

Row = Mapping[str, Any]


def renamed_columns(path: Path, names: Collection[str]) -> dict[str, str]:
    """Returns the name in the file of each column that differs: those of Cairn's results.

    Raises:
        LabelError: A required column is missing.
    """
    if {"image", "joint", "x", "y", *RESULTS} <= set(names):
        classes = {CLASS: RESULT_CLASS} if RESULT_CLASS in names else {}
        return {column: name for name, column in RESULTS.items()} | classes
    if missing := [name for name in REQUIRED if name not in names]:
        raise LabelError(f"{path} has no column {missing[0]!r}: expected at least {', '.join(REQUIRED)}")
    return {}


def labels_from_rows(
    rows: Sequence[Row],
    path: Path,
    options: ReadOptions,
    first: int,
    skeleton: Skeleton | None = None,
    predicted: bool = False,
) -> Labels:
    """Returns the labels of a table.

    Args:
        rows: Rows with a value or None in each of COLUMNS.
        path: The file.
        options: Options of the reader.
        first: Number of the first row in messages.
        skeleton: Skeleton that the file contains.
        predicted: Whether they are Cairn's results, whose v is a confidence.

    Raises:
        LabelError: Anything is missing or contradictory. Names the file and the row.
    """
    skeleton = _skeleton(path, rows, skeleton, options.skeleton)
    rows = _with_visibility(rows, options, predicted)
    listed: dict[str, ListedImage] = {}
    frames: dict[str, list[Any]] = {}
    classes = list(dict.fromkeys(row[CLASS] for row in rows if row.get(CLASS) is not None))
    by_instance: dict[tuple[str, int], list[tuple[int, Row]]] = {}
    for number, row in enumerate(rows, start=first):
        with options.problems:
            image = row["image"]
            if not isinstance(image, str) or not image:
                raise LabelError(f"{path}: row {number} names no image")
            if predicted:
                image = image_name(image, options, f"{path}: row {number}")
                row = {**row, "image": image}
                numbers = frames.setdefault(image, [])
                if row["frame"] not in numbers[-1:]:
                    numbers.append(row["frame"])
            if image not in listed:
                listed[image] = _listed_image(row, f"{path}: row {number}")
            index = _integer(row, "object", f"{path}: row {number}")
            if index is not None:
                by_instance.setdefault((image, index), []).append((number, row))
    check_frames(frames, path)
    instances = []
    for joints in by_instance.values():
        with options.problems:
            instances.append(_instance(joints, skeleton, path, classes))
    problems = options.problems
    heads = any(np.isfinite(instance.head) for instance in instances)
    return collect(instances, skeleton, path, options.images, listed.values(), heads, problems, classes)


def rows_of(labels: Labels, path: Path) -> Iterator[dict[str, Any]]:
    """Yields a row for each joint of each instance; image names are relative to the file where possible."""
    folder = image_folder(path)
    for image in labels:
        height, width = image.size
        shared = {"image": name_in(folder, image.path), "width": width, "height": height, **groups_of(image)}
        rows = image.annotation
        if not len(rows):
            yield shared
        for i in range(len(rows)):
            x, y, w, h, area = decimals(np.append(rows.boxes[i], rows.areas[i]))
            track = -1 if rows.tracks is None else int(rows.tracks[i])
            instance: dict[str, Any] = {
                "object": i,
                "track": track if track >= 0 else None,
                "crowd": int(rows.crowd[i]),
            }
            instance |= head_field(rows.heads, i)
            if rows.classes is not None:
                instance[CLASS] = labels.classes[rows.classes[i]]
            box = {"box_x": x, "box_y": y, "box_width": w, "box_height": h, "area": area}
            for joint, point, v in zip(
                labels.skeleton.joints, rows.keypoints[i], rows.visibility[i].tolist(), strict=True
            ):
                place = dict(zip("xy", decimals(point), strict=True)) if v else {}
                yield {**shared, **instance, **box, "joint": joint, **place, "v": v}


def _with_visibility(rows: Sequence[Row], options: ReadOptions, predicted: bool) -> Sequence[Row]:
    """The rows with COCO's visibility; rows with an invalid one are kept as they are."""
    numbered = [
        i
        for i, row in enumerate(rows)
        if row["joint"] is not None and row["v"] == row["v"] and (row["v"] is not None or row["x"] is None)
    ]
    v = np.array([np.nan if rows[i]["v"] is None else rows[i]["v"] for i in numbered], np.float64)
    confidences = predicted or are_confidences(v)
    valid = ~invalid(v, confidences)
    if not confidences and (v[valid] >= 0).all():  # False for NaN
        return rows
    visibility = visibility_of(v[valid], options.confidence, options.problems, confidences=confidences).tolist()
    result = list(rows)
    for i, value in zip(np.array(numbered)[valid].tolist(), visibility, strict=True):
        result[i] = {**rows[i], "v": value}
    return result


def _listed_image(row: Row, record: str) -> ListedImage:
    height, width, frame = (_integer(row, key, record) for key in ("height", "width", "frame"))
    if (height is None) != (width is None) or (height or 1) < 1 or (width or 1) < 1:
        raise LabelError(f"{record}: width and height must be pixels, got {row['width']} and {row['height']}")
    groups = tuple(f"{key} {row[key]}" for key in ("video", "subject") if row[key] is not None)
    return ListedImage(row["image"], (height, width) if height and width else None, groups, frame)


def _instance(joints: list[tuple[int, Row]], skeleton: Skeleton, path: Path, classes: Sequence[str]) -> Instance:
    """The instance of numbered rows."""
    points = np.full((len(skeleton), 2), np.nan)
    occluded = np.zeros(len(skeleton), bool)
    seen: set[str] = set()
    for number, row in joints:
        record, joint = f"{path}: row {number}", row["joint"]
        if joint not in skeleton.joints:
            raise LabelError(f"{record}: joint {joint!r} is not one of {', '.join(skeleton.joints[:MAX_NAMES])}")
        if joint in seen:
            raise LabelError(f"{record}: {joint} of object {row['object']:g} in {row['image']} occurs twice")
        seen.add(joint)
        if row["v"] not in (0, 1, 2):
            raise LabelError(f"{record}: {EXPECTED}, got {row['v']}")
        if row["v"]:
            if row["x"] is None or row["y"] is None or row["x"] != row["x"] or row["y"] != row["y"]:
                raise LabelError(f"{record}: x and y must be numbers where v is not 0, got {row['x']} and {row['y']}")
            (points[skeleton.index(joint)],) = checked_points(np.array([[row["x"], row["y"]]]), record)
            occluded[skeleton.index(joint)] = row["v"] == 1
    number, row = joints[0]
    record = f"{path}: row {number}"
    track = _integer(row, "track", record)
    return Instance(
        row["image"],
        points,
        occluded,
        _box(row, record),
        area=_area(row, record),
        head=_head(row, record),
        track=-1 if track is None else track,
        crowd=bool(row["crowd"]),
        category=classes.index(row[CLASS]) if row.get(CLASS) is not None else 0,
    )


def _box(row: Row, record: str) -> Box | None:
    x, y, width, height = box = [row[name] for name in ("box_x", "box_y", "box_width", "box_height")]
    if any(value is None for value in box):
        return None
    if not np.isfinite(box).all() or min(width, height) < 0:
        raise LabelError(f"{record}: the bounding box must be x, y, width and height, got {box}")
    return x, y, width, height


def _area(row: Row, record: str) -> float | None:
    area: float | None = row["area"]
    if area is not None and not (area >= 0 and np.isfinite(area)):
        raise LabelError(f"{record}: area must be a number of square pixels, got {area}")
    return area


def _head(row: Row, record: str) -> float:
    head: float | None = row.get(HEAD)
    if head is not None and not (head > 0 and np.isfinite(head)):
        raise LabelError(f"{record}: {HEAD} must be a positive number of pixels, got {head}")
    return float("nan") if head is None else head


def _integer(row: Row, key: str, record: str) -> int | None:
    value = row[key]
    if value is None:
        return None
    if value != value or not float(value).is_integer() or not 0 <= value < 2**63:
        raise LabelError(f"{record}: {key} must be a whole number, got {value:g}")
    return int(value)


def _skeleton(path: Path, rows: Sequence[Row], own: Skeleton | None, names: Skeleton | None) -> Skeleton:
    """The table's skeleton, that beside it, the given one, or one of the joint names in order of appearance."""
    joints = list(dict.fromkeys(row["joint"] for row in rows if row["joint"] is not None))
    if not joints:
        raise LabelError(f"{path} {'has no labeled joint' if rows else 'is empty: it has a header and no rows'}")
    beside = skeleton_beside(path)
    skeleton = own or (read_skeleton(beside) if beside.is_file() else names)
    if skeleton is not None and set(joints) <= set(skeleton.joints):
        return skeleton
    return make_skeleton("object", joints)
