"""The figures of `cairn evaluate` as tables on stdout."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from cairn.evaluation.diagnosis import Diagnosis
    from cairn.evaluation.run import Evaluation


def print_evaluation(result: Evaluation, diagnosis: Diagnosis) -> None:
    from cairn.evaluation.diagnosis import error_rows
    from cairn.evaluation.figures import NME, headline, joint_rows, name_of

    console = _console()
    _table(console, joint_rows(result), ("joint", "keypoints", name_of(result.pck), NME, "sigma"))
    _table(console, list(headline(result).items()))
    _table(console, error_rows({"": diagnosis}))
    _meanings(console, result)
    if diagnosis.repaired:
        _say(console, "(in brackets: OKS AP if such errors, and no others, had been put right)")


def print_comparison(results: Mapping[str, Evaluation], diagnoses: Mapping[str, Diagnosis]) -> None:
    from cairn.evaluation.compare import compared_joints, figure_rows, told_where
    from cairn.evaluation.diagnosis import error_rows
    from cairn.evaluation.figures import name_of

    console = _console()
    first = next(iter(results.values()))
    _table(console, compared_joints(results), (name_of(first.pck), "keypoints", "sigma", *results))
    _table(console, figure_rows(results), ("", *results))
    _table(console, error_rows(diagnoses), ("", *results))
    _meanings(console, first)
    if any(diagnosis.repaired for diagnosis in diagnoses.values()):
        _say(console, "(in brackets: OKS AP if such errors, and no others, had been put right)")
    for line in told_where(results):
        _say(console, line)


def _meanings(console: Console, result: Evaluation) -> None:
    from cairn.evaluation.figures import NME, meaning_of, meaning_of_error, name_of

    _say(console, f"{name_of(result.pck)}: {meaning_of(result.pck)}")
    _say(console, f"{NME}: {meaning_of_error(result.error)}")
    if result.oks is not None:
        _say(console, "OKS with the sigmas of the table, at most 20 finds a picture")


def _console() -> Console:
    from rich.console import Console

    # As wide as it needs where nobody looks: a file or a program gets whole lines.
    return Console(highlight=False, width=None if sys.stdout.isatty() else 120)


def _table(console: Console, rows: Sequence[Sequence[str]], head: Sequence[str] = ()) -> None:
    from rich.table import Column, Table
    from rich.text import Text

    first, *others = head or [""] * len(rows[0])
    shown = Table(Column(Text(first)), *(Column(Text(name), justify="right") for name in others), box=None)
    shown.show_header = bool(head)
    for row in rows:
        shown.add_row(*map(Text, row))
    console.print(shown)
    console.print()


def _say(console: Console, line: str) -> None:
    console.print(line, markup=False, soft_wrap=True)
