"""Validates the annotations of a COCO file and puts them into arrays."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.formats.coco.heads import head_sizes
from cairn.datasets.labels import AREA_PER_BOX
from cairn.datasets.problems import Problems
from cairn.errors import LabelError
from cairn.structures.annotation import Annotation

TRACKS = ("track", "track_id", "instance_id")  # of SLEAP's exports, of PoseTrack and CVAT, of others
MAX_VALUE = float(np.finfo(np.float32).max)  # a larger number becomes infinite in single precision
MAX_TRACK = np.iinfo(np.int64).max

Record = Mapping[str, Any]
MakeError = Callable[[str], LabelError]


def read_annotations(
    annotations: list[Any],
    categories: dict[int, bool],
    images: tuple[list[int], Collection[int]],
    joints: int,
    error: MakeError,
    problems: Problems,
) -> tuple[Annotation, NDArray[np.int64]]:
    """Returns the annotations of categories with keypoints, and for each the index of its image.

    Args:
        annotations: The records.
        categories: Category id -> whether the category has keypoints.
        images: Ids of the images in order, and ids of the skipped images, whose annotations are skipped too.
        joints: Number of joints.
        error: Makes an error that names the file.
        problems: Collects skipped records.

    Raises:
        LabelError: A record is invalid.
    """
    ids, skipped = images
    index = {number: i for i, number in enumerate(ids)}
    rows: list[Record] = []
    seen: set[int] = set()
    image_of: list[int] = []
    for i, row in enumerate(annotations):
        with problems:
            if not isinstance(row, dict) or not is_int(row.get("id")):
                raise error(f"annotations[{i}] needs an integer id")
            number, category, image = row["id"], row.get("category_id"), row.get("image_id")
            if number in seen:
                raise error(f"annotation id {number} occurs twice")
            seen.add(number)
            if is_int(image) and image in skipped:
                continue
            if not is_int(category) or category not in categories:
                raise error(f"annotation {number} has category_id {category!r:.40}, which is not in categories")
            if not is_int(image) or image not in index:
                raise error(f"annotation {number} has image_id {image!r:.40}, which is not in images")
            if row.get("iscrowd", 0) not in (0, 1):
                raise error(f"annotation {number}: iscrowd must be 0 or 1, got {row['iscrowd']!r:.40}")
            if categories[category]:
                if problems.skip:  # one at a time; otherwise all are validated together below
                    _annotation([row], joints, error)
                rows.append(row)
                image_of.append(index[image])
    return _annotation(rows, joints, error), np.array(image_of, dtype=np.int64)


def is_int(value: Any) -> TypeGuard[int]:
    """Returns whether a value is an integer and not a boolean."""
    return isinstance(value, int) and not isinstance(value, bool)


def _annotation(rows: list[Record], joints: int, error: MakeError) -> Annotation:
    """All instances as arrays."""
    expected = f"3 numbers for each of the category's {joints} joints"
    points = _numbers(rows, "keypoints", 3 * joints, error, expected).reshape(-1, joints, 3)
    visibility = points[..., 2]
    wrong = ~np.isin(visibility, (0, 1, 2)).all(axis=1)
    if wrong.any():
        i = int(wrong.argmax())
        bad = next(v for v in visibility[i] if v not in (0, 1, 2))
        raise error(f"annotation {rows[i]['id']}: v must be 0 (not labeled), 1 (occluded) or 2 (visible), got {bad:g}")
    keypoints = np.where(visibility[..., None] > 0, points[..., :2], np.nan)
    boxes = _boxes(rows, keypoints, visibility, error)
    areas = AREA_PER_BOX * boxes[:, 2] * boxes[:, 3]
    for i, row in enumerate(rows):
        area = row.get("area")
        if area is not None:
            if not _is_number(area) or area < 0:
                raise error(f"annotation {row['id']}: area must be a number of square pixels, got {area!r:.40}")
            areas[i] = area or areas[i]  # coco-annotator writes 0 where there is no outline
    return Annotation(
        keypoints=keypoints.astype(np.float32),
        visibility=visibility.astype(np.uint8),
        boxes=boxes.astype(np.float32),
        areas=areas.astype(np.float32),
        crowd=np.array([bool(row.get("iscrowd", 0)) for row in rows], dtype=bool),
        heads=head_sizes(rows, error),
        tracks=_tracks(rows),
    )


def _boxes(
    rows: list[Record], keypoints: NDArray[np.float64], visibility: NDArray[np.float64], error: MakeError
) -> NDArray[np.float64]:
    """(N, 4) bounding boxes; computed from the joints where a box is missing or 0, as coco-annotator writes it."""
    boxed = [row for row in rows if row.get("bbox") is not None]
    boxes = np.zeros((len(rows), 4))
    with_box = np.array([row.get("bbox") is not None for row in rows], dtype=bool)
    boxes[with_box] = _numbers(boxed, "bbox", 4, error, "x, y, width, height")
    if (boxes[:, 2:] < 0).any():
        i = int((boxes[:, 2:] < 0).any(axis=1).argmax())
        raise error(f"annotation {rows[i]['id']}: bbox has a negative width or height: {boxes[i].tolist()}")
    labeled = (visibility > 0).any(axis=1)
    if (empty := ~with_box & ~labeled).any():
        number = rows[int(empty.argmax())]["id"]
        raise error(f"annotation {number} has neither a bbox nor a labeled joint: remove it")
    for i in np.flatnonzero(labeled & ~boxes[:, 2:].any(axis=1)).tolist():
        points = keypoints[i][visibility[i] > 0]
        boxes[i] = [*points.min(axis=0), *np.ptp(points, axis=0)]
    return boxes


def _numbers(rows: list[Record], key: str, count: int, error: MakeError, expected: str) -> NDArray[np.float64]:
    """(N, count) finite numbers: one conversion for all rows, and a search for the invalid row only if it fails."""
    if not rows:
        return np.zeros((0, count))
    values = [row.get(key) for row in rows]
    if key == "keypoints":  # a crowd, or an instance that has only an outline, has none
        values = [
            [0] * count if value is None and (row.get("iscrowd") or row.get("segmentation")) else value
            for row, value in zip(rows, values, strict=True)
        ]
    try:
        table = np.array(values)
        if table.shape == (len(rows), count) and table.dtype.kind in "iuf" and (np.abs(table) <= MAX_VALUE).all():
            return table.astype(np.float64)
    except ValueError:  # lists of different lengths: the search below names the row
        pass
    for row, value in zip(rows, values, strict=True):
        if value is None:
            raise error(f"annotation {row['id']} has no {key}")
        if not isinstance(value, list) or not all(_is_number(v) for v in value):
            got = _first_invalid(value)
            raise error(f"annotation {row['id']}: {key} must be a list of finite numbers, got {got!r:.80}")
        if len(value) != count:
            raise error(f"annotation {row['id']}: {key} must be {expected}, {count} in all, got {len(value)}")
    return np.array(values, dtype=np.float64)


def _tracks(rows: list[Record]) -> NDArray[np.int64] | None:
    """(N,) track IDs; other values under these names are ignored, because most readers of labels need no tracks."""

    def track_id(row: Record) -> int:
        attributes = row.get("attributes")  # where CVAT writes it
        places = (row, attributes) if isinstance(attributes, dict) else (row,)
        values = (place.get(key) for place in places for key in TRACKS)
        return next((v for v in values if is_int(v) and 0 <= v <= MAX_TRACK), -1)

    tracks = np.array([track_id(row) for row in rows], dtype=np.int64)
    return tracks if (tracks >= 0).any() else None


def _first_invalid(value: Any) -> Any:
    return next((v for v in value if not _is_number(v)), value) if isinstance(value, list) else value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= MAX_VALUE
