"""Tables of numbers in text."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cairn.errors import CloudError

BLOCK = 200_000
"""Lines that are parsed together."""


def parse_numbers(path: Path, lines: Sequence[bytes], columns: int, what: str) -> NDArray[np.float64]:
    """Returns the numbers (N, columns) of lines, separated by spaces; each line has one row.

    Args:
        path: The file, for messages.
        lines: The lines.
        columns: Numbers in a line.
        what: What a line is, for messages.

    Raises:
        CloudError: A line has another number of values, or a value is no number.
    """
    parts = []
    for start in range(0, len(lines), BLOCK):
        block = lines[start : start + BLOCK]
        values = _parsed(b"\n".join(block))
        if values is None or values.size != len(block) * columns or not _is_rectangular(block, columns):
            _explain(path, block, start, columns, what)
            values = np.array([[float(word) for word in line.split()] for line in block], np.float64)
        parts.append(values.reshape(-1, columns))
    return np.concatenate(parts) if parts else np.zeros((0, columns))


def _parsed(text: bytes) -> NDArray[np.float64] | None:
    """Returns all numbers of a text; None where something is no number."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            return np.fromstring(text.decode("latin-1"), np.float64, sep=" ")
        except (DeprecationWarning, ValueError):
            return None


def _is_rectangular(block: Sequence[bytes], columns: int) -> bool:
    return all(len(line.split()) == columns for line in block)


def _explain(path: Path, block: Sequence[bytes], start: int, columns: int, what: str) -> None:
    """Raises the error of the first wrong line, if there is one."""
    for row, line in enumerate(block, start):
        words = line.split()
        shown = line[:60].decode("latin-1")
        if len(words) != columns:
            raise CloudError(f"{path}: {what} {row} has {len(words)} values, expected {columns}: {shown!r}")
        for word in words:
            try:
                float(word)
            except ValueError:
                raise CloudError(f"{path}: {what} {row} has {word.decode('latin-1')!r}, expected a number") from None
