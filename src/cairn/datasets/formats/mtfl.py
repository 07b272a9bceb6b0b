r"""Lists of five facial points in text: MTFL, which has the faces of AFLW, and the lists that it comes from.

MTFL (Zhang et al., ECCV 2014), training.txt and testing.txt:

    AFLW\a.jpg x1 x2 x3 x4 x5 y1 y2 y3 y4 y5 gender smile glasses pose

LFW and Net (Sun et al., CVPR 2013), trainImageList.txt and testImageList.txt:

    lfw_5590\a.jpg left right top bottom x1 y1 x2 y2 x3 y3 x4 y4 x5 y5

Others, with or without a header, separated by spaces or commas; the header may name all x before all y:

    a.jpg x1 y1 x2 y2 x3 y3 x4 y4 x5 y5

The points are the eyes, the tip of the nose and the corners of the mouth, the left side of the image first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.containers.text_file import first_bytes
from cairn.datasets.formats.format import Format, ReadOptions
from cairn.datasets.formats.instances import Box, Instance, collect
from cairn.datasets.formats.point_rows import (
    PERSON_SIDES,
    PointRows,
    columns_of,
    header_lines,
    header_of,
    read_rows,
    split_of_name,
)
from cairn.datasets.formats.splits import by_split
from cairn.datasets.labels import Labels
from cairn.structures.skeleton import load_skeleton

FILES = ("training.txt", "testing.txt")
"""The lists of MTFL's folder."""

COLUMNS = (10, 14)
"""Numbers of columns after the name: five points; or these with four attributes, or with a box."""

MAX_ATTRIBUTE = 5

AXIS = re.compile(r"[xy](?=[\d_]*$)|^[xy](?=[\d_])")
"""The axis that the name of a column starts or ends with."""


def read_mtfl(path: Path, options: ReadOptions) -> Labels:
    """Reads a list, or the two lists of MTFL's folder; a file's name states its split.

    Raises:
        LabelError: A line is invalid, or images are missing.
    """
    files = _lists(path) if path.is_dir() else [path]
    entries = [
        (split_of_name(file.stem), instance)
        for file in files
        for instance in _instances(
            read_rows(file, _columns(file) or COLUMNS[0], options.problems), _all_x_first(header_of(file))
        )
    ]
    source = path / files[0].name if path.is_dir() else path
    instances, listed = by_split(entries, options.split, options.problems)
    return collect(instances, load_skeleton("face5"), source, options.images, listed, problems=options.problems)


def _instances(rows: PointRows, all_x_first: bool) -> Iterator[Instance]:
    values, boxes = rows.values, None
    attributes = values.shape[1] > COLUMNS[0] and _have_attributes(values)
    if attributes or (all_x_first and values.shape[1] == COLUMNS[0]):
        points = values[:, :10].reshape(-1, 2, 5).transpose(0, 2, 1)
    elif values.shape[1] == COLUMNS[0]:
        points = values.reshape(-1, 5, 2)
    else:
        boxes, points = values[:, :4], values[:, 4:].reshape(-1, 5, 2)
    for i, (name, face) in enumerate(zip(rows.names, points[:, PERSON_SIDES], strict=True)):
        yield Instance(name, face, np.zeros(5, bool), None if boxes is None else _box(boxes[i]))


def _all_x_first(header: Sequence[str]) -> bool:
    """Whether a header names the x of all points before their y."""
    axes = "".join(match[0] for name in header[-COLUMNS[0] :] if (match := AXIS.search(name.lower())))
    return axes == "xxxxxyyyyy"


def _have_attributes(values: NDArray[np.float64]) -> bool:
    """Whether the last four columns are MTFL's attributes, which are 1 to 5, and not a point."""
    last = values[:, -4:]
    return bool(((last >= 1) & (last <= MAX_ATTRIBUTE) & (last == np.round(last))).mean() > 0.5)


def _box(edges: NDArray[np.float64]) -> Box | None:
    left, right, top, bottom = edges.tolist()
    return (left, top, right - left, bottom - top) if right > left and bottom > top else None


def _lists(folder: Path) -> list[Path]:
    return [folder / name for name in FILES if (folder / name).is_file() and _columns(folder / name) == COLUMNS[1]]


def _columns(path: Path) -> int | None:
    """The number of columns of a list by its first image; None where it is no such list."""
    lines = first_bytes(path).decode("latin-1").splitlines()
    line = next(iter(lines[header_lines(lines) :]), "")
    count = columns_of(line)
    return count if count in COLUMNS else None


def _sniff(path: Path) -> bool:
    if path.is_dir():
        return bool(_lists(path))
    return path.suffix.lower() in FORMAT.suffixes and _columns(path) is not None


FORMAT = Format(
    "mtfl", "MTFL's and other lists of five facial points (.txt)", (".txt", ".csv", ""), _sniff, read_mtfl,
    splits=("train", "test"),
)  # fmt: skip
