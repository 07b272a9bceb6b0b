"""OBJ, OFF and STL. All vertices are kept, in their order, also those without a face."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.errors import CloudError
from cairn.pointclouds.io.content import COORDINATES, Content, check_count, stated_system, stated_unit, triangles
from cairn.pointclouds.io.numbers import parse_numbers

STL_HEADER = 84
STL_TRIANGLE = np.dtype([("normal", "<f4", (3,)), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])


def is_off(head: bytes) -> bool:
    """Whether the first bytes of a file are those of an OFF file."""
    return re.match(rb"(?:ST)?C?N?OFF\b|OFF\d", head) is not None


def is_obj(head: bytes) -> bool:
    """Whether the first lines of a file are those of an OBJ file."""
    known = (b"v", b"vn", b"vt", b"vp", b"f", b"l", b"p", b"o", b"g", b"s", b"mtllib", b"usemtl")
    lines = [line.split() for line in head.splitlines() if line.strip() and not line.lstrip().startswith(b"#")]
    return bool(lines) and all(line[0] in known for line in lines[:-1] or lines)


def is_stl(head: bytes, size: int) -> bool:
    """Whether a file is STL, by its first bytes and its size in bytes."""
    return _is_binary_stl(head, size) or (re.match(rb"\s*solid\b", head) is not None and b"\0" not in head[:80])


def _is_binary_stl(head: bytes, size: int) -> bool:
    if len(head) < STL_HEADER:
        return False
    count = int.from_bytes(head[80:84], "little")
    if head[:5].lower() == b"solid" and b"facet" in head[:1024]:
        return False
    return count > 0 and size - STL_HEADER in (count * 50, count * 50 + 1, count * 50 + 2)


def read_obj(path: Path) -> Content:
    """Reads the vertices, their colors and the faces of an OBJ file.

    Raises:
        CloudError: A line cannot be read, or a face has a vertex that does not exist.
    """
    vertices: list[bytes] = []
    polygons: list[NDArray[np.int64]] = []
    lines = path.read_bytes().replace(b"\\\r\n", b" ").replace(b"\\\n", b" ").splitlines()
    for line in lines:
        kind, _, rest = line.strip().partition(b" ")
        if kind == b"v":
            vertices.append(rest)
        elif kind == b"f":
            polygons.append(_obj_face(path, rest.split(), len(vertices)))
    check_count(path, len(vertices))
    width = min((len(line.split()) for line in vertices[:1]), default=3)
    values = parse_numbers(path, vertices, width, "vertex")
    if width not in (3, 4, 6, 7):
        raise CloudError(f"{path}: expected 3 coordinates of each vertex, or 3 and a color; got {width} values")
    columns: dict[str, NDArray[Any]] = {name: values[:, i] for i, name in enumerate(COORDINATES)}
    if width >= 6:
        columns |= {name: values[:, width - 3 + i] for i, name in enumerate(("red", "green", "blue"))}
    comments = [line.decode("latin-1") for line in lines[:50] if line.startswith(b"#")]
    return Content(columns, triangles(polygons), stated_unit(comments), stated_system(comments))


def _obj_face(path: Path, corners: Sequence[bytes], count: int) -> NDArray[np.int64]:
    """Returns the vertices of a face: they are numbered from 1, or backward from -1."""
    try:
        numbers = [int(corner.split(b"/")[0]) for corner in corners]
    except ValueError:
        shown = b" ".join(corners)[:60].decode("latin-1")
        raise CloudError(f"{path}: a face cannot be read: {shown!r}") from None
    if 0 in numbers:
        raise CloudError(f"{path}: a face has vertex 0, but OBJ numbers vertices from 1")
    return np.array([number - 1 if number > 0 else count + number for number in numbers], np.int64)


def read_off(path: Path) -> Content:
    """Reads an OFF file, with normals (NOFF) and colors (COFF) of the vertices.

    Raises:
        CloudError: The file is binary, invalid, or ends too early.
    """
    data = path.read_bytes()
    found = re.match(rb"(?:ST)?(C?)(N?)OFF[ \t]*(BINARY)?", data)
    if found is None or found[3]:
        raise CloudError(f"{path}: expected OFF in text, got {'binary OFF' if found else 'something else'}")
    lines = [line.split(b"#")[0] for line in data[found.end() :].splitlines()]
    lines = [line for line in lines if line.strip()]
    try:
        count, faces = (int(word) for word in lines[0].split()[:2])
    except (ValueError, IndexError):
        raise CloudError(f"{path}: expected the numbers of vertices and faces after OFF") from None
    check_count(path, count)
    if len(lines) - 1 < count + faces:
        raise CloudError(
            f"{path} is truncated: expected {count:,} vertices and {faces:,} faces, got {len(lines) - 1:,} lines"
        )
    rows = lines[1 : 1 + count]
    values = parse_numbers(path, rows, len(rows[0].split()), "vertex")
    names = [*COORDINATES, *(("nx", "ny", "nz") if found[2] else ()), *(("red", "green", "blue") if found[1] else ())]
    if values.shape[1] < len(names):
        raise CloudError(f"{path}: expected {len(names)} values of each vertex, got {values.shape[1]}")
    columns: dict[str, NDArray[Any]] = {name: values[:, i] for i, name in enumerate(names)}
    polygons = []
    for row, line in enumerate(lines[1 + count : 1 + count + faces]):
        words = line.split()
        try:
            length = int(words[0])
            polygons.append(np.array([int(word) for word in words[1 : 1 + length]], np.int64))
            if len(polygons[-1]) < length:
                raise ValueError
        except (ValueError, OverflowError):
            raise CloudError(f"{path}: face {row} cannot be read: {line[:60].decode('latin-1')!r}") from None
    return Content(columns, triangles(polygons))


def read_stl(path: Path) -> Content:
    """Reads an STL file; corners of triangles at the same place are one vertex.

    Raises:
        CloudError: The file has no triangle, or ends too early.
    """
    data = path.read_bytes()
    if _is_binary_stl(data[:1024], len(data)):
        corners = np.frombuffer(data, STL_TRIANGLE, int.from_bytes(data[80:84], "little"), STL_HEADER)["corners"]
        corners = corners.reshape(-1, 3).astype(np.float64)
    else:
        lines = [line.split(None, 1) for line in data.splitlines() if line.strip()]
        vertices = [line[1] if len(line) > 1 else b"" for line in lines if line[0].lower() == b"vertex"]
        if not lines or lines[-1][0].lower() != b"endsolid" or len(vertices) % 3:
            raise CloudError(f"{path} is truncated: expected triangles of 3 vertices and endsolid, got {len(vertices)}")
        corners = parse_numbers(path, vertices, 3, "vertex")
    if not len(corners):
        raise CloudError(f"{path}: expected triangles, but it has none")
    check_count(path, len(corners) // 3)
    points, inverse = np.unique(corners, axis=0, return_inverse=True)
    faces = np.asarray(inverse, np.int64).reshape(-1, 3)
    columns: dict[str, NDArray[Any]] = {name: points[:, i] for i, name in enumerate(COORDINATES)}
    title = [data[:80].decode("latin-1")]  # Slicer writes the coordinate system there
    return Content(columns, faces, stated_unit(title), stated_system(title))
