"""Markers of JPEG files: size, orientation, whether further frames follow, and whether all pixels are there."""

from __future__ import annotations

import os
import re
import struct
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.structures.geometry import Size

_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]", re.DOTALL)  # cannot occur in entropy-coded data
_RESTART = re.compile(rb"\xff[\xd0-\xd7]")
_NEXT_IMAGE = re.compile(rb"[\x00\r\n]*\xff\xd8\xff")

_END = b"\xff\xd9"
_PADS = (b"\x00" * 64, b"\xaa" * 64, b"\x5b" * 64)
"""Entropy-coded data that decodes to different coefficients."""

_MISSING = b"premature end of data segment"
"""What libjpeg prints where an end marker comes before the last pixel."""

_QUIET = threading.Lock()


@dataclass
class Jpeg:
    """What the markers of a JPEG file state.

    Attributes:
        size: (height, width); None where the header is cut off.
        exif: The EXIF block.
        end: Offset after the end marker; None where it is missing.
        multi_picture: Whether further images in the file are previews or gain maps, not frames.
        restart: Number of blocks (MCU) between two restart markers; 0 for none.
        sampling: Component -> (horizontal, vertical) sampling factor.
        scans: Offset of the entropy-coded data, components, first and last coefficient and missing bits of each scan.
    """

    size: Size | None = None
    exif: bytes = b""
    end: int | None = None
    multi_picture: bool = False
    restart: int = 0
    sampling: dict[int, tuple[int, int]] = field(default_factory=dict)
    scans: list[tuple[int, tuple[int, ...], int, int, int]] = field(default_factory=list)


def read_markers(data: bytes, at: int = 0) -> Jpeg:
    """Walks the markers of the image that starts at an offset. Raises struct.error where a segment is cut off."""
    jpeg = Jpeg()
    at += 2
    while marker := _MARKER.search(data, at):
        kind, at = data[marker.start() + 1], marker.end()
        if kind == 0xD9:
            jpeg.end = at
            break
        (length,) = struct.unpack_from(">H", data, at)
        body = data[at + 2 : at + length]
        at += length
        if 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC):
            jpeg.size = struct.unpack_from(">HH", body, 1)
            for part in range(6, len(body) - 2, 3):
                jpeg.sampling[body[part]] = body[part + 1] >> 4, body[part + 1] & 15
        elif kind == 0xE1 and body.startswith(b"Exif\0\0"):
            jpeg.exif = body[6:]
        elif kind == 0xE2 and body.startswith(b"MPF\0"):
            jpeg.multi_picture = True
        elif kind == 0xDD:
            (jpeg.restart,) = struct.unpack_from(">H", body)
        elif kind == 0xDA and body:
            components = tuple(body[1 : 1 + 2 * body[0] : 2])
            first, last, bits = body[-3:] if len(body) >= 4 else (0, 63, 0)
            jpeg.scans.append((at, components, first, last, bits & 15))
    return jpeg


def has_frames(data: bytes, jpeg: Jpeg) -> bool:
    """Whether another image of the same size follows: the file is Motion JPEG without a container."""
    if jpeg.end is None or jpeg.multi_picture:
        return False
    following = _NEXT_IMAGE.match(data, jpeg.end)
    if following is None:
        return False
    try:
        return read_markers(data, following.end() - 3).size == jpeg.size
    except struct.error:  # the second frame is cut off within its header
        return False


def without_end(data: bytes, jpeg: Jpeg) -> NDArray[Any] | None:
    """Decodes a JPEG file that lacks its end marker; None where pixels are missing too.

    libjpeg warns of pixels that it misses before an end marker. They also depend on what follows the data: the file is
    decoded with several continuations, and must give the same pixels. A scan that is not there at all, or ends at a
    restart marker, is recognized by the markers.
    """
    import cv2

    data = data.rstrip(b"\xff")  # half an end marker
    if not _has_all_scans(jpeg) or not _has_all_restarts(data, jpeg):
        return None
    decoded: list[NDArray[Any]] = []
    with _captured_stderr() as warnings:  # libjpeg prints what it thinks of the continuations
        for pad in (b"", *_PADS):
            try:
                pixels = cv2.imdecode(np.frombuffer(data + pad + _END, np.uint8), cv2.IMREAD_UNCHANGED)
            except cv2.error:
                return None
            if pixels is None or (decoded and not np.array_equal(pixels, decoded[0])):
                return None
            if not pad and _MISSING in warnings():
                return None
            decoded.append(np.asarray(pixels))
    return decoded[0]


def _has_all_scans(jpeg: Jpeg) -> bool:
    """Whether every coefficient of every component has all its bits."""
    missing = {component: np.full(64, 14) for component in jpeg.sampling}
    for _, components, first, last, bits in jpeg.scans:
        for component in components:
            if component in missing:
                missing[component][first : last + 1] = bits
    return bool(missing) and not any(bits.any() for bits in missing.values())


def _has_all_restarts(data: bytes, jpeg: Jpeg) -> bool:
    if not jpeg.restart or jpeg.size is None:
        return True
    start, components, *_ = jpeg.scans[-1]
    height, width = jpeg.size
    across, down = (max(factor[axis] for factor in jpeg.sampling.values()) for axis in (0, 1))
    if len(components) == 1:  # the blocks of one component, without padding
        own = jpeg.sampling[components[0]]
        width, height = -(-width * own[0] // across), -(-height * own[1] // down)
        across = down = 1
    blocks = -(-width // (8 * across)) * -(-height // (8 * down))
    return len(_RESTART.findall(data, start)) >= -(-blocks // jpeg.restart) - 1


@contextmanager
def _captured_stderr() -> Iterator[Callable[[], bytes]]:
    """Keeps what C libraries print to stderr within the block; yields a function that returns it."""
    with _QUIET:
        try:
            printed, saved = tempfile.TemporaryFile(), os.dup(2)  # noqa: SIM115
        except OSError:  # there is no stderr, or no folder for temporary files
            yield bytes
            return
        with printed:
            try:
                os.dup2(printed.fileno(), 2)

                def read() -> bytes:
                    printed.seek(0)
                    return printed.read()

                yield read
            finally:
                os.dup2(saved, 2)
                os.close(saved)
