"""A file of JSON lines that only grows. A line is saved once `append` returns, whatever happens to the process."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cairn.errors import LabelError


class AppendLog:
    """Lines of JSON.

    A crash amid `append` leaves a line without an end, which was never acknowledged: it is ignored, and the next line
    replaces it.

    Args:
        path: The file; it is created with the first line.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._end = 0
        if path.is_file():
            self._end = path.read_bytes().rfind(b"\n") + 1

    def rows(self) -> list[dict[str, Any]]:
        """Returns all lines.

        Raises:
            LabelError: A line is damaged.
        """
        if not self.path.is_file():
            return []
        with self._lock, self.path.open("rb") as file:
            lines = file.read(self._end).splitlines()
        rows = []
        for number, line in enumerate(lines, start=1):
            try:
                row = json.loads(line)
            except ValueError:
                row = None
            if not isinstance(row, dict):
                raise LabelError(f"{self.path}: line {number} is damaged: remove it, or restore the file from a backup")
            rows.append(row)
        return rows

    def append(self, row: dict[str, Any]) -> None:
        """Adds a line, completely or not at all. Raises OSError where the disk is full."""
        self.extend([row])

    def extend(self, rows: Iterable[dict[str, Any]]) -> None:
        """Adds lines, all or none; a crash may leave the first ones. Raises OSError where the disk is full."""
        lines = b"".join(json.dumps(row, separators=(",", ":"), ensure_ascii=False).encode() + b"\n" for row in rows)
        with self._lock, self.path.open("r+b" if self.path.exists() else "w+b") as file:
            file.truncate(self._end)
            file.seek(self._end)
            try:
                file.write(lines)
                file.flush()
                os.fsync(file.fileno())
            except OSError:
                file.truncate(self._end)
                raise
            self._end += len(lines)
