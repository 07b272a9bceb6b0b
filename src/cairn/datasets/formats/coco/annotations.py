"""Validates the annotations of a COCO file and puts them into arrays."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.formats.coco.categories import Choice, MakeError
from cairn.datasets.formats.coco.heads import HEAD, head_sizes
from cairn.datasets.formats.coco.ids import Index, id_of
from cairn.datasets.formats.coco.outlines import read_outline
from cairn.datasets.formats.visibility import (
    are_confidences,
    invalid,
    invalid_visibility,
    standard_visibility,
    visibility_of,
)
from cairn.datasets.labels import AREA_PER_BOX
from cairn.datasets.problems import Problems
from cairn.structures.annotation import MAX_VALUE, Annotation
from cairn.structures.outline import Outline

TRACKS = ("track", "track_id", "instance_id")  # of SLEAP's exports, of PoseTrack and CVAT, of others
MAX_TRACK = np.iinfo(np.int64).max

SEGMENTATION = "segmentation"
USUAL = frozenset(("id", "image_id", "category_id", "keypoints", "bbox", "area", "iscrowd", SEGMENTATION))
OTHERS = (HEAD, "attributes", *TRACKS)
FIELDS = (*USUAL, *OTHERS)
OUTLINE = "outline box"
"""Key of the bounding box of the outline, where there is no other."""


class Record(NamedTuple):
    """What is read of a record: its values as they are, but numbers as arrays.

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
class Context:
    """What the annotations of a file refer to.

    Attributes:
        choice: The categories that are read.
        images: Finds the position of an image record.
        kept: Position of an image record -> index of the image; without those of skipped images.
        confidence: Minimum confidence at which a predicted keypoint counts as labeled.
        error: Makes an error that names the file.
        problems: Collects skipped records and notes.
    """

    choice: Choice
    images: Index
    kept: Mapping[int, int]
    confidence: float
    error: MakeError
    problems: Problems


def reduced(row: Any) -> Any:
    """Returns the record of an object; another value as it is.

    Of an outline it keeps what is needed: its box where there is no other, and all of it for a crowd or an instance
    without labeled keypoints.
    """
    if type(row) is not dict:
        return row
    get: Callable[[str], Any] = row.get
    # Missing, with null, or invalid: `_keypoints` and `_box` tell. `suppress` takes a quarter of the time.
    keypoints, box = get("keypoints"), get("bbox")
    is_labeled = type(keypoints) is list and any(keypoints[2::3])
    try:
        blank = not is_labeled and keypoints.count(0) == len(keypoints)
        keypoints = _zeros(len(keypoints)) if blank else array("d", keypoints)
    except (AttributeError, TypeError, OverflowError):
        pass
    try:  # noqa: SIM105
        box = array("d", box)
    except (TypeError, OverflowError):
        pass
    area, crowd = get("area") or 0.0, get("iscrowd") or 0
    region: Outline | str | None = None
    others = NO_OTHERS if USUAL.issuperset(row) else {key: row[key] for key in OTHERS if key in row} or NO_OTHERS
    if outline := get(SEGMENTATION):
        if not box and (outline_box := _outline_box(outline)):
            others = {**others, OUTLINE: outline_box}
        if crowd or not is_labeled:
            try:
                region = read_outline(outline)
            except ValueError as reason:
                region = str(reason)
    is_plain = (
        type(keypoints) is type(box) is array
        and len(box) == 4
        and type(area) in (float, int)
        and 0 <= area <= MAX_VALUE
        and (crowd == 0 or crowd == 1)
        and others is NO_OTHERS
    )
    key, image, category = get("id"), get("image_id"), get("category_id")
    return NEW((key, image, category, keypoints, box, area, crowd, region, others, is_labeled, is_plain))


def has_box(row: Any) -> bool:
    """Returns whether an object has a box, or an outline that gives one."""
    return bool(row.get("bbox") or row.get(SEGMENTATION))


@lru_cache
def _zeros(count: int) -> array[float]:
    return array("d", bytes(8 * count))


