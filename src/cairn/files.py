"""Writing files atomically, and choosing folders to write to."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cairn.errors import OutputError

MAX_SUFFIX = 16
"""Maximum length in bytes of a suffix that a temporary name keeps: those of all formats are shorter."""


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Writes a file completely or not at all.

    Yields a temporary path in the same folder; when the block ends without an exception, the file there replaces
    `path`. After any exception, including a keyboard interrupt, the temporary file is deleted and `path` is unchanged.
    Parent folders are created.

    Raises:
        OutputError: If the file cannot be written, or a folder has that name.
    """
    path = Path(path)
    beside = path.with_name(_temporary_name(path.suffix))
    try:
        if path.is_dir():  # checked before the work, not when the file is replaced
            raise OutputError(f"cannot write {path}: a folder has that name")
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield beside
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
    except BrokenPipeError:  # stdout is closed: no error of this file
        raise
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from None


def _temporary_name(suffix: str) -> str:
    """Returns a hidden name that is short, whatever the final name is, and that no other thread or process uses."""
    # The suffix stays last, because encoders select the format by it.
    kept = suffix if len(os.fsencode(suffix)) <= MAX_SUFFIX else ""
    return f".cairn.{os.getpid()}.{secrets.token_hex(4)}.partial{kept}"


def ensure_writable_folder(path: str | Path) -> Path:
    """Creates a folder and checks that files can be written there, before work starts.

    Raises:
        OutputError: If the path is not a folder, or the folder cannot be created or written to.
    """
    path = Path(path)
    trial = path / _temporary_name("")
    try:
        path.mkdir(parents=True, exist_ok=True)
        trial.touch()
        trial.unlink()
    except OSError as error:
        raise OutputError(f"cannot write into the folder {path}: {error.strerror or error}") from None
    return path


def ensure_unused_names(folder: str | Path, names: Iterable[str]) -> Path:
    """Creates a folder for new files, and returns it.

    Args:
        folder: The folder.
        names: Names of the files to write.

    Raises:
        OutputError: The folder contains one of the files, or cannot be written to.
    """
    folder = Path(folder)
    taken = [name for name in names if (folder / name).exists()]
    if taken:
        raise OutputError(f"{folder / taken[0]} already exists: give another folder with --out")
    return ensure_writable_folder(folder)


def unused_folder(path: str | Path) -> Path:
    """Returns the first of PATH, PATH-2, PATH-3, ... that does not exist or is an empty folder."""
    path = Path(path)
    number = 1
    while True:
        folder = path if number == 1 else path.with_name(f"{path.name}-{number}")
        if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
            return folder
        number += 1
