"""Lists of faces in text: one line for each image, its name and then numbers, as CelebA, MAFL and MTFL publish them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.containers.text_file import first_bytes, read_text
from cairn.datasets.image_files import SUFFIXES
from cairn.datasets.problems import Problems
from cairn.errors import LabelError
from cairn.structures.annotation import MAX_VALUE

PERSON_SIDES = (1, 0, 2, 4, 3)
"""Order of `face5` in lists of five points, which call the left side of the image left: there it is the right eye."""

COUNT = re.compile(r"\s*\d{1,18}\s*")
SEPARATORS = re.compile(r"[,;\t]")
NAME = re.compile(rf"(?i)\s*(.+?\.(?:{'|'.join(suffix[1:] for suffix in SUFFIXES)}))(?=[\s,;]|$)")


@dataclass(frozen=True, eq=False)
class PointRows:
    """The lines of a list.

    Attributes:
        names: Names of the images.
        values: (N, C) float64 numbers of each line.
        lines: (N,) number of each line in the file, from 1.
    """

    names: list[str]
    values: NDArray[np.float64]
    lines: NDArray[np.int64]


def columns_of(line: str) -> int | None:
    """Returns how many numbers follow the image name of a line; None where it has no image name, or other words."""
    name = NAME.match(line)
    words = _words(line[name.end() :]) if name else []
    return len(words) if name and all(_is_number(word) for word in words) else None


def read_rows(path: Path, count: int, problems: Problems) -> PointRows:
    """Reads a list of images with `count` numbers each; blank lines, a line with the count and a header are skipped.

    Names and numbers may be separated by spaces, tabs, commas or semicolons.

    Args:
        path: The file.
        count: Number of numbers after each name.
        problems: Collects skipped lines and notes.

    Raises:
        LabelError: A line has another structure, or there is none.
    """
    lines = read_text(path).splitlines()
    start, stated = _start(lines)
    numbered = [(i, line) for i, line in enumerate(lines[start:], start=start + 1) if line and not line.isspace()]
    if not numbered:
        raise LabelError(f"{path} lists no images")
    split = [(SEPARATORS.sub(" ", line) if "," in line or ";" in line else line).rsplit(None, count)
             for _, line in numbered]  # fmt: skip
    values = _numbers(split, count)
    if values is None:
        return _one_by_one(path, numbered, split, count, problems)
    if stated is not None and stated != len(numbered):
        problems.note("lists have another number of lines than they state", f"{len(numbered)}, stated {stated}")
    return PointRows([row[0].strip() for row in split], values, np.array([i for i, _ in numbered], np.int64))


def read_names(path: Path) -> list[str]:
    """Returns the names of a list that has nothing else, one on each line.

    Raises:
        LabelError: The file cannot be read.
    """
    return [line.strip() for line in read_text(path).splitlines() if line.strip()]


def split_of_name(stem: str) -> str | None:
    """Returns the split that a file name has, such as train in `training` and in `face_landmarks_aflw_train`."""
    found = [split for split, part in (("train", "train"), ("val", "val"), ("test", "test")) if part in stem.lower()]
    return found[0] if len(found) == 1 else None


def header_lines(lines: Sequence[str]) -> int:
    """Returns how many lines precede the first image: blank ones, the count, and the names of the columns."""
    return _start(lines)[0]


def header_of(path: Path) -> list[str]:
    """Returns the names of the columns of a list; none where it has no header."""
    lines = first_bytes(path).decode("latin-1").splitlines()
    start = header_lines(lines)
    words = _words(lines[start - 1]) if start else []
    return [] if any(_is_number(word) for word in words) else words


def _start(lines: Sequence[str]) -> tuple[int, int | None]:
    """How many lines precede the first image, and the count that is stated there."""
    start, stated = 0, None
    while start < len(lines) and not lines[start].strip():
        start += 1
    if start < len(lines) and COUNT.fullmatch(lines[start]):
        stated, start = int(lines[start]), start + 1
    if start < len(lines) and NAME.match(lines[start]) is None and not any(_is_number(w) for w in _words(lines[start])):
        start += 1
    return start, stated


def _numbers(rows: Iterable[list[str]], count: int) -> NDArray[np.float64] | None:
    """(N, C) numbers of all rows at once; None where one is not as it should be."""
    rows = list(rows)
    if not all(len(row) == count + 1 and NAME.fullmatch(row[0].strip()) for row in rows):
        return None
    try:
        values = np.array([[float(word) for word in row[1:]] for row in rows], np.float64).reshape(len(rows), count)
    except ValueError:
        return None
    return values if (np.abs(values) <= MAX_VALUE).all() else None


def _one_by_one(
    path: Path, numbered: list[tuple[int, str]], split: list[list[str]], count: int, problems: Problems
) -> PointRows:
    """The lines that are valid; the others are recorded, or the first of them is raised."""
    names, values, lines = [], [], []
    for (number, line), row in zip(numbered, split, strict=True):
        with problems:
            own = _numbers([row], count)
            if own is None:
                numbers = f"{count} finite numbers" if count > 1 else "a number"
                raise LabelError(f"{path}: line {number} must be an image name and {numbers}, got {line.strip()!r:.80}")
            names.append(row[0].strip())
            values.append(own[0])
            lines.append(number)
    if not names:
        raise LabelError(f"{path}: none of its {len(numbered)} lines is usable")
    return PointRows(names, np.array(values), np.array(lines, np.int64))


def _words(line: str) -> list[str]:
    return SEPARATORS.sub(" ", line).split()


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
