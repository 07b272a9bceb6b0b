"""Numbers in messages."""

from __future__ import annotations


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Returns the number with its noun, in the plural unless it is 1.

    Args:
        number: The number.
        noun: The singular, such as "image".
        plural: The plural, where it is not the singular with an s.
    """
    return f"{number} {noun if number == 1 else plural or noun + 's'}"
