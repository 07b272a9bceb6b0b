"""Directories of TIFF and BigTIFF files, and of EXIF blocks, which have the same form."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import TypeAlias

Tags: TypeAlias = dict[int, int]
"""Tag -> its first value, of the tags with integers."""

WIDTH, HEIGHT, BITS, ORIENTATION, MAX_SAMPLE = 0x100, 0x101, 0x102, 0x112, 0x119
SUBFILE, OLD_SUBFILE = 0xFE, 0xFF

MAX_PAGES = 1_000_000

_INTEGERS = {1: "B", 3: "H", 4: "I", 16: "Q"}
_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}


def directories(data: bytes) -> Iterator[Tags]:
    """Yields the directory of each page. Raises struct.error where one is cut off."""
    order = ">" if data[:2] == b"MM" else "<"
    big = data[2:4] in (b"+\0", b"\0+")
    offset, count, entry = ("Q", "Q", 20) if big else ("I", "H", 12)
    (at,) = struct.unpack_from(order + offset, data, 8 if big else 4)
    seen: set[int] = set()
    while at and at not in seen and len(seen) < MAX_PAGES:
        seen.add(at)
        (entries,) = struct.unpack_from(order + count, data, at)
        first = at + struct.calcsize(order + count)
        yield _tags(data, order, range(first, first + entry * entries, entry), offset)
        (at,) = struct.unpack_from(order + offset, data, first + entry * entries)


def pages(data: bytes) -> list[tuple[int, Tags]]:
    """Returns number and directory of each page; reduced copies and masks, which repeat a page, are omitted.

    Pages after a directory that is cut off are missing.
    """
    found: list[tuple[int, Tags]] = []
    try:
        for number, tags in enumerate(directories(data)):
            if not (tags.get(SUBFILE, 0) & 5 or tags.get(OLD_SUBFILE, 1) == 2):
                found.append((number, tags))
    except struct.error:
        pass
    return found


def _tags(data: bytes, order: str, entries: range, offset: str) -> Tags:
    tags: Tags = {}
    inline = struct.calcsize(order + offset)
    for at in entries:
        tag, kind, count = struct.unpack_from(order + "HH" + offset, data, at)
        if kind in _INTEGERS and count:
            place = at + 4 + inline
            if count * _BYTES[kind] > inline:
                (place,) = struct.unpack_from(order + offset, data, place)
            try:
                (tags[tag],) = struct.unpack_from(order + _INTEGERS[kind], data, place)
            except struct.error:  # the values of another tag may be missing
                continue
    return tags
