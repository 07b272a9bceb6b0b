"""Bounds of values in which a part can stand in several places: aliases in YAML, names in Python.

A few lines of such a file hold billions of values, which take no memory until a message or a loop walks over them.
"""

from __future__ import annotations

from typing import Any

MAX_VALUES = 10**6
"""Values of a file, each counted in every place where it stands."""

MAX_BITS = 1024
"""Size of an integer; Python writes none of more than 4300 digits."""


def out_of_bounds(value: Any) -> str | None:
    """Returns why lists, tables and plain values cannot be used, as the end of a sentence; None where they can.

    Raises:
        RecursionError: They are nested too deeply.
    """
    if _count(value, {}) > MAX_VALUES:
        return f"it has itself as a part, numbers without end, or more than {MAX_VALUES:,} values"
    return None


def _count(value: Any, known: dict[int, float]) -> float:
    """Number of values in a value; infinite where it contains itself or too large an integer."""
    if isinstance(value, int):
        return 1 if value.bit_length() <= MAX_BITS else float("inf")
    if not isinstance(value, dict | list):
        return 1
    if id(value) not in known:
        known[id(value)] = float("inf")
        parts = [*value, *value.values()] if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_count(part, known) for part in parts)
    return known[id(value)]