def read_annotations(
    rows: Sequence[Any], categories: Sequence[int | None], context: Context
) -> tuple[Annotation, NDArray[np.int64]]:
    """Returns the annotations of the chosen categories, and for each the index of its image.

    Args:
        rows: The reduced records.
        categories: Position of the category of each; None where the file has no such category.
        context: What they refer to.

    Raises:
        LabelError: A record is invalid.
    """
    error, problems, class_of, kept = context.error, context.problems, context.choice.class_of, context.kept
    images = context.images.find_all([row.image if isinstance(row, Record) else None for row in rows])
    columns = _Columns(context)
    _note_ids(rows, problems)
    for i, (row, category, image) in enumerate(zip(rows, categories, images, strict=True)):
        # As a rule; `with` takes time.
        if image is not None and image in kept and category in class_of and columns.is_checked(row):
            columns.rows.append((row, i, -1, class_of[category], kept[image]))
            continue
        with problems:
            if not isinstance(row, Record):
                raise error(f"annotations[{i}] must be an object, got {row!r:.40}")
            if image is not None and image not in kept:
                continue
            if category is None:
                got = f"{row.category!r:.40}"
                raise error(f"{_name(row, i)} has category_id {got}, which is not in categories")
            if image is None:
                raise error(f"{_name(row, i)} has image_id {row.image!r:.40}, which is not in images")
            if category in class_of:
                columns.add(row, i, kept[image], class_of[category])
            elif row.keypoints:
                problems.note("annotations of other categories are skipped", _name(row, i))
    return columns.annotation()


class _Columns:
    """The values of the records, column by column."""

    def __init__(self, context: Context) -> None:
        self.rows: list[tuple[Record, int, int, int, int]] = []  # with position, track, category and image
        self._context = context
        self._count = 3 * len(context.choice.skeleton)

    def is_checked(self, row: Any) -> bool:
        """Returns whether a value is a record that can be added as it is."""
        return type(row) is Record and row.is_plain and len(row.keypoints) == self._count

    def add(self, row: Record, position: int, image: int, category: int) -> None:
        """Checks a record and adds it. Raises LabelError, and then adds nothing."""
        context, name = self._context, _name(row, position)
        keypoints = _keypoints(row.keypoints, self._count, name, context) if row.keypoints else _zeros(self._count)
        box = _box(row, name, context)
        area = _area(row.area, name, context)
        if row.crowd not in (0, 1):
            raise context.error(f"{name}: iscrowd must be 0 or 1, got {row.crowd!r:.40}")
        row = row._replace(keypoints=keypoints, box=box, area=area)
        self.rows.append((row, position, _track(row.others), category, image))

    def annotation(self) -> tuple[Annotation, NDArray[np.int64]]:
        """All instances with valid values, and (N,) the index of the image of each."""
        context, count = self._context, len(self._context.choice.skeleton)
        rows, _, *numbers = list(zip(*self.rows, strict=True)) or [()] * 5
        tracks, classes, images = (np.array(values, np.int64) for values in numbers)
        points = np.frombuffer(b"".join([row.keypoints for row in rows])).reshape(-1, count, 3)
        boxes = np.frombuffer(b"".join([row.box for row in rows])).reshape(-1, 4).copy()
        with np.errstate(over="ignore"):  # too large: `_checked` tells
            keypoints = points[..., :2].astype(np.float32)
        visibility, valid = self._checked(points, keypoints, boxes)
        keypoints[visibility == 0] = np.nan
        labeled = (visibility > 0).any(axis=1)
        # A box is missing, or 0 as coco-annotator writes it.
        without = np.flatnonzero(labeled & ~(boxes[:, 2:] > 0).any(axis=1))
        low, high = np.nanmin(keypoints[without], axis=1), np.nanmax(keypoints[without], axis=1)
        boxes[without] = np.concatenate([low, high - low], axis=1)
        areas = np.array([row.area for row in rows], np.float64)
        areas = np.where(areas > 0, areas, AREA_PER_BOX * boxes[:, 2] * boxes[:, 3])  # also 0 without an outline
        everything = Annotation(
            keypoints=keypoints,
            visibility=visibility,
            boxes=boxes.astype(np.float32),
            areas=areas.astype(np.float32),
            crowd=np.array([row.crowd for row in rows], dtype=bool),
            heads=head_sizes([row.others for row in rows], context.problems),
            tracks=tracks if (tracks[valid] >= 0).any() else None,
            classes=classes if context.choice.classes else None,
            outlines=self._outlines(),
        )
        return (everything, images) if valid.all() else (everything[valid], images[valid])

    def _outlines(self) -> NDArray[np.object_] | None:
        """(N,) the outlines of regions; None where there is none. Those that cannot be read are noted."""
        regions = [entry[0].region for entry in self.rows]
        for i in [i for i, region in enumerate(regions) if isinstance(region, str)]:
            what = "segmentations cannot be read, and bounding boxes are used"
            self._context.problems.note(what, f"{_name(*self.rows[i][:2])}: {regions[i]}")
            regions[i] = None
        if all(region is None for region in regions):
            return None
        outlines = np.empty(len(regions), dtype=object)
        outlines[:] = regions
        return outlines

    def _checked(
        self, points: NDArray[np.float64], keypoints: NDArray[np.float32], boxes: NDArray[np.float64]
    ) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """(N, K) visibility, and (N,) which records are valid."""
        context, v = self._context, np.ascontiguousarray(points[..., 2])
        unknown = ~np.isfinite(boxes).all(axis=1)
        for i in np.flatnonzero(unknown & ~np.isnan(boxes).all(axis=1)).tolist():
            what = "bounding boxes without finite numbers are computed from the keypoints"
            context.problems.note(what, _name(*self.rows[i][:2]))
        boxes[unknown] = np.nan
        flipped = np.any(boxes[:, 2:] < 0, axis=1) | np.any(np.abs(boxes) > MAX_VALUE, axis=1)
        wrong, visibility = np.zeros(v.shape, bool), standard_visibility(v)
        if visibility is None:
            confidences = are_confidences(v)
            wrong, known = invalid(v, confidences), (context.confidence, context.problems)
            visibility = visibility_of(np.where(wrong, 0, v), *known, confidences=confidences)
        nowhere = (visibility > 0) & ~np.isfinite(keypoints).all(axis=2)
        unplaced = np.isnan(boxes[:, 0]) & ~(visibility > 0).any(axis=1)
        invalid_rows = wrong.any(axis=1) | nowhere.any(axis=1) | unplaced | flipped
        for i in np.flatnonzero(invalid_rows).tolist():
            name = _name(*self.rows[i][:2])
            with context.problems:
                if wrong[i].any():
                    raise context.error(f"{name}: {invalid_visibility(v[i][wrong[i]][0])}")
                if nowhere[i].any():
                    joint = int(nowhere[i].argmax())
                    got = next(value for value in points[i, joint, :2].tolist() if not abs(value) <= MAX_VALUE)
                    where = context.choice.skeleton.joints[joint]
                    raise context.error(f"{name}: {where} has v > 0 and must be at finite numbers, got {got}")
                if bool(np.any(boxes[i, 2:] < 0) or np.any(np.abs(boxes[i]) > MAX_VALUE)):
                    got = boxes[i].tolist()
                    raise context.error(f"{name}: bbox has a negative width or height, or is too large: {got}")
                raise context.error(f"{name} has neither a bbox nor a labeled joint: remove it")
        return visibility, ~invalid_rows


