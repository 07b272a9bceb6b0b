"""The valid annotations of a COCO file, column by column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.formats.coco.categories import Choice, MakeError
from cairn.datasets.formats.coco.heads import head_sizes
from cairn.datasets.formats.coco.ids import Index, id_of
from cairn.datasets.formats.coco.records import NO_OTHERS, NUMBER, Record, Table
from cairn.datasets.formats.visibility import (
    are_confidences,
    invalid,
    invalid_visibility,
    standard_visibility,
    visibility_of,
)
from cairn.datasets.problems import Problems
from cairn.structures.annotation import AREA_PER_BOX, MAX_VALUE, Annotation
from cairn.structures.outline import Outline


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


class Columns:
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
        if self.rows:
            self._close_rows()
        count = len(table)
        positions, others, tracks = range(start, start + count), [NO_OTHERS] * count, [-1] * count
        numbers = table.keypoints, table.boxes, table.areas, table.crowd
        self._pieces.append(_Piece(table.key, positions, *numbers, table.regions, others, tracks, classes, images))
        return True

    def is_checked(self, row: Any) -> bool:
        """Returns whether a value is a record that can be added as it is."""
        return type(row) is Record and row.is_plain and len(row.keypoints) == self._size

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
            self._context.problems.note(what, f"{name_of(piece.key[i], piece.positions[i])}: {regions[i]}")
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
            context.problems.note(what, name_of(piece.key[i], piece.positions[i]))
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
            name = name_of(piece.key[i], piece.positions[i])
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


def name_of(key: Any, position: int) -> str:
    """Returns the name of a record in messages.

    Args:
        key: Its id, which may be none.
        position: Its position in the file.
    """
    key = id_of(key)
    return f"annotations[{position}]" if key is None else f"annotation {key}"
