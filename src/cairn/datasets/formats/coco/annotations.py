"""Validates the annotations of a COCO file and puts them into arrays."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.formats.coco.categories import Choice, MakeError
from cairn.datasets.formats.coco.heads import head_sizes
from cairn.datasets.formats.coco.ids import Index, id_of
from cairn.datasets.formats.coco.records import (
    NO_OTHERS,
    NUMBER,
    OUTLINE,
    TRACKS,
    Part,
    Record,
    Table,
    column,
    packed,
    zeros,
)
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

MAX_TRACK = np.iinfo(np.int64).max


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
    columns = _Columns(context)
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
    columns: _Columns,
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
            raise error(f"{_name(row.key, i)} has category_id {got}, which is not in categories")
        if image is None:
            raise error(f"{_name(row.key, i)} has image_id {row.image!r:.40}, which is not in images")
        if label is not None:
            columns.add(row, i, image, label)
        elif row.keypoints:
            problems.note("annotations of other categories are skipped", _name(row.key, i))


class _Piece(NamedTuple):
    """Some columns of the annotations, as in `Table`; with positions in the file, classes and indices of images."""

    key: Sequence[Any]
    positions: Sequence[int]
    points: NDArray[np.float64]
    boxes: NDArray[np.float64]
    areas: NDArray[np.float64]
    crowd: NDArray[np.bool_]
    regions: Sequence[Outline | str | None]
    others: Sequence[Mapping[str, Any]]
    tracks: Sequence[int]
    classes: Sequence[int | None]
    images: Sequence[int | None]


class _Columns:
    """The values of the records, column by column."""

    def __init__(self, context: Context) -> None:
        self.rows: list[tuple[Record, int, int, int, int]] = []  # with position, track, category and image
        self._pieces: list[_Piece] = []
        self._context = context
        self._count = 3 * len(context.choice.skeleton)
        self._size = NUMBER * self._count

    def add_table(self, table: Table, start: int, classes: Sequence[int | None], images: Sequence[int | None]) -> bool:
        """Adds a table as it is, if all of it can be; returns whether it can."""
        if table.keypoints.shape[1] != self._count or None in classes or None in images:
            return False
        self._close_rows()
        count = len(table)
        positions, others, tracks = range(start, start + count), [NO_OTHERS] * count, [-1] * count
        numbers = table.keypoints, table.boxes, table.areas, table.crowd
        self._pieces.append(_Piece(table.key, positions, *numbers, table.regions, others, tracks, classes, images))
        return True

    def is_checked(self, row: Any) -> bool:
        """Returns whether a value is a record that can be added as it is."""
        return type(row) is Record and row.is_plain and len(row.keypoints) == self._size

    def add(self, row: Record, position: int, image: int, category: int) -> None:
        """Checks a record and adds it. Raises LabelError, and then adds nothing."""
        context, name = self._context, _name(row.key, position)
        keypoints = _keypoints(row.keypoints, self._count, name, context) if row.keypoints else zeros(self._count)
        box = _box(row, name, context)
        area = _area(row.area, name, context)
        if row.crowd not in (0, 1):
            raise context.error(f"{name}: iscrowd must be 0 or 1, got {row.crowd!r:.40}")
        row = row._replace(keypoints=keypoints, box=box, area=area)
        self.rows.append((row, position, _track(row.others), category, image))

    def annotation(self) -> tuple[Annotation, NDArray[np.int64]]:
        """All instances with valid values, and (N,) the index of the image of each."""
        context, count = self._context, len(self._context.choice.skeleton)
        self._close_rows()
        piece = _joined(self._pieces)
        self._pieces.clear()
        points, boxes = piece.points.reshape(-1, count, 3), piece.boxes
        tracks, classes, images = (np.array(values, np.int64) for values in piece[-3:])
        with np.errstate(over="ignore"):  # too large: `_checked` tells
            keypoints = points[..., :2].astype(np.float32)
        visibility, valid = self._checked(piece, points, keypoints)
        keypoints[visibility == 0] = np.nan
        labeled = (visibility > 0).any(axis=1)
        # A box is missing, or 0 as coco-annotator writes it.
        without = np.flatnonzero(labeled & ~(boxes[:, 2:] > 0).any(axis=1))
        low, high = np.nanmin(keypoints[without], axis=1), np.nanmax(keypoints[without], axis=1)
        boxes[without] = np.concatenate([low, high - low], axis=1)
        areas = np.where(
            piece.areas > 0, piece.areas, AREA_PER_BOX * boxes[:, 2] * boxes[:, 3]
        )  # 0: without an outline
        everything = Annotation(
            keypoints=keypoints,
            visibility=visibility,
            boxes=boxes.astype(np.float32),
            areas=areas.astype(np.float32),
            crowd=piece.crowd,
            heads=head_sizes(piece.others, context.problems),
            tracks=tracks if (tracks[valid] >= 0).any() else None,
            classes=classes if context.choice.classes else None,
            outlines=self._outlines(piece),
        )
        return (everything, images) if valid.all() else (everything[valid], images[valid])

    def _close_rows(self) -> None:
        """Makes a piece of the records that were added one by one."""
        rows, *numbers = list(zip(*self.rows, strict=True)) or [()] * 5
        self.rows = []
        positions, tracks, classes, images = numbers
        points = np.frombuffer(b"".join([row.keypoints for row in rows])).reshape(-1, self._count)
        boxes = np.frombuffer(b"".join([row.box for row in rows])).reshape(-1, 4)
        areas, crowd = (
            np.array([row.area for row in rows], np.float64),
            np.array([row.crowd for row in rows], dtype=bool),
        )
        regions, others = [row.region for row in rows], [row.others for row in rows]
        ids = [row.key for row in rows], positions
        self._pieces.append(_Piece(*ids, points, boxes, areas, crowd, regions, others, tracks, classes, images))

    def _outlines(self, piece: _Piece) -> NDArray[np.object_] | None:
        """(N,) the outlines of regions; None where there is none. Those that cannot be read are noted."""
        regions = list(piece.regions)
        for i in [i for i, region in enumerate(regions) if isinstance(region, str)]:
            what = "segmentations cannot be read, and bounding boxes are used"
            self._context.problems.note(what, f"{_name(piece.key[i], piece.positions[i])}: {regions[i]}")
            regions[i] = None
        if all(region is None for region in regions):
            return None
        outlines = np.empty(len(regions), dtype=object)
        outlines[:] = regions
        return outlines

    def _checked(
        self, piece: _Piece, points: NDArray[np.float64], keypoints: NDArray[np.float32]
    ) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """(N, K) visibility, and (N,) which records are valid."""
        context, v, boxes = self._context, np.ascontiguousarray(points[..., 2]), piece.boxes
        unknown = ~np.isfinite(boxes).all(axis=1)
        for i in np.flatnonzero(unknown & ~np.isnan(boxes).all(axis=1)).tolist():
            what = "bounding boxes without finite numbers are computed from the keypoints"
            context.problems.note(what, _name(piece.key[i], piece.positions[i]))
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
            name = _name(piece.key[i], piece.positions[i])
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


def _joined(pieces: Sequence[_Piece]) -> _Piece:
    """All rows of some pieces."""
    columns: list[Any] = [
        np.concatenate(values) if isinstance(values[0], np.ndarray) else list(chain.from_iterable(values))
        for values in zip(*pieces, strict=True)
    ]
    return _Piece(*columns)


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
            problems.note("annotations without an id are counted", _name(row.key, i))
        elif key in seen:
            problems.note("annotations have the id of another, which is kept too", _name(row.key, i))
        seen.add(key)


def _name(key: Any, position: int) -> str:
    """The name of a record in messages."""
    key = id_of(key)
    return f"annotations[{position}]" if key is None else f"annotation {key}"


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
