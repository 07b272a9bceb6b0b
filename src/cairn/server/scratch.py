"""The folder of what is temporary: uploads that are being read, and what is being deleted. Each start empties it."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Scratch:
    """Temporary folders on the disk of the data folder.

    Args:
        data: The data folder, which no other server uses.
    """

    def __init__(self, data: Path) -> None:
        self.folder = Path(data) / "scratch"
        shutil.rmtree(self.folder, ignore_errors=True)

    @contextmanager
    def place(self) -> Iterator[Path]:
        """Yields a new folder, which is deleted after the block."""
        folder = self._unused()
        folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def delete(self, folder: Path) -> None:
        """Deletes a folder, all at once for everyone who reads it. What its links point to stays.

        Raises:
            OSError: It cannot be moved, and is as it was.
        """
        if folder.is_symlink():
            folder.unlink()
            return
        moved = self._unused()
        moved.parent.mkdir(parents=True, exist_ok=True)
        folder.rename(moved)
        shutil.rmtree(moved, ignore_errors=True)

    def _unused(self) -> Path:
        return self.folder / secrets.token_hex(8)
