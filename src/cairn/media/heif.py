"""HEIF containers of still images: AVIF, which OpenCV decodes, and HEIC, which needs pi-heif or pillow-heif."""

from __future__ import annotations

import importlib
import importlib.util
import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cairn.errors import ImageError
from cairn.media.orientation import MATRICES, Matrix, boxes, combined, nearest_orientation
from cairn.structures.geometry import Size

HEIC_PACKAGES = ("pi_heif", "pillow_heif")
"""Packages that decode HEIC; the extra `heif` installs the first one, which contains no encoder."""


@dataclass(frozen=True)
class Properties:
    """Properties of the primary image.

    Attributes:
        size: (height, width) as stored; None where it is not stated.
        orientation: EXIF orientation that its rotation and mirror axis amount to.
        bits: Bits per channel.
    """

    size: Size | None
    orientation: int = 1
    bits: int = 8


def read_properties(data: bytes) -> Properties:
    """Returns the properties of the primary image. Raises struct.error or IndexError where they are cut off."""
    meta = next((body for kind, body in boxes(data) if kind == b"meta"), b"")
    parts = dict(boxes(meta[4:]))
    properties = dict(boxes(parts.get(b"iprp", b"")))
    listed = list(boxes(properties.get(b"ipco", b"")))
    wanted = _associated(properties.get(b"ipma", b""), _primary(parts.get(b"pitm", b"")))
    size, bits, matrix = None, 8, MATRICES[1]
    for kind, body in (listed[i - 1] for i in wanted if 0 < i <= len(listed)):
        if kind == b"ispe":
            width, height = struct.unpack_from(">II", body, 4)
            size = height, width
        elif kind == b"pixi":
            bits = max(body[5 : 5 + body[4]], default=8)
        elif kind == b"irot":  # counterclockwise
            matrix = combined(matrix, MATRICES[(1, 8, 3, 6)[body[0] & 3]])
        elif kind == b"imir":
            matrix = combined(matrix, _MIRRORS[body[0] & 1])
    return Properties(size, nearest_orientation(matrix), bits)


_MIRRORS: tuple[Matrix, Matrix] = (MATRICES[4], MATRICES[2])
"""0 exchanges top and bottom, 1 left and right."""


def _primary(body: bytes) -> int:
    return int.from_bytes(body[4 : 6 if body[0] == 0 else 8], "big") if body else 0


def _associated(body: bytes, item: int) -> Iterator[int]:
    """Yields the numbers, from 1, of the properties of an item, in order."""
    if not body:
        return
    version, wide = body[0], body[3] & 1
    (count,) = struct.unpack_from(">I", body, 4)
    at = 8
    for _ in range(count):
        (number,) = struct.unpack_from(">H" if version == 0 else ">I", body, at)
        at += 2 if version == 0 else 4
        (links,) = struct.unpack_from(">B", body, at)
        at += 1
        for _ in range(links):
            (link,) = struct.unpack_from(">H" if wide else ">B", body, at)
            at += 2 if wide else 1
            if number == item:
                yield link & (0x7FFF if wide else 0x7F)


def can_read_heic() -> bool:
    """Whether a package that decodes HEIC is installed."""
    return any(importlib.util.find_spec(name) for name in HEIC_PACKAGES)


def decode_heic(data: bytes) -> NDArray[np.uint8]:
    """Decodes a HEIC file as (H, W, 3) or (H, W, 4) uint8 RGB, oriented.

    Raises:
        ImageError: No package decodes HEIC, or the file is damaged. The message starts with a verb.
    """
    name = next((name for name in HEIC_PACKAGES if importlib.util.find_spec(name)), None)
    if name is None:
        raise ImageError("is a HEIC image, which needs pi-heif, which is not installed: pip install 'cairn-pose[heif]'")
    try:
        decoded = importlib.import_module(name).open_heif(io.BytesIO(data), convert_hdr_to_8bit=True)
        pixels = np.asarray(decoded).copy()  # the memory is that of the decoder
    except (ValueError, OSError, RuntimeError, SyntaxError, EOFError) as error:
        raise ImageError(f"is a HEIC image that is damaged or truncated ({str(error).splitlines()[0]})") from None
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3):
        raise ImageError(f"is a HEIC image in a variant that {name} does not decode to 8 bits")
    return pixels[..., None] if pixels.ndim == 2 else pixels
