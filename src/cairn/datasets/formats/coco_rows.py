"""The annotations of a COCO file, checked and put into arrays."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.problems import Faults
from cairn.errors import LabelError
from cairn.structures.annotation import Annotation

TRACKS = ("track", "track_id", "instance_id")  # SLEAP's exports, PoseTrack's and CVAT's, others'
AREA_PER_BOX = 0.53  # of a box that a person covers, where no area is given; xtcocotools takes the same
LARGEST = float(np.finfo(np.float32).max)  # a number beyond it would become infinite
LARGEST_TRACK = np.iinfo(np.int64).max

Record = Mapping[str, Any]
Fail = Callable[[str], LabelError]


def rows_of(
    annotations: list,
    categories: dict[int, bool],
    images: list[int],
    left_out: Collection[int],
    joints: int,
    fail: Fail,
    faults: Faults,
) -> tuple[Annotation, NDArray[np.int64]]:
    """The annotations of categories with keypoints, and the index of each one's image.

    categories  which ids have keypoints
    images    ids of the images, in order
    left_out    ids of images that could not be used: what is in them goes with them
    """
    index = {number: i for i, number in enumerate(images)}
    rows: list[Record] = []
    seen: set[int] = set()
    image_of: list[int] = []
    for i, row in enumerate(annotations):
        with faults:
            if not isinstance(row, dict) or not is_int(row.get("id")):
                raise fail(f"annotations[{i}] needs an integer id")
            number, category, image = row["id"], row.get("category_id"), row.get("image_id")
            if number in seen:
                raise fail(f"annotation id {number} stands twice")
            seen.add(number)
            if is_int(image) and image in left_out:
                continue
            if not is_int(category) or category not in categories:
                raise fail(f"annotation {number} is of category_id {category!r:.40}, which is not among the categories")
            if not is_int(image) or image not in index:
                raise fail(f"annotation {number} is of image_id {image!r:.40}, which is not among the images")
            if row.get("iscrowd", 0) not in (0, 1):
                raise fail(f"annotation {number}: iscrowd must be 0 or 1, got {row['iscrowd']!r:.40}")
            if categories[category]:
                if faults.skip:  # else all are looked at together, below
                    _annotation([row], joints, fail)
                rows.append(row)
                image_of.append(index[image])
    return _annotation(rows, joints, fail), np.array(image_of, dtype=np.int64)


def _annotation(rows: list[Record], joints: int, fail: Fail) -> Annotation:
    """All objects as one struct."""
    expected = f"3 numbers for each of the category's {joints} joints"
    points = _numbers(rows, "keypoints", 3 * joints, fail, expected).reshape(-1, joints, 3)
    visibility = points[..., 2]
    wrong = ~np.isin(visibility, (0, 1, 2)).all(axis=1)
    if wrong.any():
        i = int(wrong.argmax())
        bad = next(v for v in visibility[i] if v not in (0, 1, 2))
        raise fail(f"annotation {rows[i]['id']}: v must be 0 (not labeled), 1 (hidden) or 2 (visible), got {bad:g}")
    keypoints = np.where(visibility[..., None] > 0, points[..., :2], np.nan)
    boxes = _boxes(rows, keypoints, visibility, fail)
    areas = AREA_PER_BOX * boxes[:, 2] * boxes[:, 3]
    for i, row in enumerate(rows):
        area = row.get("area")
        if area is not None:
            if not _is_number(area) or area < 0:
                raise fail(f"annotation {row['id']}: area must be a number of square pixels, got {area!r:.40}")
            areas[i] = area or areas[i]  # coco-annotator writes 0 where nobody has drawn an outline
    return Annotation(
        keypoints=keypoints.astype(np.float32),
        visibility=visibility.astype(np.uint8),
        boxes=boxes.astype(np.float32),
        areas=areas.astype(np.float32),
        crowd=np.array([bool(row.get("iscrowd", 0)) for row in rows], dtype=bool),
        tracks=_tracks(rows),
    )


def _boxes(rows: list[Record], keypoints: NDArray, visibility: NDArray, fail: Fail) -> NDArray[np.float64]:
    """(N, 4); around the joints where none is given, or one without extent, as coco-annotator writes."""
    boxed = [row for row in rows if row.get("bbox") is not None]
    boxes = np.zeros((len(rows), 4))
    with_box = np.array([row.get("bbox") is not None for row in rows], dtype=bool)
    boxes[with_box] = _numbers(boxed, "bbox", 4, fail, "x, y, width, height")
    if (boxes[:, 2:] < 0).any():
        i = int((boxes[:, 2:] < 0).any(axis=1).argmax())
        raise fail(f"annotation {rows[i]['id']}: bbox has a negative width or height: {boxes[i].tolist()}")
    labeled = (visibility > 0).any(axis=1)
    if (nothing := ~with_box & ~labeled).any():
        number = rows[int(nothing.argmax())]["id"]
        raise fail(f"annotation {number} has neither a bbox nor a labeled joint: remove it")
    for i in np.flatnonzero(labeled & ~boxes[:, 2:].any(axis=1)).tolist():
        placed = keypoints[i][visibility[i] > 0]
        boxes[i] = [*placed.min(axis=0), *np.ptp(placed, axis=0)]
    return boxes


def _numbers(rows: list[Record], key: str, count: int, fail: Fail, expected: str) -> NDArray[np.float64]:
    """(N, count) finite numbers; one conversion for all, and a search only where that fails."""
    if not rows:
        return np.zeros((0, count))
    values = [row.get(key) for row in rows]
    if key == "keypoints":  # a crowd, or an object of which there is only an outline, has none
        values = [
            [0] * count if value is None and (row.get("iscrowd") or row.get("segmentation")) else value
            for row, value in zip(rows, values, strict=True)
        ]
    try:
        table = np.array(values)
        if table.shape == (len(rows), count) and table.dtype.kind in "iuf" and (np.abs(table) <= LARGEST).all():
            return table.astype(np.float64)
    except ValueError:  # ragged: the search below names the row
        pass
    for row, value in zip(rows, values, strict=True):
        if value is None:
            raise fail(f"annotation {row['id']} has no {key}")
        if not isinstance(value, list) or not all(_is_number(v) for v in value):
            raise fail(f"annotation {row['id']}: {key} must be a list of finite numbers, got {_first_bad(value)!r:.80}")
        if len(value) != count:
            raise fail(f"annotation {row['id']}: {key} must be {expected}, {count} in all, got {len(value)}")
    return np.array(values, dtype=np.float64)


def _tracks(rows: list[Record]) -> NDArray[np.int64] | None:
    """(N,) who is who; what else may stand under these names is no error, for few who read labels need tracks."""

    def number(row: Record) -> int:
        inner = row.get("attributes")  # where CVAT has it
        places = (row, inner) if isinstance(inner, dict) else (row,)
        values = (place.get(key) for place in places for key in TRACKS)
        return next((int(v) for v in values if v is not None and is_int(v) and 0 <= v <= LARGEST_TRACK), -1)

    tracks = np.array([number(row) for row in rows], dtype=np.int64)
    return tracks if (tracks >= 0).any() else None


def _first_bad(value: Any) -> Any:
    return next((v for v in value if not _is_number(v)), value) if isinstance(value, list) else value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LARGEST


def is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
