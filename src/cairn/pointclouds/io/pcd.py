"""PCD of the Point Cloud Library: ascii, binary and binary_compressed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.errors import CloudError
from cairn.pointclouds.io.content import Content, check_count
from cairn.pointclouds.io.lzf import lzf_decompressed
from cairn.pointclouds.io.numbers import parse_numbers

KINDS = {"F": "f", "I": "i", "U": "u"}
SIZES = {"F": (4, 8), "I": (1, 2, 4, 8), "U": (1, 2, 4, 8)}
PADDING = "_"
"""Name of fields without a meaning; several may have it."""

PACKED = ("rgb", "rgba")
"""Colors in the bytes of one number: blue, green, red, alpha."""

MAX_HEADER = 1 << 16


@dataclass(frozen=True)
class Field:
    """A field of the header: its name, the NumPy type of a value, and the number of values in each point."""

    name: str
    kind: str
    count: int

    @property
    def size(self) -> int:
        """Bytes in each point."""
        return np.dtype(self.kind).itemsize * self.count


@dataclass(frozen=True)
class Header:
    """The header of a file: its fields, the number of points, and how they are stored."""

    fields: tuple[Field, ...]
    points: int
    data: str


def is_pcd(head: bytes) -> bool:
    """Whether the first bytes of a file are those of a PCD file."""
    return re.match(rb"(\s*#[^\n]*\n)*\s*(VERSION|FIELDS|COLUMNS)\s", head) is not None or head[:6] == b"# .PCD"


def read_pcd(path: Path) -> Content:
    """Reads a PCD file.

    Raises:
        CloudError: The header is invalid, or the file ends too early.
    """
    with path.open("rb") as file:
        head = file.read(MAX_HEADER)
    found = re.search(rb"(?:^|\n)DATA[ \t]+(\w+)[ \t]*\r?\n", head)
    if found is None:
        raise CloudError(f"{path}: expected a PCD header that ends with DATA; the file is truncated or damaged")
    header = _header(path, head[: found.end()].decode("latin-1"))
    check_count(path, header.points)
    body = path.read_bytes()[found.end() :]
    read = {"ascii": _text, "binary": _binary, "binary_compressed": _compressed}.get(header.data)
    if read is None:
        raise CloudError(f"{path}: expected DATA ascii, binary or binary_compressed, got {header.data}")
    columns = read(path, header, body)
    for name in PACKED:
        if name in columns:
            _unpack(columns, name)
    return Content(columns)


def _header(path: Path, text: str) -> Header:
    entries = {}
    for line in text.splitlines():
        words = line.split()
        if words and not words[0].startswith("#"):
            entries[words[0].upper()] = words[1:]
    names = entries.get("FIELDS") or entries.get("COLUMNS") or []
    try:
        sizes = [int(word) for word in entries.get("SIZE", ["4"] * len(names))]
        kinds = [word.upper() for word in entries.get("TYPE", ["F"] * len(names))]
        counts = [int(word) for word in entries.get("COUNT", ["1"] * len(names))]
        width, height = (int(entries.get(key, ["1"])[0]) for key in ("WIDTH", "HEIGHT"))
        points = int(entries["POINTS"][0]) if "POINTS" in entries else width * height
        if not names or not len(names) == len(sizes) == len(kinds) == len(counts):
            raise ValueError
        if any(size not in SIZES[kind] or count < 1 for size, kind, count in zip(sizes, kinds, counts, strict=True)):
            raise ValueError
    except (ValueError, KeyError, IndexError):
        raise CloudError(
            f"{path}: invalid PCD header: expected FIELDS with as many SIZE, TYPE and COUNT, WIDTH and HEIGHT"
        ) from None
    if "WIDTH" in entries and width * height != points:
        raise CloudError(f"{path}: the PCD header states {points} points, but {width} x {height} are {width * height}")
    fields = [Field(*each) for each in zip(names, map(_numpy_kind, kinds, sizes), counts, strict=True)]
    return Header(tuple(fields), points, entries["DATA"][0].lower())


def _numpy_kind(kind: str, size: int) -> str:
    return f"<{KINDS[kind]}{size}"


def _text(path: Path, header: Header, body: bytes) -> dict[str, NDArray[Any]]:
    lines = [line for line in body.splitlines() if line.strip()]
    if len(lines) < header.points:
        raise CloudError(f"{path} is truncated: expected {header.points:,} points, got {len(lines):,}")
    values = parse_numbers(path, lines[: header.points], sum(field.count for field in header.fields), "point")
    columns: dict[str, NDArray[Any]] = {}
    at = 0
    for field in header.fields:
        if field.name != PADDING and field.count == 1:
            kept = field.name.lower() not in PACKED or field.kind[1] == "f"
            columns[field.name] = (
                values[:, at].astype(field.kind) if not kept or field.kind[1] == "f" else values[:, at]
            )
        at += field.count
    for name in "xyz":  # as many digits as the text has
        at = sum(field.count for field in header.fields[: _place(header, name)]) if _place(header, name) >= 0 else -1
        if at >= 0:
            columns[name] = values[:, at]
    return columns


def _place(header: Header, name: str) -> int:
    return next((i for i, field in enumerate(header.fields) if field.name == name), -1)


def _binary(path: Path, header: Header, body: bytes) -> dict[str, NDArray[Any]]:
    kind = np.dtype([(f"{i}", field.kind, (field.count,)) for i, field in enumerate(header.fields)])
    if len(body) < kind.itemsize * header.points:
        raise CloudError(f"{path} is truncated: expected {header.points:,} points, got {len(body) // kind.itemsize:,}")
    values = np.frombuffer(body, kind, header.points)
    return {
        field.name: values[f"{i}"][:, 0].copy()
        for i, field in enumerate(header.fields)
        if field.name != PADDING and field.count == 1
    }


def _compressed(path: Path, header: Header, body: bytes) -> dict[str, NDArray[Any]]:
    """Reads one field after the other, compressed together. Padding is not stored by all programs."""
    packed, size = (int(each) for each in np.frombuffer(body[:8].ljust(8, b"\0"), "<u4"))
    if len(body) < 8 + packed:
        raise CloudError(f"{path} is truncated: expected {packed:,} bytes of compressed points, got {len(body) - 8:,}")
    fields = header.fields
    if size == header.points * sum(field.size for field in fields if field.name != PADDING):
        fields = tuple(field for field in fields if field.name != PADDING)
    expected = header.points * sum(field.size for field in fields)
    if size != expected:
        raise CloudError(f"{path}: expected {expected:,} bytes of points, but the file states {size:,}; it is damaged")
    values = lzf_decompressed(body[8 : 8 + packed], size)
    if values is None:
        raise CloudError(f"{path}: the compressed points are damaged")
    columns: dict[str, NDArray[Any]] = {}
    at = 0
    for field in fields:
        if field.name != PADDING and field.count == 1:
            columns[field.name] = np.frombuffer(values, field.kind, header.points, at).copy()
        at += field.size * header.points
    return columns


def _unpack(columns: dict[str, NDArray[Any]], name: str) -> None:
    """Replaces packed colors by red, green and blue."""
    values = columns.pop(name)
    if values.dtype.itemsize != 4:  # doubles of a text file
        values = values.astype("<u4")
    packed = values.view("<u4")
    for channel, shift in (("red", 16), ("green", 8), ("blue", 0)):
        columns[channel] = ((packed >> shift) & 255).astype(np.uint8)
