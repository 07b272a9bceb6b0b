"""PLY, ASCII and binary: clouds and meshes of Stanford, MeshLab, CloudCompare, Slicer and others.

All vertices are kept, in their order. Elements other than vertices and faces, such as a `range_grid`, are skipped.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.errors import CloudError
from cairn.files import atomic_write
from cairn.pointclouds.io.content import Content, check_count, fan, stated_system, stated_unit, triangles
from cairn.pointclouds.io.numbers import parse_numbers

TYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "i2", "int16": "i2", "ushort": "u2",
    "uint16": "u2", "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4", "float": "f4", "float32": "f4",
    "double": "f8", "float64": "f8", "int64": "i8", "uint64": "u8",
}  # fmt: skip
ORDERS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}
MAX_HEADER = 1 << 20
FACES = ("vertex_indices", "vertex_index")


@dataclass(frozen=True)
class Property:
    """A property of an element: its name, the type of its values, and of a list the type of its length."""

    name: str
    kind: str
    length: str | None = None


@dataclass(frozen=True)
class Element:
    """An element of the header: its name, its number of rows and its properties."""

    name: str
    count: int
    properties: tuple[Property, ...]

    @property
    def has_lists(self) -> bool:
        """Whether a property is a list."""
        return any(each.length for each in self.properties)


def is_ply(head: bytes) -> bool:
    """Whether the first bytes of a file are those of a PLY file."""
    return re.match(rb"ply\s", head) is not None


def read_ply(path: Path) -> Content:
    """Reads a PLY file.

    Raises:
        CloudError: The header is invalid, or the file ends too early.
    """
    with path.open("rb") as file:
        head = file.read(MAX_HEADER)
    found = re.search(rb"(?:^|[\r\n])end_header[ \t]*(\r\n|\n|\r)", head)
    if found is None:
        raise CloudError(f"{path}: expected a PLY header that ends with end_header; the file is truncated or damaged")
    lines = [line.strip() for line in re.split(r"\r\n|\n|\r", head[: found.end()].decode("latin-1"))]
    order, elements = _header(path, lines)
    vertices = next((each for each in elements if each.name == "vertex"), None)
    if vertices is None:
        raise CloudError(f"{path}: expected an element vertex, got {', '.join(e.name for e in elements) or 'none'}")
    check_count(path, vertices.count)
    body = memoryview(path.read_bytes())[found.end() :]
    rows = _BinaryRows(path, body, order) if order else _TextRows(path, bytes(body))
    columns: dict[str, NDArray[Any]] = {}
    faces = None
    for element in elements:
        if element.name == "vertex":
            columns = rows.columns(element)
        elif element.name == "face" and any(each.name in FACES for each in element.properties):
            faces = rows.faces(element)
        else:
            rows.skip(element)
    comments = [line for line in lines if line.startswith(("comment", "obj_info"))]
    return Content(columns, faces, stated_unit(comments), stated_system(comments))


def _header(path: Path, lines: Sequence[str]) -> tuple[str, list[Element]]:
    """Returns the byte order, "" for ASCII, and the elements."""
    order: str | None = None
    elements: list[Element] = []
    for line in lines[1:]:
        words = line.split()
        if not words or words[0] in ("comment", "obj_info", "end_header"):
            continue
        if words[0] == "format" and len(words) >= 2 and words[1] in ORDERS:
            order = ORDERS[words[1]]
        elif words[0] == "element" and len(words) == 3 and words[2].isdigit():
            elements.append(Element(words[1], int(words[2]), ()))
        elif words[0] == "property" and elements and (each := _property(words)):
            last = elements[-1]
            elements[-1] = Element(last.name, last.count, (*last.properties, each))
        else:
            raise CloudError(f"{path}: unexpected line in the PLY header: {line!r}")
    if order is None:
        raise CloudError(f"{path}: the PLY header states no format: {' or '.join(ORDERS)}")
    return order, elements


def _property(words: Sequence[str]) -> Property | None:
    if len(words) == 3 and words[1] in TYPES:
        return Property(words[2], TYPES[words[1]])
    if len(words) == 5 and words[1] == "list" and words[2] in TYPES and words[3] in TYPES:
        return Property(words[4], TYPES[words[3]], TYPES[words[2]])
    return None


class _TextRows:
    """The rows of an ASCII file, one a line."""

    def __init__(self, path: Path, data: bytes) -> None:
        self._path = path
        self._lines = [line for line in data.splitlines() if line.strip()]
        self._next = 0

    def skip(self, element: Element) -> list[bytes]:
        """Returns the lines of the next element."""
        lines = self._lines[self._next : self._next + element.count]
        if len(lines) < element.count:
            raise CloudError(
                f"{self._path} is truncated: expected {element.count:,} rows of {element.name}, got {len(lines):,}"
            )
        self._next += element.count
        return lines

    def columns(self, element: Element) -> dict[str, NDArray[Any]]:
        lines = self.skip(element)
        if element.has_lists:
            raise CloudError(f"{self._path}: lists of vertices are not read")
        names = [each.name for each in element.properties]
        values = parse_numbers(self._path, lines, len(names), "vertex")
        return {
            each.name: values[:, i].astype(each.kind) if each.kind[0] in "iu" else values[:, i]
            for i, each in enumerate(element.properties)
        }

    def faces(self, element: Element) -> NDArray[np.int64]:
        lines = self.skip(element)
        polygons: list[NDArray[np.int64]] = []
        for row, line in enumerate(lines):
            words, at = line.split(), 0
            try:
                for each in element.properties:
                    length = int(words[at]) if each.length else 0
                    start = at + 1 if each.length else at
                    at = start + (length if each.length else 1)
                    if each.name in FACES:
                        polygons.append(np.array([int(word) for word in words[start:at]], np.int64))
                        if len(polygons[-1]) < length:
                            raise ValueError
            except (ValueError, IndexError, OverflowError):
                raise CloudError(f"{self._path}: face {row} cannot be read: {line[:60].decode('latin-1')!r}") from None
        return triangles(polygons)


class _BinaryRows:
    """The rows of a binary file."""

    def __init__(self, path: Path, data: memoryview, order: str) -> None:
        self._path, self._data, self._order = path, data, order
        self._at = 0

    def _take(self, kind: np.dtype[Any], count: int, name: str) -> NDArray[Any]:
        """Returns the next values."""
        size = kind.itemsize * count
        if self._at + size > len(self._data):
            has = max(len(self._data) - self._at, 0) // max(kind.itemsize, 1)
            raise CloudError(f"{self._path} is truncated: expected {count:,} rows of {name}, got {has:,}")
        values = np.frombuffer(self._data, kind, count, self._at)
        self._at += size
        return values

    def columns(self, element: Element) -> dict[str, NDArray[Any]]:
        if element.has_lists:
            raise CloudError(f"{self._path}: lists of vertices are not read")
        kind = np.dtype([(each.name, self._order + each.kind) for each in element.properties])
        values = self._take(kind, element.count, element.name)
        return {each.name: values[each.name].astype(each.kind) for each in element.properties}

    def faces(self, element: Element) -> NDArray[np.int64]:
        return triangles_of(self._lists(element))

    def skip(self, element: Element) -> None:
        if element.has_lists:
            self._lists(element)
        else:
            self.columns(element)

    def _lists(self, element: Element) -> list[NDArray[np.int64]] | NDArray[np.int64]:
        """Returns the vertices of each face: (M, n) where all have as many."""
        if element.count and (same := self._equal_lists(element)) is not None:
            return same
        polygons = []
        for _ in range(element.count):
            for each in element.properties:
                if each.length:
                    count = int(self._take(np.dtype(self._order + each.length), 1, element.name)[0])
                    values = self._take(np.dtype(self._order + each.kind), max(count, 0), element.name)
                    if each.name in FACES:
                        polygons.append(values.astype(np.int64))
                else:
                    self._take(np.dtype(self._order + each.kind), 1, element.name)
        return polygons

    def _equal_lists(self, element: Element) -> NDArray[np.int64] | None:
        """Returns the vertices (M, n) if all lists have the lengths of the first row; otherwise None, and goes back."""
        start = self._at
        fields: list[tuple[object, ...]] = []
        lengths: dict[int, int] = {}
        for i, each in enumerate(element.properties):
            if each.length:
                lengths[i] = int(self._take(np.dtype(self._order + each.length), 1, element.name)[0])
                self._take(np.dtype(self._order + each.kind), max(lengths[i], 0), element.name)
                fields.append((f"length{i}", self._order + each.length))
                fields.append((f"value{i}", self._order + each.kind, (max(lengths[i], 0),)))
            else:
                self._take(np.dtype(self._order + each.kind), 1, element.name)
                fields.append((f"value{i}", self._order + each.kind))
        self._at = start
        kind = np.dtype(fields)
        if self._at + kind.itemsize * element.count > len(self._data):
            return None
        values = self._take(kind, element.count, element.name)
        if any((values[f"length{i}"] != length).any() for i, length in lengths.items()):
            self._at = start
            return None
        row = next((i for i, each in enumerate(element.properties) if each.name in FACES), None)
        return np.zeros((0, 3), np.int64) if row is None else values[f"value{row}"].astype(np.int64)


def triangles_of(polygons: list[NDArray[np.int64]] | NDArray[np.int64]) -> NDArray[np.int64]:
    """Returns polygons as triangles (M, 3)."""
    if isinstance(polygons, list):
        return triangles(polygons)
    return fan(polygons) if polygons.shape[1] >= 3 else np.zeros((0, 3), np.int64)


def write_ply(path: Path, columns: dict[str, NDArray[Any]], comments: Sequence[str] = ()) -> None:
    """Writes points as binary PLY.

    Args:
        path: The file.
        columns: (N,) values by the name of their property, such as x, y, z and red; with a type of PLY.
        comments: Lines of the header.

    Raises:
        OutputError: The file cannot be written.
    """
    names = {"f4": "float", "f8": "double", "u1": "uchar", "i4": "int", "u4": "uint"}
    kinds = {name: values.dtype.str[1:] for name, values in columns.items()}
    count = len(next(iter(columns.values())))
    header = ["ply", "format binary_little_endian 1.0", *(f"comment {' '.join(line.split())}" for line in comments)]
    header += [f"element vertex {count}", *(f"property {names[kind]} {name}" for name, kind in kinds.items())]
    rows = np.empty(count, np.dtype([(name, "<" + kind) for name, kind in kinds.items()]))
    for name, values in columns.items():
        rows[name] = values
    text = "\n".join([*header, "end_header", ""])
    with atomic_write(path) as partial:
        partial.write_bytes(text.encode("ascii", "replace") + rows.tobytes())
