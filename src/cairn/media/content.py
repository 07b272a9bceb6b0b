"""What a file is, by its first bytes, never by its name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

SIGNATURE_BYTES = 1024
"""Bytes that are enough to recognize every format; most need 16."""


@dataclass(frozen=True)
class Content:
    """A file format.

    Attributes:
        name: Its name.
        kind: An image, or a file that FFmpeg reads frame by frame; "other" is a format that Cairn does not read.
    """

    name: str
    kind: Literal["image", "video", "other"]


def _table() -> tuple[tuple[re.Pattern[bytes], Content], ...]:
    """Patterns of first bytes, the more special ones first."""
    images = (
        (rb"\xff\xd8\xff", "JPEG"),
        (rb"\x89PNG\r\n\x1a\n", "PNG"),
        (rb"RIFF....WEBP", "WebP"),
        (rb"II[*+]\0|MM\0[*+]", "TIFF"),
        (rb"BM", "BMP"),
        (rb"GIF8[79]a", "GIF"),
        (rb"....ftyp(avif|avis)|....ftyp(mif1|msf1|miaf)....([a-zA-Z0-9]{4}){0,8}avi[fs]", "AVIF"),
        (rb"....ftyp(hei[cxms]|hev[cxms]|mif1|msf1)", "HEIC"),
        (rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51", "JPEG 2000"),
    )
    start_code = rb"\0{2,3}\x01"
    packet = rb"\x47[\s\S]{%d}"
    videos = (
        (rb"....ftyp(?!M4[ABP]|F4A|crx|jxl)|....(moov|mdat|wide|free|skip|pnot)", "MP4"),
        (rb"\x1a\x45\xdf\xa3", "Matroska or WebM"),
        (rb"RIFF....AVI |RIFF....AVIX", "AVI"),
        (rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "ASF (WMV)"),
        (rb"FLV\x01", "FLV"),
        (start_code + rb"\xba", "MPEG program stream"),
        (start_code + rb"\xb3", "MPEG video"),
        (start_code + rb"[\xb0\xb5]", "MPEG-4 video"),
        (packet % 187 + packet % 187 + rb"\x47|[\s\S]{4}" + packet % 191 + packet % 191 + rb"\x47", "MPEG-TS"),
        (start_code + rb"([\x27\x47\x67]|\x09[\x10-\xf0]\0{0,2}\0\0\x01)", "H.264"),
        (start_code + rb"[\x40\x42\x46][\x01-\x07]", "H.265"),
        (rb"OggS[\s\S]{24,400}\x80theora|OggS[\s\S]{24,400}(BBCD|OVP80|\x01video)", "Ogg"),
        (rb"YUV4MPEG2 ", "Y4M"),
        (rb"DKIF", "IVF"),
        (rb"DHAV", "DAV"),
        (rb"\.RMF", "RealMedia"),
        (rb"\x06\x0e\x2b\x34\x02\x05\x01\x01\x0d\x01\x02", "MXF"),
        (rb"\x1f\x07\x00[\x3f\xbf]", "DV"),
        (rb"\xb7\xd8\x00\x20\x37\x49\xda\x11", "WTV"),
        (rb"(?i:--[^\r\n]{1,70}\r?\ncontent-)", "multipart Motion JPEG"),
    )
    others = (
        (rb"\0\0\0\x0cJXL |\xff\x0a", "JPEG XL image"),
        (rb"....ftypcrx |FUJIFILMCCD|IIRO|IIU\0", "camera raw image"),
        (rb"8BPS", "Photoshop image"),
        (rb"\x76\x2f\x31\x01", "OpenEXR image"),
        (rb"#\?RADIANCE|#\?RGBE", "Radiance HDR image"),
        (rb"[\s\S]{128}DICM", "DICOM image"),
        (rb"P[1-7][\s#]", "Netpbm image"),
        (rb"\0\0\x01\0", "icon"),
        (rb"%PDF-", "PDF"),
        (rb"\s*(<\?xml[\s\S]*)?<svg", "SVG drawing"),
        (rb"....ftyp|ID3|RIFF....WAVE|fLaC|OggS", "audio file"),
        (rb"PK\x03\x04|\x1f\x8b|Rar!|7z\xbc\xaf", "archive"),
        (rb"\s*<(?i:!doctype|html)", "web page"),
        (rb"#EXTM3U", "playlist"),
        (rb"version https://git-lfs", "Git LFS pointer, not the file itself"),
    )
    groups: tuple[tuple[Literal["image", "video", "other"], tuple[tuple[bytes, str], ...]], ...]
    groups = (("image", images), ("video", videos), ("other", others))
    return tuple(
        (re.compile(pattern, re.DOTALL), Content(name, kind)) for kind, group in groups for pattern, name in group
    )


_FORMATS = _table()


def content_of(start: bytes) -> Content | None:
    """Returns the format of a file by its first `SIGNATURE_BYTES`; None for an unknown one."""
    start = bytes(start[:SIGNATURE_BYTES])
    return next((content for pattern, content in _FORMATS if pattern.match(start)), None)


def content_of_file(path: Path) -> Content | None:
    """Returns the format of a file; None where it is unknown, empty, not a regular file, or cannot be read."""
    try:
        if not path.is_file():  # reading a pipe might block forever
            return None
        with path.open("rb") as file:
            return content_of(file.read(SIGNATURE_BYTES))
    except (OSError, ValueError):  # ValueError: a null character in the path
        return None
