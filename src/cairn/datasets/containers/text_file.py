"""The start of a file, and its text."""

from __future__ import annotations

from pathlib import Path

from cairn.errors import LabelError

FIRST_BYTES = 512

UTF16 = (b"\xff\xfe", b"\xfe\xff")
"""Byte order marks of UTF-16."""


def first_bytes(path: Path) -> bytes:
    """Returns the start of a file without a byte order mark; nothing for a folder.

    Raises:
        LabelError: The file cannot be read.
    """
    if path.is_dir():
        return b""
    try:
        with path.open("rb") as file:
            return file.read(FIRST_BYTES).removeprefix(b"\xef\xbb\xbf")
    except OSError as error:
        raise LabelError(f"cannot read labels {path}: {error.strerror}") from None


def exists(path: Path) -> bool:
    """Returns whether a path exists; false where its name is too long or its folder cannot be read."""
    try:
        return path.exists()
    except OSError:
        return False


def is_file(path: Path) -> bool:
    """Returns whether a path is that of a file; false where it cannot be one: too long, or with a null character."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def read_text(path: Path) -> str:
    """Returns the text of a file in UTF-8, or in UTF-16 with a byte order mark, which is dropped.

    Raises:
        LabelError: The file cannot be read, or is not such text.
    """
    try:
        content = path.read_bytes()
        return content.decode("utf-16" if content.startswith(UTF16) else "utf-8-sig")
    except OSError as error:
        raise LabelError(f"cannot read labels {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise LabelError(f"{path} is not UTF-8 text") from None
