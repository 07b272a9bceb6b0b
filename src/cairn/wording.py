"""Numbers and lists in messages."""

from __future__ import annotations

from collections.abc import Iterable


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Returns the number with its noun, in the plural unless it is 1.

    Args:
        number: The number.
        noun: The singular, such as "image".
        plural: The plural, where it is not the singular with an s.
    """
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def joined(items: Iterable[object]) -> str:
    """Returns items as in a sentence: "a", "a and b", "a, b and c"; empty for none."""
    *first, last = [str(item) for item in items] or [""]
    return f"{', '.join(first)} and {last}" if first else last
