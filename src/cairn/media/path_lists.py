"""Lists of sources: text files with one path or address a line."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path

from cairn.errors import ImageError
from cairn.media.address import is_url

LIST_SUFFIX = ".txt"

BYTE_ORDER_MARKS = (
    *((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32")),
    *((codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16")),
)
"""Mark -> encoding; PowerShell writes UTF-16 with a mark. That of UTF-32 starts with that of UTF-16."""


def read_list(path: Path) -> list[str]:
    """Returns the paths and addresses of a list; paths are relative to its own folder.

    Raises:
        ImageError: The list cannot be read, is no text, or is empty.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ImageError(f"cannot read the list {path}: {error.strerror or error}") from None
    text = decode_text(data)
    if "\0" in text:
        raise ImageError(f"the list {path} is no text: expected one path a line, in UTF-8 or UTF-16")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        raise ImageError(f"the list {path} names no image: expected one path a line")
    return [line if is_url(line) else str(path.parent / line) for line in lines]


def iterate_list(path: Path) -> Iterator[str]:
    """Yields what `read_list` returns, line by line: the list is not read into memory.

    Raises:
        ImageError: As `read_list`, before the first line, or at the line that is no text.
    """
    empty = True
    try:
        with path.open("rb") as file:
            start = file.read(64)
        encoding = encoding_of(start) or "utf-8"
        errors = "strict" if encoding != "utf-8" else "surrogateescape"
        with path.open(encoding=encoding, errors=errors) as file:
            for line in map(str.strip, file):
                if "\0" in line:
                    raise ImageError(f"the list {path} is no text: expected one path a line, in UTF-8 or UTF-16")
                if line:
                    empty = False
                    yield line if is_url(line) else str(path.parent / line)
    except OSError as error:
        raise ImageError(f"cannot read the list {path}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise ImageError(f"the list {path} is no text: expected one path a line, in UTF-8 or UTF-16") from None
    if empty:
        raise ImageError(f"the list {path} names no image: expected one path a line")


def encoding_of(start: bytes) -> str | None:
    """Returns the encoding that the first bytes of a text show, by its mark or its null bytes; None is UTF-8."""
    encoding = next((encoding for mark, encoding in BYTE_ORDER_MARKS if start.startswith(mark)), None)
    if encoding is None and 0 in start[:64]:
        encoding = "utf-16-le" if start[1:64:2].count(0) > start[0:64:2].count(0) else "utf-16-be"
    return encoding


def decode_text(data: bytes) -> str:
    """Returns text in UTF-8, UTF-16 or UTF-32, by its byte order mark or, without one, by its null bytes.

    Bytes that are no UTF-8 are kept, as in the names of files.
    """
    encoding = encoding_of(data)
    try:
        return data.decode(encoding or "utf-8", errors="strict" if encoding else "surrogateescape")
    except UnicodeDecodeError:
        return "\0"  # no text in any of them
