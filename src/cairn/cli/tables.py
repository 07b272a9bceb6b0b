"""Tables and lines on stdout."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


def console() -> Console:
    """Returns a console on stdout: as wide as the terminal, or 120 columns in a file or a pipe."""
    from rich.console import Console

    return Console(highlight=False, width=None if sys.stdout.isatty() else 120)


def print_table(target: Console, rows: Sequence[Sequence[str]], head: Sequence[str] = ()) -> None:
    """Prints rows with the first column aligned left and the others right, and an empty line.

    Args:
        target: Console to print to.
        rows: Cells of each row.
        head: Titles of the columns; none are printed where it is empty.
    """
    from rich.table import Column, Table
    from rich.text import Text

    first, *others = head or [""] * len(rows[0])
    table = Table(Column(Text(first)), *(Column(Text(name), justify="right") for name in others), box=None)
    table.show_header = bool(head)
    for row in rows:
        table.add_row(*map(Text, row))
    target.print(table)
    target.print()


def print_line(target: Console, line: str) -> None:
    """Prints a line as it is, however long."""
    target.print(line, markup=False, soft_wrap=True)
