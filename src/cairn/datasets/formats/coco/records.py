"""What is kept of the annotations of a COCO file while it is read: most of them as columns, the others one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import chain
from operator import itemgetter
from struct import Struct
from struct import error as StructError
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.formats.coco.heads import HEAD
from cairn.datasets.formats.coco.outlines import read_outline
from cairn.structures.annotation import MAX_VALUE
from cairn.structures.outline import Outline

TRACKS = ("track", "track_id", "instance_id")  # of SLEAP's exports, of PoseTrack and CVAT, of others

SEGMENTATION = "segmentation"
USUAL = ("id", "image_id", "category_id", "area", "iscrowd", "keypoints", "bbox")
OTHERS = (HEAD, "attributes", *TRACKS)
FIELDS = {
    **dict.fromkeys((*USUAL, SEGMENTATION, *OTHERS), Any),
    **dict.fromkeys(("keypoints", "bbox"), list[float] | None),
}
"""Fields that are read, and their types as a rule."""

RARE = frozenset(OTHERS)
VALUES = itemgetter(*USUAL)
NUMBERS = {int, float}

OUTLINE = "outline box"
"""Key of the bounding box of the outline, where there is no other."""

NUMBER = 8
"""Bytes of a number in `Record.keypoints` and `Record.box`."""


class Record(NamedTuple):
    """What is read of a record: its values as they are, but lists of numbers as the bytes of an array.

    Attributes:
        key: Its id.
        image: Id of its image.
        category: Id of its category.
        keypoints: x, y, v of each joint.
        box: x, y, width, height.
        area: Area in square pixels; 0 where there is none.
        crowd: Whether it is a crowd; 0 where that is not stated.
        region: The outline, of a record without individual labels, or the reason why it cannot be used.
        others: The fields `OTHERS` and `OUTLINE`.
        is_labeled: Whether v of a keypoint is not 0.
        is_plain: Whether nothing remains to be checked but the number of keypoints, and `others` is empty.
    """

    key: Any
    image: Any
    category: Any
    keypoints: Any
    box: Any
    area: Any
    crowd: Any
    region: Outline | str | None
    others: Mapping[str, Any]
    is_labeled: bool
    is_plain: bool


NEW = partial(tuple.__new__, Record)
"""Makes a record of a tuple in half the time."""

NO_OTHERS: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Table:
    """Plain records with as many keypoints each, column by column: a fifth of the time that records take.

    Attributes:
        key: Their ids.
        image: Ids of their images.
        category: Ids of their categories.
        keypoints: (N, 3 K) float64, x, y, v of each joint.
        boxes: (N, 4) float64, x, y, width, height.
        areas: (N,) float64 square pixels.
        crowd: (N,) bool.
        regions: The outline of each record without individual labels, or the reason why it cannot be used.
    """

    key: Sequence[Any]
    image: Sequence[Any]
    category: Sequence[Any]
    keypoints: NDArray[np.float64]
    boxes: NDArray[np.float64]
    areas: NDArray[np.float64]
    crowd: NDArray[np.bool_]
    regions: list[Outline | str | None]

    def __len__(self) -> int:
        return len(self.key)

    def __iter__(self) -> Iterator[Record]:
        """The records one by one."""
        labeled = _is_labeled(self.keypoints).tolist()
        numbers = zip(self.keypoints, self.boxes, self.areas.tolist(), self.crowd.tolist(), strict=True)
        for i, (keypoints, box, area, crowd) in enumerate(numbers):
            ids = self.key[i], self.image[i], self.category[i]
            values = keypoints.tobytes(), box.tobytes(), area, crowd, self.regions[i]
            yield NEW((*ids, *values, NO_OTHERS, labeled[i], True))


Part: TypeAlias = "Table | list[Any]"
"""Some records in a row: a table where all are plain, else a list of records, and of values that are no objects."""


def reduced(rows: list[Any], build: Callable[[Any], Any]) -> list[Part]:
    """Returns the records of some objects, as one part.

    Args:
        rows: The objects, and values that should be objects.
        build: Returns the value of a `segmentation`.
    """
    table = _table(rows, build)
    return [[_record(row, build) for row in rows] if table is None else table]


def column(parts: Sequence[Part], name: str) -> list[Any]:
    """Returns the key, image or category of each record; None for values that are no records."""
    values: list[Any] = []
    for part in parts:
        if isinstance(part, Table):
            values += getattr(part, name)
        else:
            values += [getattr(row, name) if isinstance(row, Record) else None for row in part]
    return values


def packed(values: list[Any]) -> Any:
    """Returns numbers as bytes; the list as it is where null or other values are among them."""
    try:
        return _packer(len(values))(*values)
    except (StructError, OverflowError):
        return values


@lru_cache
def zeros(count: int) -> bytes:
    """Returns as many zeros as bytes."""
    return bytes(NUMBER * count)


def _table(rows: list[Any], build: Callable[[Any], Any]) -> Table | None:
    """The columns of objects that all have the `USUAL` fields and no `RARE` ones, with numbers in them; else None."""
    try:
        key, image, category, area, crowd, keypoints, boxes = zip(*map(VALUES, rows), strict=True)
        (count,) = set(map(len, keypoints))
        usual = (
            RARE.isdisjoint(chain.from_iterable(rows))
            and set(map(type, area)) <= NUMBERS
            and set(crowd) <= {0, 1}
            and {list} == set(map(type, keypoints)) == set(map(type, boxes))
            and {4} == set(map(len, boxes))
        )
        if not usual:
            return None
        points, areas = _array(keypoints, count), np.array(area, np.float64)
        table = Table(key, image, category, points, _array(boxes, 4), areas, np.array(crowd, bool), [None] * len(rows))
    except (KeyError, TypeError, ValueError, OverflowError, StructError):
        return None
    if not ((areas >= 0) & (areas <= MAX_VALUE)).all():
        return None
    for i in np.flatnonzero(~_is_labeled(points) | table.crowd).tolist():
        table.regions[i] = _region(build(rows[i].get(SEGMENTATION)))
    return table


def _record(row: Any, build: Callable[[Any], Any]) -> Any:
    """The record of an object; another value as it is.

    Of an outline it keeps what is needed: its box where there is no other, and all of it for a crowd or an instance
    without labeled keypoints.
    """
    if not isinstance(row, dict):
        return row
    get: Callable[[str], Any] = row.get
    keypoints, box = get("keypoints"), get("bbox")
    is_labeled = isinstance(keypoints, list) and any(keypoints[2::3])
    if isinstance(keypoints, list):
        blank = not is_labeled and keypoints.count(0.0) == len(keypoints)
        keypoints = zeros(len(keypoints)) if blank else packed(keypoints)
    if isinstance(box, list):
        box = packed(box)
    area, crowd = get("area") or 0.0, get("iscrowd") or 0
    region: Outline | str | None = None
    others = NO_OTHERS if RARE.isdisjoint(row) else {key: row[key] for key in OTHERS if key in row}
    if not is_labeled or not box or crowd:
        outline = build(get(SEGMENTATION))
        if outline and not box and (outline_box := _outline_box(outline)):
            others = {**others, OUTLINE: outline_box}
        if crowd or not is_labeled:
            region = _region(outline)
    is_plain = (
        type(keypoints) is type(box) is bytes
        and len(box) == 4 * NUMBER
        and type(area) in NUMBERS
        and 0 <= area <= MAX_VALUE
        and (crowd == 0 or crowd == 1)
        and others is NO_OTHERS
    )
    key, image, category = get("id"), get("image_id"), get("category_id")
    return NEW((key, image, category, keypoints, box, area, crowd, region, others, is_labeled, is_plain))


def _region(outline: Any) -> Outline | str | None:
    try:
        return read_outline(outline)
    except ValueError as reason:
        return str(reason)


def _outline_box(outline: Any) -> bytes | None:
    """The bounding box of polygons, each a list x, y, x, y, ...; None for other outlines."""
    try:
        corners = np.concatenate([np.array(ring, np.float64).reshape(-1, 2) for ring in outline])
    except (TypeError, ValueError):  # a run-length encoding, or no outline
        return None
    if not len(corners) or not np.isfinite(corners).all():
        return None
    low, high = corners.min(axis=0), corners.max(axis=0)
    return np.concatenate([low, high - low]).tobytes()


def _is_labeled(keypoints: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(N,) whether v of a keypoint is not 0."""
    labeled: NDArray[np.bool_] = (keypoints[:, 2::3] != 0).any(axis=1)
    return labeled


def _array(rows: Sequence[Sequence[Any]], count: int) -> NDArray[np.float64]:
    """(N, count) numbers. Raises struct.error and OverflowError where some are none; numpy would accept text."""
    return np.frombuffer(Struct(f"{len(rows) * count}d").pack(*chain.from_iterable(rows))).reshape(-1, count)


@lru_cache
def _packer(count: int) -> Callable[..., bytes]:
    return Struct(f"{count}d").pack
