"""The figures of `cairn evaluate` as tables on stdout."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from cairn.cli.tables import console, say, table

if TYPE_CHECKING:
    from rich.console import Console

    from cairn.evaluation.evaluate import Evaluation
    from cairn.evaluation.reports.diagnosis import Diagnosis


def print_evaluation(result: Evaluation, diagnosis: Diagnosis) -> None:
    from cairn.evaluation.metrics.summary import NME, headline, joint_rows, name_of
    from cairn.evaluation.reports.diagnosis import error_rows

    shown = console()
    table(shown, joint_rows(result), ("joint", "keypoints", name_of(result.pck), NME, "sigma"))
    table(shown, list(headline(result).items()))
    table(shown, error_rows({"": diagnosis}))
    _meanings(shown, result)
    if diagnosis.repaired:
        say(shown, "(in brackets: OKS AP if such errors, and no others, had been put right)")


def print_comparison(results: Mapping[str, Evaluation], diagnoses: Mapping[str, Diagnosis]) -> None:
    from cairn.evaluation.metrics.summary import name_of
    from cairn.evaluation.reports.compare import compared_joints, figure_rows, told_where
    from cairn.evaluation.reports.diagnosis import error_rows

    shown = console()
    first = next(iter(results.values()))
    table(shown, compared_joints(results), (name_of(first.pck), "keypoints", "sigma", *results))
    table(shown, figure_rows(results), ("", *results))
    table(shown, error_rows(diagnoses), ("", *results))
    _meanings(shown, first)
    if any(diagnosis.repaired for diagnosis in diagnoses.values()):
        say(shown, "(in brackets: OKS AP if such errors, and no others, had been put right)")
    for line in told_where(results):
        say(shown, line)


def _meanings(shown: Console, result: Evaluation) -> None:
    from cairn.evaluation.metrics.summary import NME, meaning_of, meaning_of_error, name_of

    say(shown, f"{name_of(result.pck)}: {meaning_of(result.pck)}")
    say(shown, f"{NME}: {meaning_of_error(result.error)}")
    if result.oks is not None:
        say(shown, "OKS with the sigmas of the table, at most 20 finds an image")
