"""Text with one point a line (.xyz, .txt, .csv, .pts, .asc), and NumPy's .npy and .npz."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.errors import CloudError
from cairn.pointclouds.io.content import COORDINATES, MAX_POINTS, NORMALS, Content, check_count, stated_unit
from cairn.pointclouds.io.numbers import parse_numbers

MIN_LINE = 6
"""Bytes of the shortest line with a point."""

MAX_COLUMNS = 16
"""Three rows of more columns are coordinates that are transposed."""

COMMENTS = (b"#", b"//", b"%")
POINTS_KEYS = ("points", "xyz", "vertices", "pts", "pos", "positions", "coords")


def is_table(head: bytes) -> bool:
    """Whether the first bytes of a file are text with at least three values in a line."""
    if b"\0" in head:
        return False
    lines = [line for line in head.splitlines()[:-1] or head.splitlines() if line.strip()]
    lines = [line for line in lines if not line.lstrip().startswith(COMMENTS)]
    return any(_numbers(_split(line, _delimiter(line))) >= 3 for line in lines[:3])


def read_table(path: Path) -> Content:
    """Reads points from text: x y z in the first columns, or columns that a header names.

    Three more columns are normals where they have length 1, colors where they are integers up to 255.

    Raises:
        CloudError: A line has another number of values than the first, or something is no number.
    """
    data = path.read_bytes()
    if len(data) > MAX_POINTS * MIN_LINE:
        check_count(path, data.count(b"\n"))
    lines = [line for line in data.removeprefix(b"\xef\xbb\xbf").splitlines() if line.strip()]
    comments = [line.decode("latin-1") for line in lines[:50] if line.lstrip().startswith(COMMENTS)]
    lines = [line for line in lines if not line.lstrip().startswith(COMMENTS)]
    if lines and re.fullmatch(rb"\s*\d+\s*", lines[0]):  # .pts files state the number of their points
        stated = int(lines.pop(0))
        if len(lines) < stated:
            raise CloudError(f"{path} is truncated: expected {stated:,} points, got {len(lines):,}")
    check_count(path, len(lines))
    delimiter = _delimiter(lines[0])
    first = [word.strip(b" \"'").decode("utf-8", "replace") for word in _split(lines[0], delimiter)]
    header = None
    if _numbers([word.encode() for word in first]) < min(3, len(first)):
        header, lines = first, lines[1:]
        check_count(path, len(lines))
    rows = _with_spaces(lines, delimiter)
    if header is not None:
        return _named(path, header, rows, comments)
    columns = len(rows[0].split())
    if columns < 3:
        raise CloudError(f"{path}: expected at least x, y and z in each line, got {columns} values")
    return Content(_by_place(parse_numbers(path, rows, columns, "point")), unit=stated_unit(comments))


def _delimiter(line: bytes) -> bytes | None:
    return next((each for each in (b";", b"\t", b",") if each in line), None)


def _split(line: bytes, delimiter: bytes | None) -> list[bytes]:
    return line.split() if delimiter is None else line.strip(b" \r\n" + delimiter).split(delimiter)


def _numbers(words: Sequence[bytes]) -> int:
    """Returns how many of the first words are numbers."""
    count = 0
    for word in words:
        try:
            float(word.strip(b" \"'").replace(b",", b"."))
        except ValueError:
            break
        count += 1
    return count


def _with_spaces(lines: Sequence[bytes], delimiter: bytes | None) -> list[bytes]:
    """Returns lines with spaces between their values, and points in their decimals."""
    if delimiter is None:
        return list(lines)
    rows = [line.strip().strip(delimiter).replace(delimiter, b" ") for line in lines]
    return [row.replace(b",", b".") for row in rows] if delimiter != b"," else rows


def _named(path: Path, header: Sequence[str], rows: Sequence[bytes], comments: Sequence[str]) -> Content:
    """Returns the columns that a header names; units may follow a name, as in `x [mm]`."""
    names = [re.sub(r"[^a-z_0-9].*$", "", name.strip().lower()) for name in header]
    wanted = [
        name
        for name in names
        if name in (*COORDINATES, *NORMALS[0], *NORMALS[1], "red", "green", "blue", "r", "g", "b")
    ]
    if missing := [name for name in COORDINATES if name not in names]:
        raise CloudError(f"{path}: no column {', '.join(missing)}; it has {', '.join(header)}")
    units = [found[1] for name in header if (found := re.search(r"[\[(]\s*([a-zµμ]+)\s*[\])]", name))]
    places = [names.index(name) for name in wanted]
    kept = []
    for row, line in enumerate(rows):
        words = line.split()
        if len(words) < max(places) + 1:
            raise CloudError(f"{path}: point {row} has {len(words)} values, expected {len(header)}")
        kept.append(b" ".join([words[place] for place in places]))
    values = parse_numbers(path, kept, len(wanted), "point")
    unit = stated_unit([f"unit {units[0]}"] if units else comments)
    return Content({name: values[:, i] for i, name in enumerate(wanted)}, unit=unit)


def _by_place(values: NDArray[np.float64]) -> dict[str, NDArray[Any]]:
    """Returns columns without names by what they hold."""
    columns: dict[str, NDArray[Any]] = {name: values[:, i] for i, name in enumerate(COORDINATES)}
    for start in (3, 6):
        if values.shape[1] < start + 3:
            break
        three = values[:, start : start + 3]
        lengths = np.linalg.norm(three, axis=1)
        if np.isclose(lengths, 1, atol=0.01).mean() > 0.9:
            columns |= {name: three[:, i] for i, name in enumerate(NORMALS[0])}
        elif three.min() >= 0 and three.max() <= 255 and (three == np.round(three)).all():
            columns |= {name: three[:, i] for i, name in enumerate(("red", "green", "blue"))}
    return columns


def read_npy(path: Path) -> Content:
    """Reads an array (N, 3) or wider, or a structured array with fields x, y and z.

    Raises:
        CloudError: The array has another shape or type, or the file ends too early.
    """
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise _unreadable(path, error) from None
    return _array_content(path, array)


def read_npz(path: Path) -> Content:
    """Reads arrays by their names: points (or xyz, vertices), normals, colors and faces.

    Raises:
        CloudError: There is no array of points, or the file is damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays: Mapping[str, NDArray[Any]] = {name: archive[name] for name in archive.files}
    except (ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise _unreadable(path, error) from None
    lower = {name.lower(): values for name, values in arrays.items()}
    key = next((key for key in POINTS_KEYS if key in lower), next(iter(lower)) if len(lower) == 1 else None)
    if key is None:
        raise CloudError(f"{path}: expected an array named points, got {', '.join(arrays) or 'none'}")
    content = _array_content(path, lower[key])
    columns = dict(content.columns)
    for name, parts in (("normals", NORMALS[0]), ("colors", ("red", "green", "blue"))):
        if name in lower:
            if lower[name].shape != (len(columns["x"]), 3):
                raise CloudError(f"{path}: expected {name} ({len(columns['x'])}, 3), got {lower[name].shape}")
            columns |= {part: lower[name][:, i] for i, part in enumerate(parts)}
    faces = lower.get("faces")
    if faces is not None and (faces.ndim != 2 or faces.shape[1] != 3 or faces.dtype.kind not in "iu"):
        raise CloudError(f"{path}: expected faces (M, 3) of integers, got {faces.dtype} {faces.shape}")
    return Content(columns, None if faces is None else faces.astype(np.int64))


def _unreadable(path: Path, error: Exception) -> CloudError:
    if any(word in str(error) for word in ("pickle", "Object arrays", "Python objects")):
        return CloudError(f"{path}: expected an array of numbers, got Python objects: save points (N, 3) as float")
    return CloudError(f"{path} is truncated or damaged: NumPy cannot read it")


def _array_content(path: Path, array: NDArray[Any]) -> Content:
    if array.dtype.names:
        check_count(path, array.size)
        flat = array.ravel()
        return Content({name: np.asarray(flat[name]) for name in array.dtype.names if flat[name].ndim == 1})
    if array.dtype.kind not in "fiu":
        raise CloudError(f"{path}: expected points (N, 3) of numbers, got an array of {array.dtype}")
    if array.ndim == 3 and array.shape[2] == 3:  # an organized cloud
        array = array.reshape(-1, 3)
    if array.ndim == 2 and array.shape[0] == 3 and array.shape[1] > MAX_COLUMNS:
        raise CloudError(f"{path}: expected points (N, 3), got an array of shape {array.shape}: transpose it")
    if array.ndim != 2 or array.shape[1] < 3:
        raise CloudError(f"{path}: expected points (N, 3), got an array of shape {array.shape}")
    check_count(path, len(array))
    return Content(_by_place(np.asarray(array, np.float64)))
