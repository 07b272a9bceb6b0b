"""Writing without halves: a file is there whole, or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cairn.errors import OutputError


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """A path beside `path` to write to; it takes the name of `path` when the block ends well.

    When the block ends in any exception, a keyboard interrupt too, nothing is left and what stood
    at `path` before still stands. Folders above are made. Raises OutputError where that is impossible, at once
    where a folder has that name.
    """
    path = Path(path)
    if path.is_dir():  # replacing would tell, but after all the work
        raise OutputError(f"cannot write {path}: a folder has that name")
    # The suffix stays last, because encoders choose by it.
    beside = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield beside
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
    except BrokenPipeError:  # whoever read our stdout has gone: not this file's fault
        raise
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from None


def ensure_writable_folder(path: str | Path) -> Path:
    """Make a folder and try that files can be put there, so that work is not begun in vain.

    Raises OutputError where it is no folder, cannot be made or cannot be written to.
    """
    path = Path(path)
    trial = path / f".cairn.{os.getpid()}.partial"
    try:
        path.mkdir(parents=True, exist_ok=True)
        trial.touch()
        trial.unlink()
    except OSError as error:
        raise OutputError(f"cannot write into the folder {path}: {error.strerror or error}") from None
    return path


def unused_folder(path: str | Path) -> Path:
    """The first of PATH, PATH-2, PATH-3 and so on that is not there, or is an empty folder."""
    path = Path(path)
    number = 1
    while True:
        folder = path if number == 1 else path.with_name(f"{path.name}-{number}")
        if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
            return folder
        number += 1
