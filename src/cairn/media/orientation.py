"""The eight orientations of images and videos: EXIF numbers, display matrices, and pixels.

EXIF counts the orientations from 1 to 8; a display matrix states the same as (a, b, c, d), which displays the stored
point (x, y) at (a·x + c·y, b·x + d·y). MP4 stores one matrix for the file and one for each track.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, TypeAlias

import numpy as np
from numpy.typing import NDArray

Matrix: TypeAlias = tuple[float, float, float, float]

MATRICES: dict[int, Matrix] = {
    **{1: (1, 0, 0, 1), 2: (-1, 0, 0, 1), 3: (-1, 0, 0, -1), 4: (1, 0, 0, -1)},
    **{5: (0, 1, 1, 0), 6: (0, 1, -1, 0), 7: (0, -1, -1, 0), 8: (0, -1, 1, 0)},
}
"""EXIF orientation -> (a, b, c, d); 5 to 8 exchange the axes."""

MAX_MOVIE_HEADER = 64 << 20
"""Maximum size in bytes of the header of an MP4 file that is searched for a matrix."""


def oriented(image: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Returns a view of an image (H, W, C) as it is displayed under an EXIF orientation."""
    if swaps_axes(orientation):
        image = image.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    return image


def swaps_axes(orientation: int) -> bool:
    """Whether width and height are exchanged under an EXIF orientation."""
    return orientation in (5, 6, 7, 8)


def nearest_orientation(matrix: Matrix) -> int:
    """Returns the EXIF orientation nearest to (a, b, c, d), at any scale; 1 for a matrix of zeros."""
    return max(MATRICES, key=lambda number: sum(x * y for x, y in zip(MATRICES[number], matrix, strict=True)))


def combined(first: Matrix, second: Matrix) -> Matrix:
    """Returns the matrix that applies `first` and then `second`."""
    a, b, c, d = first
    e, f, g, h = second
    return a * e + b * g, a * f + b * h, c * e + d * g, c * f + d * h


def orientation_of_matrix(side_data: bytes) -> int:
    """Returns the orientation of FFmpeg's display matrix, 9 integers of 32 bits in the machine's byte order."""
    a, b, _, c, d = struct.unpack_from("=5i", side_data)
    return nearest_orientation((a, b, c, d))


def mp4_orientation(path: Path) -> int | None:
    """Returns the orientation of the first video track of an MP4 or MOV file; None where the file is another one."""
    with path.open("rb") as file:
        try:
            movie = next((body for kind, body in _top_boxes(file) if kind == b"moov"), None)
            return None if movie is None else _movie_orientation(movie)
        except (struct.error, IndexError):
            return None


def _top_boxes(file: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """Yields type and content of the boxes of a file, of the movie header alone; others are skipped."""
    start = file.read(16)
    if start[4:8] not in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
        return
    at = 0
    while len(start) >= 8:
        size, kind = struct.unpack_from(">I4s", start)
        header = 8
        if size == 1:
            (size,), header = struct.unpack_from(">Q", start, 8), 16
        if kind == b"moov" and size <= MAX_MOVIE_HEADER:
            file.seek(at + header)
            yield kind, file.read(size - header if size else MAX_MOVIE_HEADER)
        if size < header:  # 0: up to the end
            return
        at += size
        file.seek(at)
        start = file.read(16)


def boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yields type and content of each box of an ISO base media file (MP4, HEIF, AVIF)."""
    at = 0
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        header = 8
        if size == 1:
            (size,), header = struct.unpack_from(">Q", data, at + 8), 16
        if size == 0:
            size = len(data) - at
        if size < header:
            return
        yield kind, data[at + header : at + size]
        at += size


def _movie_orientation(movie: bytes) -> int:
    whole, tracks = MATRICES[1], []
    for kind, body in boxes(movie):
        if kind == b"mvhd":
            whole = _matrix(body, 36 if body[0] == 0 else 48)
        elif kind == b"trak":
            parts = dict(boxes(body))
            handler = dict(boxes(parts.get(b"mdia", b""))).get(b"hdlr", b"")
            if handler[8:12] == b"vide" and b"tkhd" in parts:
                header = parts[b"tkhd"]
                tracks.append(_matrix(header, 40 if header[0] == 0 else 52))
    return nearest_orientation(combined(tracks[0], whole)) if tracks else 1


def _matrix(header: bytes, at: int) -> Matrix:
    a, b, _, c, d = struct.unpack_from(">5i", header, at)
    return a, b, c, d
