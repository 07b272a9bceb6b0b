"""What verbs that write a report of labeled images have in common: a folder for it, and a bar meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cairn.cli.progress import bar

__all__ = ["bar", "kept_if_used"]


@contextmanager
def kept_if_used(folder: Path) -> Iterator[None]:
    """No empty folder stays behind where something went wrong."""
    try:
        yield
    except BaseException:
        with suppress(OSError):  # not empty: then it was there before
            folder.rmdir()
        raise
