"""Headers of image files: format, size, EXIF orientation, and whether the file is complete.

Formats are recognized by their first bytes, never by the file name.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass

from cairn.errors import ImageError
from cairn.structures.geometry import Size

SIGNATURE_BYTES = 12
"""Bytes that are enough to recognize every format."""


@dataclass(frozen=True)
class Header:
    """Header of an image file.

    Attributes:
        size: Size as stored, before the orientation is applied.
        orientation: EXIF orientation that the reader has to apply.
        complete: False where the header proves that the end of the file is missing.
    """

    size: Size
    orientation: int = 1
    complete: bool = True


def read_header(data: bytes) -> Header:
    """Reads the header of an image file.

    Args:
        data: The file, or its first bytes.

    Raises:
        ImageError: The format is unknown or the header is truncated. The message starts with a verb.
    """
    read = reader_of(data)
    if read is None:
        raise ImageError("is not an image in a supported format (JPEG, PNG, WebP, TIFF, BMP, GIF)")
    try:
        return read(data)
    except (struct.error, IndexError, KeyError):
        raise ImageError("is truncated: its header is cut off") from None


def reader_of(data: bytes) -> Callable[[bytes], Header] | None:
    """Returns the header parser for the format of the first bytes; None for an unknown format."""
    signatures = (
        (b"\xff\xd8\xff", _jpeg_header),
        (b"\x89PNG\r\n\x1a\n", _png_header),
        (b"RIFF....WEBP", _webp_header),
        (b"(II\\*\0|MM\0\\*)", _tiff_header),
        (b"BM", _bmp_header),
        (b"GIF8[79]a", _gif_header),
    )
    return next((read for first_bytes, read in signatures if re.match(first_bytes, data, re.DOTALL)), None)


_JPEG_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]", re.DOTALL)  # cannot occur in entropy-coded data


def _jpeg_header(data: bytes) -> Header:
    """Walks the markers to the end-of-image marker: libjpeg would fill missing rows with gray."""
    size, orientation, complete, at = None, 1, False, 2
    while marker := _JPEG_MARKER.search(data, at):
        kind, at = data[marker.start() + 1], marker.end()
        if kind == 0xD9:
            complete = True
            break
        (length,) = struct.unpack_from(">H", data, at)
        if 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC):
            size = struct.unpack_from(">HH", data, at + 3)
        elif kind == 0xE1 and data[at + 2 : at + 8] == b"Exif\0\0":
            orientation = _exif_orientation(data[at + 8 : at + length])
        at += length
    if size is None:
        raise ImageError("is truncated: its header is cut off")
    return Header(size, orientation, complete)


def _png_header(data: bytes) -> Header:
    width, height = struct.unpack_from(">II", data, 16)
    orientation, complete, at = 1, False, 8
    while at + 12 <= len(data) and not complete:
        (length,) = struct.unpack_from(">I", data, at)
        kind, end = data[at + 4 : at + 8], at + 12 + length
        if kind == b"eXIf":
            orientation = _exif_orientation(data[at + 8 : end - 4])
        complete = kind == b"IEND"
        at = end
    return Header((height, width), orientation, complete)


def _webp_header(data: bytes) -> Header:
    (riff,) = struct.unpack_from("<I", data, 4)
    size, orientation, at = None, 1, 12
    while at + 8 <= len(data):
        kind, (length,) = data[at : at + 4], struct.unpack_from("<I", data, at + 4)
        body = at + 8
        if kind == b"VP8X":
            size = _int24(data, body + 7) + 1, _int24(data, body + 4) + 1
        elif kind == b"VP8L" and size is None:
            (bits,) = struct.unpack_from("<I", data, body + 1)
            size = (bits >> 14 & 0x3FFF) + 1, (bits & 0x3FFF) + 1
        elif kind == b"VP8 " and size is None:
            width, height = struct.unpack_from("<HH", data, body + 6)
            size = height & 0x3FFF, width & 0x3FFF
        elif kind == b"EXIF":
            orientation = _exif_orientation(data[body : body + length].removeprefix(b"Exif\0\0"))
        at = body + length + length % 2
    if size is None:
        raise ImageError("is truncated: its header is cut off")
    return Header(size, orientation, len(data) >= riff + 8)


def _tiff_header(data: bytes) -> Header:
    # OpenCV always applies the orientation of TIFF files.
    tags = _tiff_tags(data)
    size = tags[0x101], tags[0x100]
    return Header(size[::-1] if tags.get(0x112, 1) in (5, 6, 7, 8) else size)


def _bmp_header(data: bytes) -> Header:
    width, height = struct.unpack_from("<ii", data, 18)
    return Header((abs(height), abs(width)))


def _gif_header(data: bytes) -> Header:
    width, height = struct.unpack_from("<HH", data, 6)
    return Header((height, width))


def _exif_orientation(exif: bytes) -> int:
    """Returns the orientation from 1 to 8; 1 where the metadata is missing or damaged."""
    try:
        orientation = _tiff_tags(exif).get(0x112, 1)
    except struct.error:
        return 1
    return orientation if 1 <= orientation <= 8 else 1


def _tiff_tags(data: bytes) -> dict[int, int]:
    """Returns tag -> value of the integers in the first directory of a TIFF or EXIF block."""
    order = ">" if data[:2] == b"MM" else "<"
    (at,) = struct.unpack_from(order + "I", data, 4)
    (count,) = struct.unpack_from(order + "H", data, at)
    tags = {}
    for entry in range(at + 2, at + 2 + 12 * count, 12):
        tag, kind = struct.unpack_from(order + "HH", data, entry)
        if kind in (3, 4):  # 16 and 32 bits
            (tags[tag],) = struct.unpack_from(order + {3: "H", 4: "I"}[kind], data, entry + 8)
    return tags


def _int24(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 3], "little")
