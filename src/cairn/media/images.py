"""One loader for every path into the program, so that training and detecting see the same image.

Formats are told by their first bytes, never by a file's name. OpenCV decodes; what it would let pass
in silence is looked at here, from the headers: size, orientation, and whether the file is all there.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cairn.errors import ImageError, OutputError
from cairn.files import atomic_write
from cairn.structures.geometry import Size

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif")
"""What is taken for an image in a folder; a file that is named outright may have any suffix."""

MAX_PIXELS = 200_000_000
"""Larger images are refused before they are decoded: one of this size takes 600 MB."""

JPEG_QUALITY = 92

HEADER_BYTES = 1 << 17  # enough for nearly every image's size to stand in
KIND_BYTES = 12  # enough to tell the kinds of images

ImageLike = str | Path | NDArray[np.uint8]
"""A path, or an (H, W, 3) uint8 RGB array."""


def as_image(image: ImageLike) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB of a path or of an array that is one already."""
    if isinstance(image, str | Path):
        return read_image(image)
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        got = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise ImageError(f"an image must be a path or an (H, W, 3) uint8 RGB array, got {got}")
    return image


def read_image(path: str | Path) -> NDArray[np.uint8]:
    """An image as it is meant to be seen, (H, W, 3) uint8 RGB.

    Exif orientation is applied, transparency composited on white, gray expanded, 16 bits scaled to 8.
    Raises ImageError where the file is missing, no image, truncated, or larger than MAX_PIXELS.
    """
    path = Path(path)
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):  # it might never end, or never begin
            raise ImageError(f"{path} is a pipe or a device, not a file: save the image first")
        with path.open("rb") as file:
            data = file.read(KIND_BYTES)
            if _reader_of(data):  # else it may be a video of any length
                data += file.read()
    except FileNotFoundError:
        raise ImageError(f"no image at {path}") from None
    except IsADirectoryError:
        raise ImageError(f"{path} is a folder, not an image") from None
    except OSError as error:
        raise ImageError(f"cannot read {path}: {error.strerror or error}") from None
    try:
        return decode_image(data)
    except ImageError as error:
        raise ImageError(f"{path} {error}") from None


def decode_image(data: bytes) -> NDArray[np.uint8]:
    """`read_image` of a file's bytes. The message of its ImageError starts with a verb: the caller names the file."""
    import cv2

    if not data:
        raise ImageError("is empty")
    header = _read_header(data)
    height, width = header.size
    if height * width > MAX_PIXELS:
        raise ImageError(f"is {width}×{height} pixels; the limit is {MAX_PIXELS // 1_000_000} million: reduce it first")
    if height * width == 0 or not header.complete:
        raise ImageError("is truncated: the end of the image is missing")
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        pixels = None
    if pixels is None:
        raise ImageError("is damaged or truncated, or of a kind that OpenCV cannot decode")
    return np.ascontiguousarray(_oriented(_to_rgb(_to_8_bits(pixels)), header.orientation))


