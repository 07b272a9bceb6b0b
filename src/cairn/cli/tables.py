"""Tables and lines on stdout, for people and for files."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


def console() -> Console:
    from rich.console import Console

    # As wide as it needs where nobody looks: a file or a program gets whole lines.
    return Console(highlight=False, width=None if sys.stdout.isatty() else 120)


def table(to: Console, rows: Sequence[Sequence[str]], head: Sequence[str] = ()) -> None:
    from rich.table import Column, Table
    from rich.text import Text

    first, *others = head or [""] * len(rows[0])
    shown = Table(Column(Text(first)), *(Column(Text(name), justify="right") for name in others), box=None)
    shown.show_header = bool(head)
    for row in rows:
        shown.add_row(*map(Text, row))
    to.print(shown)
    to.print()


def say(to: Console, line: str) -> None:
    to.print(line, markup=False, soft_wrap=True)
