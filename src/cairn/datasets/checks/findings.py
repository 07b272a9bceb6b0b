"""A finding: one problem of the labels, with all its cases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

Level = Literal["error", "warning", "info"]
"""error: training cannot start. warning: training can start, but the labels should be reviewed first. info: a fact."""

LEVELS: tuple[Level, ...] = ("error", "warning", "info")
"""The most serious first."""

MAX_EXAMPLES = 3
"""Cases that the line of a finding names."""


@dataclass(frozen=True)
class Finding:
    """One problem of the labels.

    Attributes:
        level: How serious it is.
        kind: Identifier of the problem, such as `leakage` or `missing`.
        line: The problem in one line, with some examples.
        cases: All cases, as plain values for JSON.
    """

    level: Level
    kind: str
    line: str
    cases: tuple[dict[str, Any], ...] = ()


def examples(values: Sequence[object], separator: str = ", ", count: int = MAX_EXAMPLES) -> str:
    """Returns the first `count` values as text, and how many more there are."""
    more = len(values) - count
    return separator.join(map(str, values[:count])) + (f"{separator}and {more} more" if more > 0 else "")


def width_by_height(size: Sequence[int]) -> str:
    """Returns a (width, height) as text."""
    return f"{size[0]}×{size[1]}"