def image_size(path: str | Path) -> Size:
    """(height, width) of an image as `read_image` gives it, from its header alone.

    Raises ImageError where the file is missing or no image.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            start = file.read(HEADER_BYTES)
            try:
                header = _read_header(start)
            except ImageError:  # a large preview may stand before the size
                header = _read_header(start + file.read())
    except OSError as error:
        raise ImageError(f"cannot read {path}: {error.strerror or error}") from None
    except ImageError as error:
        raise ImageError(f"{path} {error}") from None
    return header.size[::-1] if header.orientation in (5, 6, 7, 8) else header.size


def write_image(path: str | Path, image: NDArray[np.uint8]) -> None:
    """Write an (H, W, 3) uint8 RGB image; the suffix says the format.

    Raises OutputError for an unknown suffix, or where the file cannot be written.
    """
    import cv2

    path = Path(path)
    if path.suffix.lower() not in IMAGE_SUFFIXES:
        raise OutputError(f"cannot write {path}: the suffix must be one of {' '.join(IMAGE_SUFFIXES)}")
    jpeg = path.suffix.lower() in (".jpg", ".jpeg")
    options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY] if jpeg else []
    done, encoded = cv2.imencode(path.suffix.lower(), image[..., ::-1], options)
    if not done:
        raise OutputError(f"cannot write {path}: OpenCV cannot encode {image.shape} as {path.suffix}")
    with atomic_write(path) as beside:
        beside.write_bytes(encoded.tobytes())


def _to_8_bits(pixels: NDArray) -> NDArray[np.uint8]:
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype == np.uint16:
        return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    raise ImageError(f"has {pixels.dtype} pixels, whose range is unknown: expected 8 or 16 bits a channel")


def _to_rgb(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """OpenCV's gray (H, W), gray and alpha (H, W, 2), BGR or BGRA -> RGB on white."""
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    color = pixels[..., 2::-1] if pixels.shape[2] >= 3 else pixels[..., [0, 0, 0]]
    if pixels.shape[2] in (1, 3):
        return color
    alpha = pixels[..., -1:].astype(np.uint16)
    return ((color * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def _oriented(image: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Apply Exif's orientation: 1 as it is, 2 to 4 turned or mirrored, 5 to 8 with the axes exchanged."""
    if orientation in (5, 6, 7, 8):
        image = image.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    return image


@dataclass(frozen=True)
class _Header:
    size: Size
    orientation: int = 1  # still to be applied
    complete: bool = True  # as far as the headers tell


def _read_header(data: bytes) -> _Header:
    read = _reader_of(data)
    if read is None:
        raise ImageError("is not an image of a kind that Cairn reads (JPEG, PNG, WebP, TIFF, BMP, GIF)")
    try:
        return read(data)
    except (struct.error, IndexError, KeyError):
        raise ImageError("is truncated: its header is cut off") from None


def _reader_of(data: bytes) -> Callable[[bytes], _Header] | None:
    """What reads the header of this kind of image; None where the first bytes are of no kind that we know."""
    kinds = (
        (b"\xff\xd8\xff", _jpeg_header),
        (b"\x89PNG\r\n\x1a\n", _png_header),
        (b"RIFF....WEBP", _webp_header),
        (b"(II\\*\0|MM\0\\*)", _tiff_header),
        (b"BM", _bmp_header),
        (b"GIF8[79]a", _gif_header),
    )
    return next((read for first_bytes, read in kinds if re.match(first_bytes, data, re.DOTALL)), None)


_JPEG_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]", re.DOTALL)  # what the coded pixels cannot contain


def _jpeg_header(data: bytes) -> _Header:
    """Walks the markers to the end-of-image marker, because libjpeg fills what is missing with gray."""
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
    return _Header(size, orientation, complete)


def _png_header(data: bytes) -> _Header:
    width, height = struct.unpack_from(">II", data, 16)
    orientation, complete, at = 1, False, 8
    while at + 12 <= len(data) and not complete:
        (length,) = struct.unpack_from(">I", data, at)
        kind, end = data[at + 4 : at + 8], at + 12 + length
        if kind == b"eXIf":
            orientation = _exif_orientation(data[at + 8 : end - 4])
        complete = kind == b"IEND"
        at = end
    return _Header((height, width), orientation, complete)


def _webp_header(data: bytes) -> _Header:
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
    return _Header(size, orientation, len(data) >= riff + 8)


def _tiff_header(data: bytes) -> _Header:
    # The orientation is left to OpenCV, which applies it in this format whatever it is asked.
    tags = _tiff_tags(data)
    size = tags[0x101], tags[0x100]
    return _Header(size[::-1] if tags.get(0x112, 1) in (5, 6, 7, 8) else size)


def _bmp_header(data: bytes) -> _Header:
    width, height = struct.unpack_from("<ii", data, 18)
    return _Header((abs(height), abs(width)))


def _gif_header(data: bytes) -> _Header:
    width, height = struct.unpack_from("<HH", data, 6)
    return _Header((height, width))


def _exif_orientation(exif: bytes) -> int:
    """1 to 8; 1 where damaged metadata does not say: they are no reason to refuse the pixels."""
    try:
        orientation = _tiff_tags(exif).get(0x112, 1)
    except struct.error:
        return 1
    return orientation if 1 <= orientation <= 8 else 1


def _tiff_tags(data: bytes) -> dict[int, int]:
    """Tag -> value of the integers in the first directory of a TIFF file; Exif is one."""
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
