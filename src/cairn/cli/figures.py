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
    from cairn.evaluation.reports.diagnosis import CORRECTED, error_rows

    shown = console()
    table(shown, joint_rows(result), ("joint", "keypoints", name_of(result.pck), NME, "sigma"))
    table(shown, list(headline(result).items()))
    table(shown, error_rows({"": diagnosis}))
    _meanings(shown, result)
    if diagnosis.corrected_ap:
        say(shown, CORRECTED)


def print_comparison(results: Mapping[str, Evaluation], diagnoses: Mapping[str, Diagnosis]) -> None:
    from cairn.evaluation.metrics.summary import name_of
    from cairn.evaluation.reports.compare import given_boxes, joint_comparison, metric_rows
    from cairn.evaluation.reports.diagnosis import CORRECTED, error_rows

    shown = console()
    first = next(iter(results.values()))
    table(shown, joint_comparison(results), (name_of(first.pck), "keypoints", "sigma", *results))
    table(shown, metric_rows(results), ("", *results))
    table(shown, error_rows(diagnoses), ("", *results))
    _meanings(shown, first)
    if any(diagnosis.corrected_ap for diagnosis in diagnoses.values()):
        say(shown, CORRECTED)
    for line in given_boxes(results):
        say(shown, line)


def _meanings(shown: Console, result: Evaluation) -> None:
    from cairn.evaluation.metrics.summary import NME, definition_of, definition_of_nme, name_of

    say(shown, f"{name_of(result.pck)}: {definition_of(result.pck)}")
    say(shown, f"{NME}: {definition_of_nme(result.error)}")
    if result.oks is not None:
        say(shown, "OKS with the sigmas of the table, at most 20 predictions per image")
