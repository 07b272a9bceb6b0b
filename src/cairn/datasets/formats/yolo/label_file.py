"""The instances in a label file, of labels or of predictions."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.containers.text_file import read_text
from cairn.datasets.formats.format import ReadOptions
from cairn.datasets.formats.instances import Instance, checked_points
from cairn.datasets.formats.yolo.data_yaml import KeypointShape
from cairn.errors import LabelError
from cairn.structures.geometry import Size

BOX = 5  # numbers before the joints: class and bounding box
TRAILING = 2  # numbers that may follow predicted joints: confidence of the box, track ID
MAX_NUMBER = 1e9  # of a class or a track
MAX_SHARE = 10.0  # of a width or height; larger numbers are pixels


class Row(NamedTuple):
    """A line of a label file: its name in messages, and its numbers."""

    record: str
    values: NDArray[np.float64]


@dataclass(frozen=True)
class Columns:
    """What the numbers after the box are.

    Attributes:
        shape: Numbers of the joints.
        extra: How many numbers follow the joints.
        predicted: Whether v is a confidence in the whole file; None where lines of flags and lines of confidences are
            mixed, so that each line decides for itself.
        track: Column of the track ID; None where there is none.
    """

    shape: KeypointShape
    extra: int
    predicted: bool | None
    track: int | None

    @property
    def count(self) -> int:
        """Numbers of a line."""
        return BOX + self.shape.joints * self.shape.numbers + self.extra


def read_instances(path: Path, image: str, size: Size, shape: KeypointShape, options: ReadOptions) -> list[Instance]:
    """Returns the instances in a label file, whose category is the number of their class.

    A file holds predictions if its third numbers are fractions, or if another fraction follows the joints: then a
    joint is labeled from `options.confidence` on.

    Args:
        path: The label file.
        image: Name of the image.
        size: (height, width) of the image in pixels.
        shape: Numbers of the joints.
        options: Minimum confidence, and where problems are collected.

    Raises:
        LabelError: A line cannot be used. Names it.
    """
    problems = options.problems
    rows: list[Row] = []
    seen: set[bytes] = set()
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        with problems:
            if fields := line.split():
                row = Row(f"{path} line {number}", _numbers(fields, f"{path} line {number}"))
                if row.values.tobytes() in seen:
                    problems.note("identical lines of a label file are kept", row.record)
                seen.add(row.values.tobytes())
                rows.append(row)
    columns = _columns([row.values for row in rows], shape)
    if columns.predicted is not False:
        at = f"a confidence of at least {options.confidence:g}"
        problems.note(f"label files are predictions, whose joints are labeled at {at} (--confidence)", str(path))
    elif columns.extra:
        problems.note("label files are predictions, whose confidences of boxes are ignored", str(path))
    instances = []
    for row in rows:
        with problems:
            instances.append(_instance(row, columns, image, size, options))
    return instances


def _numbers(fields: list[str], record: str) -> NDArray[np.float64]:
    try:
        return np.array([float("nan" if field.lower() in ("none", "null") else field) for field in fields])
    except ValueError:
        hint = " with a decimal point, separated by spaces" if any("," in field for field in fields) else ""
        raise LabelError(f"{record}: expected numbers{hint}, got {' '.join(fields)[:60]!r}") from None


def _columns(rows: list[NDArray[np.float64]], shape: KeypointShape) -> Columns:
    """What the columns of a file are, by all lines that may have joints."""
    count = BOX + shape.joints * shape.numbers
    extras = Counter(len(row) - count for row in rows if 0 <= len(row) - count <= TRAILING)
    extra = max(extras, key=lambda number: (extras[number], -number), default=0)
    table = np.array([row for row in rows if len(row) == count + extra]).reshape(-1, count + extra)
    flags = table[:, BOX + 2 : count : 3].ravel() if shape.numbers == 3 else np.zeros(0)
    flags = flags[np.isfinite(flags)]
    trailing = table[:, count:]
    fraction = _fractional(flags).any() or (extra > 0 and _fractional(trailing[:, 0]).any())
    if shape.numbers == 3 and not fraction:
        return Columns(shape, 0, False, None)
    is_track = [bool(((column == np.floor(column)) & (np.abs(column) < MAX_NUMBER)).all()) for column in trailing.T]
    if extra == TRAILING and not is_track[1]:
        extra = 0
    track = count + extra - 1 if extra and is_track[extra - 1] else None
    predicted = False if shape.numbers == 2 else True if flags.max(initial=0) <= 1 else None
    return Columns(shape, extra, predicted, track)


def _fractional(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    return np.asarray((values > 0) & (values < 1))


def _instance(row: Row, columns: Columns, image: str, size: Size, options: ReadOptions) -> Instance:
    record, values = row
    shape = columns.shape
    if not (0 <= values[0] < MAX_NUMBER and values[0].is_integer()):
        raise LabelError(f"{record}: the class must be a number from 0 on, got {values[0]:g}")
    box = _box(values, size, record)
    category = int(values[0])
    if len(values) == BOX:
        options.problems.note("boxes without joints are regions to ignore", record)
        nowhere = np.full((shape.joints, 2), np.nan)
        return Instance(image, nowhere, np.zeros(shape.joints, bool), box, category=category)
    if len(values) != columns.count:
        raise LabelError(
            f"{record}: expected {columns.count} numbers by kpt_shape, got {len(values)}{_hint(values, shape)}"
        )
    table = values[BOX : BOX + shape.joints * shape.numbers].reshape(-1, shape.numbers)
    flags = _visibility(table, columns.predicted, record, options)
    shares = np.where(flags[:, None] > 0, table[:, :2], np.nan)
    if (bad := ~np.isfinite(shares) & (flags[:, None] > 0)).any() or np.isinf(table).any():
        first = table[:, :2][bad][0] if bad.any() else np.inf
        raise LabelError(f"{record}: expected finite numbers, got {first:g}")
    if (np.abs(shares) > MAX_SHARE).any():
        first = shares[np.abs(shares) > MAX_SHARE][0]
        raise LabelError(f"{record}: coordinates must be fractions of the image size, got {first:g}")
    points = checked_points(shares * (size[1], size[0]), record)
    if columns.extra and columns.track != columns.count - columns.extra:
        score = values[columns.count - columns.extra]
        if not 0 <= score <= 1:
            raise LabelError(f"{record}: the confidence of the box must be from 0 to 1, got {score:g}")
    track = -1 if columns.track is None else int(values[columns.track])
    return Instance(image, points, flags == 1, box, track=track, category=category)


def _box(values: NDArray[np.float64], size: Size, record: str) -> tuple[float, float, float, float]:
    """x, y, width and height in pixels."""
    shares = values[1:BOX]
    if len(shares) < BOX - 1:
        raise LabelError(f"{record}: expected a class and a bounding box, got {len(values)} numbers")
    if not np.isfinite(shares).all():
        raise LabelError(f"{record}: expected finite numbers, got {shares[~np.isfinite(shares)][0]:g}")
    if (np.abs(shares) > MAX_SHARE).any():
        first = shares[np.abs(shares) > MAX_SHARE][0]
        raise LabelError(f"{record}: coordinates must be fractions of the image size, got {first:g}")
    height, width = size
    x, y, w, h = (shares * (width, height, width, height)).tolist()
    if w < 0 or h < 0:
        raise LabelError(f"{record}: the bounding box has a negative width or height")
    return x - w / 2, y - h / 2, w, h


def _visibility(
    table: NDArray[np.float64], predicted: bool | None, record: str, options: ReadOptions
) -> NDArray[np.float64]:
    """(K,) 0 not labeled, 1 occluded, 2 visible."""
    if table.shape[1] == 2:
        return np.where((table > 0).any(axis=1), 2.0, 0.0)
    flags = np.where(np.isnan(table[:, 2]) | (table[:, 2] == -1), 0.0, table[:, 2])
    if predicted or (predicted is None and _fractional(flags).any() and flags.max() <= 1):
        if ((flags < 0) | (flags > 1)).any():
            bad = flags[(flags < 0) | (flags > 1)][0]
            raise LabelError(f"{record}: the confidence of a joint must be from 0 to 1, got {bad:g}")
        return np.where(flags >= max(options.confidence, np.finfo(float).tiny), 2.0, 0.0)
    if not np.isin(flags, (0, 1, 2)).all():
        bad = flags[~np.isin(flags, (0, 1, 2))][0]
        raise LabelError(f"{record}: v must be 0 (not labeled), 1 (occluded) or 2 (visible), got {bad:g}")
    return flags


def _hint(values: NDArray[np.float64], shape: KeypointShape) -> str:
    """What else a line may be, by its number of values."""
    rest = len(values) - BOX
    other = 5 - shape.numbers
    if rest == shape.joints * other:
        return f": kpt_shape [{shape.joints}, {other}] has as many"
    shares = values[1:]
    if len(shares) >= 6 and len(shares) % 2 == 0 and ((shares >= 0) & (shares <= 1)).all():
        return ": a polygon of YOLO-seg has no joints"
    return ""
