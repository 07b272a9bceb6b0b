"""Headers of image files: format, size, orientation, declared range, frames, and whether the file is complete.

Formats are recognized by their first bytes, never by the file name.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from cairn.errors import ImageError
from cairn.media import heif, jpeg, tiff
from cairn.media.content import content_of
from cairn.structures.geometry import Size

Frames: TypeAlias = Literal["video", "pages"]
"""How the frames of an image file are read: by FFmpeg, or by OpenCV's readers of animations and pages."""


@dataclass(frozen=True)
class Header:
    """Header of an image file.

    Attributes:
        size: Size as stored, before the orientation is applied.
        orientation: EXIF orientation that the reader has to apply.
        complete: False where the header proves that the end of the file is missing.
        frames: How its frames are read, where it has several: Motion JPEG, animations, TIFF pages of one size.
        pages: Numbers of the pages of a TIFF file that are frames.
        peak: Highest value of a channel that the file declares; None where it declares none.
        scaled: Whether values should use all 16 bits whatever `peak` is, as the format demands.
        note: What is not read of the file, in words.
    """

    size: Size
    orientation: int = 1
    complete: bool = True
    frames: Frames | None = None
    pages: tuple[int, ...] = ()
    peak: int | None = None
    scaled: bool = False
    note: str = ""


def read_header(data: bytes) -> Header:
    """Reads the header of an image file.

    Args:
        data: The file, or its first bytes.

    Raises:
        ImageError: The format is unknown or the header is truncated. The message starts with a verb.
    """
    content = content_of(data)
    read = None if content is None else READERS.get(content.name)
    if read is None:
        named = "" if content is None else f": it is {_article(content.name)}"
        raise ImageError(f"is not an image in a supported format ({', '.join(READERS)}){named}")
    try:
        return read(data)
    except (struct.error, IndexError, KeyError):
        raise ImageError("is truncated: its header is cut off") from None


def _article(name: str) -> str:
    if name == "archive" or name.startswith(("audio", "icon", "Open", "MPEG", "AVI", "ASF", "FLV", "H.", "Ogg", "IVF")):
        return f"an {name}"
    return f"a {name}"


def _jpeg_header(data: bytes) -> Header:
    """Walks the markers to the end-of-image marker: libjpeg would fill missing rows with gray."""
    found = jpeg.read_markers(data)
    if found.size is None:
        raise ImageError("is truncated: its header is cut off")
    frames: Frames | None = "video" if jpeg.has_frames(data, found) else None
    orientation = _exif_orientation(found.exif) if found.exif else 1
    return Header(found.size, orientation, complete=found.end is not None, frames=frames)


def _png_header(data: bytes) -> Header:
    width, height = struct.unpack_from(">II", data, 16)
    orientation, complete, frames, peak, at = 1, False, 1, None, 8
    while at + 12 <= len(data) and not complete:
        (length,) = struct.unpack_from(">I", data, at)
        kind, end = data[at + 4 : at + 8], at + 12 + length
        if kind == b"eXIf":
            orientation = _exif_orientation(data[at + 8 : end - 4])
        elif kind == b"acTL":
            (frames,) = struct.unpack_from(">I", data, at + 8)
        elif kind == b"sBIT" and length:
            peak = (1 << max(data[at + 8 : end - 4])) - 1
        complete = kind == b"IEND"
        at = end
    return Header((height, width), orientation, complete, "video" if frames > 1 else None, peak=peak, scaled=True)


def _webp_header(data: bytes) -> Header:
    (riff,) = struct.unpack_from("<I", data, 4)
    size, orientation, frames, at = None, 1, 0, 12
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
        frames += kind == b"ANMF"
        at = body + length + length % 2
    if size is None:
        raise ImageError("is truncated: its header is cut off")
    return Header(size, orientation, len(data) >= riff + 8, "pages" if frames > 1 else None)