def _note_ids(rows: Sequence[Any], problems: Problems) -> None:
    """Notes records whose id is missing, or that of an earlier one."""
    keys = [row.key for row in rows if isinstance(row, Record)]
    if set(map(type, keys)) <= {int} and len(set(keys)) == len(keys):
        return
    seen: set[Any] = set()
    for i, row in enumerate(rows):
        if not isinstance(row, Record):
            continue
        key = id_of(row.key)
        if key is None:
            problems.note("annotations without an id are counted", _name(row, i))
        elif key in seen:
            problems.note("annotations have the id of another, which is kept too", _name(row, i))
        seen.add(key)


def _name(row: Record, position: int) -> str:
    """The name of a record in messages."""
    key = id_of(row.key)
    return f"annotations[{position}]" if key is None else f"annotation {key}"


def _keypoints(value: Any, count: int, name: str, context: Context) -> array[float]:
    """x, y, v of each joint; NaN for null."""
    if isinstance(value, list) and all(map(_is_number, value)):
        value = array("d", [math.nan if v is None else v for v in value])
    if not isinstance(value, array):
        got = next((v for v in value if not _is_number(v)), value) if isinstance(value, list) else value
        raise context.error(f"{name}: keypoints must be a list of finite numbers, got {got!r:.80}")
    if len(value) != count:
        expected = f"3 numbers for each of the category's {count // 3} joints, {count} in all"
        raise context.error(f"{name}: keypoints must be {expected}, got {len(value)}")
    return value


def _box(row: Record, name: str, context: Context) -> array[float]:
    """x, y, width, height; that of the outline where there is none, NaN where there is neither or some are null."""
    value = row.box or row.others.get(OUTLINE) or [math.nan] * 4
    if not isinstance(value, list | array) or not all(map(_is_number, value)):
        raise context.error(f"{name}: bbox must be a list of finite numbers, got {value!r:.80}")
    if len(value) != 4:
        raise context.error(f"{name}: bbox must be x, y, width, height, 4 in all, got {len(value)}")
    return array("d", [math.nan if v is None else v for v in value])


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


def _outline_box(outline: Any) -> array[float] | None:
    """The bounding box of polygons, each a list x, y, x, y, ...; None for other outlines."""
    try:
        corners = np.concatenate([np.array(ring, np.float64).reshape(-1, 2) for ring in outline])
    except (TypeError, ValueError):  # a run-length encoding, or no outline
        return None
    if not len(corners) or not np.isfinite(corners).all():
        return None
    low, high = corners.min(axis=0), corners.max(axis=0)
    return array("d", [*low, *(high - low)])


def _is_number(value: Any) -> bool:
    """Whether a value is a number, or null, which stands for none."""
    return value is None or isinstance(value, float) or (type(value) is int and abs(value) <= MAX_VALUE)
