"""Facial landmarks in the .csv files of HRNet (Sun et al., 2019): AFLW with 19 points, 300-W with 68, WFLW with 98.

    image_name,scale,box_size,center_w,center_h,original_0_x,original_0_y,...

Each line is a face. The box is a square around the center; without `box_size` its side is 200·scale.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from cairn.datasets.containers.text_file import first_bytes, read_text
from cairn.datasets.formats.format import Format, ReadOptions
from cairn.datasets.formats.instances import PERSON_HEIGHT, Box, Instance, checked_points, collect, square
from cairn.datasets.formats.point_rows import split_of_name
from cairn.datasets.formats.splits import by_split
from cairn.datasets.labels import SPLITS, Labels
from cairn.errors import LabelError
from cairn.structures.skeleton import Skeleton, load_skeleton

CENTER = ("center_w", "center_h")
SKELETONS = {19: "aflw19", 68: "face68", 5: "face5"}


def read_face_csv(path: Path, options: ReadOptions) -> Labels:
    """Reads the faces of a file, whose name states the split. A point at (0, 0) or (-1, -1) is not labeled.

    Points have no names: 19 are `aflw19`, 68 are `face68`; otherwise a given skeleton of as many joints names them.

    Raises:
        LabelError: A row is invalid, or images are missing.
    """
    try:
        header, *rows = csv.reader(io.StringIO(read_text(path), newline=""))
    except (csv.Error, ValueError) as error:  # a cell without end, or no line
        raise LabelError(f"{path} is no table: {error}") from None
    header = [name.strip() for name in header]
    if not set(CENTER) <= set(header):
        raise LabelError(f"{path}: expected the columns {' and '.join(CENTER)} in its first line")
    first = header.index(CENTER[1]) + 1
    count, odd = divmod(len(header) - first, 2)
    if odd or not count:
        raise LabelError(f"{path}: expected x and y of each point after {CENTER[1]}, got {len(header) - first} columns")
    split = split_of_name(path.stem)
    faces = _instances(path, header, rows, options)
    instances, listed = by_split(((split, face) for face in faces), options.split, options.problems)
    skeleton = _skeleton(count, options.skeleton)
    return collect(instances, skeleton, path, options.images, listed, problems=options.problems)


def _instances(
    path: Path, header: Sequence[str], rows: Sequence[Sequence[str]], options: ReadOptions
) -> Iterator[Instance]:
    first = header.index(CENTER[1]) + 1
    for number, row in enumerate(rows, start=2):
        if not any(cell.strip() for cell in row):
            continue
        with options.problems:
            record = f"{path}: row {number}"
            try:
                values = [float(cell) for cell in row[1:]]
            except ValueError as error:
                raise LabelError(f"{record} must have numbers after the image ({error})") from None
            if len(row) != len(header):
                raise LabelError(f"{record} has {len(row)} columns, expected {len(header)} as in the header")
            points = np.array(values[first - 1 :]).reshape(-1, 2)
            missing = (points == 0).all(axis=1) | (points == -1).all(axis=1)
            points = checked_points(np.where(missing[:, None], np.nan, points), record)
            yield Instance(row[0].strip(), points, np.zeros(len(points), bool), _box(header, values))


def _box(header: Sequence[str], values: Sequence[float]) -> Box | None:
    stated = dict(zip(header[1:], values, strict=False))
    side = stated.get("box_size", PERSON_HEIGHT * stated.get("scale", float("nan")))
    center = stated[CENTER[0]], stated[CENTER[1]]
    return square(center, side) if side > 0 and np.isfinite((side, *center)).all() else None


def _skeleton(count: int, names: Skeleton | None) -> Skeleton:
    if names is not None and len(names) == count:
        return names
    if count in SKELETONS:
        return load_skeleton(SKELETONS[count])
    return Skeleton("points", tuple(f"point_{i}" for i in range(count)))


def _sniff(path: Path) -> bool:
    line = first_bytes(path).split(b"\n", 1)[0]
    return b"," in line and all(f",{name},".encode() in line.replace(b" ", b"") for name in CENTER)


FORMAT = Format(
    "face-csv", "HRNet's facial landmarks (.csv): AFLW, 300-W, WFLW", (".csv",), _sniff, read_face_csv, splits=SPLITS
)