def _tiff_header(data: bytes) -> Header:
    # OpenCV always applies the orientation of TIFF files.
    tags = next(tiff.directories(data))
    size = _tiff_size(tags)
    pages = tiff.pages(data)
    alike = len({(_tiff_size(page), page.get(tiff.BITS)) for _, page in pages}) == 1
    note = f"has {len(pages)} pages of different sizes: the first one is read" if len(pages) > 1 and not alike else ""
    return Header(
        size,
        frames="pages" if len(pages) > 1 and alike else None,
        pages=tuple(number for number, _ in pages) if alike else (),
        peak=0xFFFF if tags.get(tiff.BITS) in (10, 12, 14) else tags.get(tiff.MAX_SAMPLE),  # OpenCV scales packed bits
        note=note,
    )


def _tiff_size(tags: tiff.Tags) -> Size:
    size = tags[tiff.HEIGHT], tags[tiff.WIDTH]
    return size[::-1] if tags.get(tiff.ORIENTATION, 1) in (5, 6, 7, 8) else size


def _bmp_header(data: bytes) -> Header:
    width, height = struct.unpack_from("<ii", data, 18)
    return Header((abs(height), abs(width)))


def _gif_header(data: bytes) -> Header:
    width, height = struct.unpack_from("<HH", data, 6)
    return Header((height, width), frames="video" if _gif_images(data, 2) > 1 else None)


def _gif_images(data: bytes, limit: int) -> int:
    """Returns the number of images in a GIF file, up to a limit."""

    def table(flags: int) -> int:
        return 3 << (flags & 7) + 1 if flags & 0x80 else 0

    images, at = 0, 13 + table(data[10]) if len(data) > 10 else len(data)
    while at < len(data) and images < limit:
        kind = data[at]
        if kind == 0x2C:
            images += 1
            at += 11 + table(data[at + 9]) if at + 9 < len(data) else len(data)
        elif kind == 0x21:
            at += 2
        else:
            break
        while at < len(data) and data[at]:
            at += 1 + data[at]
        at += 1
    return images


def _avif_header(data: bytes) -> Header:
    found = heif.read_properties(data)
    if found.size is None:
        raise ImageError("is truncated: its header is cut off")
    peak = (1 << found.bits) - 1 if found.bits > 8 else None
    frames: Frames | None = "pages" if data[8:12] == b"avis" else None
    return Header(found.size, found.orientation, _boxes_are_whole(data), frames, peak=peak)


def _heic_header(data: bytes) -> Header:
    """The decoder applies the orientation."""
    if not heif.can_read_heic():
        heif.decode_heic(data)  # raises
    found = heif.read_properties(data)
    if found.size is None:
        raise ImageError("is a HEIC image that is damaged or truncated (its size is not stated)")
    size = found.size[::-1] if found.orientation in (5, 6, 7, 8) else found.size
    return Header(size, complete=_boxes_are_whole(data))


def _boxes_are_whole(data: bytes) -> bool:
    at = 0
    while at + 8 <= len(data):
        (size,) = struct.unpack_from(">I", data, at)
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, at + 8)
        if size == 0:
            return True
        if size < 8:
            return False
        at += size
    return at == len(data) or len(data) - at in range(1, 8)


def _jpeg_2000_header(data: bytes) -> Header:
    at = data.find(b"\xff\x4f\xff\x51")
    if at < 0:
        raise ImageError("is truncated: its header is cut off")
    right, bottom, left, top = struct.unpack_from(">IIII", data, at + 8)
    bits = (data[at + 42] & 0x7F) + 1
    return Header(
        (bottom - top, right - left),
        complete=data.rfind(b"\xff\xd9", at) > 0,
        peak=(1 << bits) - 1 if bits > 8 else None,
    )


def _exif_orientation(exif: bytes) -> int:
    """Returns the orientation from 1 to 8; 1 where the metadata is missing or damaged."""
    try:
        orientation = next(tiff.directories(exif), {}).get(tiff.ORIENTATION, 1)
    except struct.error:
        return 1
    return orientation if 1 <= orientation <= 8 else 1


def _int24(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 3], "little")


READERS: dict[str, Callable[[bytes], Header]] = {
    "JPEG": _jpeg_header,
    "PNG": _png_header,
    "WebP": _webp_header,
    "TIFF": _tiff_header,
    "BMP": _bmp_header,
    "GIF": _gif_header,
    "AVIF": _avif_header,
    "JPEG 2000": _jpeg_2000_header,
    "HEIC": _heic_header,
}
"""Format -> reader of its header."""
