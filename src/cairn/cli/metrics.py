"""The metrics of `cairn evaluate` as tables on stdout."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cairn.cli.tables import console, print_line, print_table

if TYPE_CHECKING:
    from rich.console import Console

    from cairn.api.repeatability import Repeatability
    from cairn.api.report import Comparison, Report
    from cairn.api.report3d import Report3D
    from cairn.api.shapes import LandmarkReport
    from cairn.api.tracking_report import TrackingReport
    from cairn.evaluation.evaluate import Evaluation

WITHOUT_ERRORS = "(in parentheses: OKS AP without errors of this kind)"


def print_report(report: Report) -> None:
    """Prints the metrics of one model."""
    from cairn.evaluation.metrics.summary import NME, class_rows, headline, joint_rows, name_of
    from cairn.evaluation.reports.diagnosis import error_rows

    target, evaluation = console(), report.evaluation
    print_table(target, joint_rows(evaluation), ("joint", "keypoints", name_of(evaluation.pck), NME, "sigma"))
    if evaluation.classes:
        print_table(target, class_rows(evaluation), ("class", "instances", "OKS AP", name_of(evaluation.pck)))
    print_table(target, list(headline(evaluation).items()))
    print_table(target, error_rows({"": report.diagnosis}))
    _print_definitions(target, evaluation)
    if report.diagnosis.corrected_ap:
        print_line(target, WITHOUT_ERRORS)


def print_repeatability(result: Repeatability) -> None:
    """Prints the mean repeatability of each method, and the pairs that it is the mean of."""
    from cairn.api.repeatability import SHOWN

    target = console()
    print_table(target, result.table(), ("method", *(f"{each} x resolution" for each in SHOWN)))
    for pair in result.pairs:
        counts = " and ".join(map(str, pair.num_keypoints))
        state = f"{counts} keypoints" if pair.methods else "not measured"
        print_line(target, f"{pair.first.name}, {pair.second.name}: overlap {pair.overlap:.0%}, {state}")


def print_report_3d(report: Report3D) -> None:
    """Prints the metrics of tracks in 3D."""
    target, result = console(), report.result
    print_table(target, [(joint, f"{error:.1f}") for joint, error in result.joints.items()], ("joint", "MPJPE (mm)"))
    if result.limbs:
        rows = [(limb, *(f"{value:.1f}" for value in row)) for limb, row in result.limbs.items()]
        print_table(target, rows, ("limb", "PCP (%)", "PCP strict (%)", "length spread (mm)"))
    shares = {"PCK3D@150mm", "AUC", "PCP", "PCP strict"}
    print_table(target, [(name, f"{v:.1f} {'%' if name in shares else 'mm'}") for name, v in result.metrics.items()])
    print_line(target, f"{result.found} of {result.instances} instances of the ground truth have a track")


def print_tracking(report: TrackingReport) -> None:
    """Prints the metrics of track IDs."""
    from cairn.api.tracking_report import SHARES

    target, result = console(), report.result
    rows = [(name, f"{v:.1f} %" if name in SHARES else f"{v:.0f}") for name, v in report.metrics.items()]
    print_table(target, rows)
    own = result.metrics
    print_line(
        target,
        f"{own.predictions} predictions in {result.predicted_tracks} tracks; {own.instances} instances in "
        f"{result.tracks} tracks of {result.frames} labeled frames; matched by {result.measure}",
    )
    if result.ignored:
        print_line(target, f"{result.ignored} predictions in regions to ignore do not count")


def print_landmarks(report: LandmarkReport) -> None:
    """Prints the errors of landmarks on shapes, the largest first."""
    target, unit = console(), report.errors.unit or "units"
    rows = sorted(report.per_keypoint, key=lambda row: -(row["mean"] or 0))
    cells = [
        [row["landmark"], str(row["count"]), *map(_length, (row["mean"], row["median"], row["max"]))] for row in rows
    ]
    print_table(target, cells, ("landmark", "specimens", f"mean, {unit}", "median", "largest"))
    print_table(target, [[name, _length(value)] for name, value in report.metrics.items()], ("all", unit))


def _length(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def print_comparison(comparison: Comparison) -> None:
    """Prints the metrics of several models, a column for each."""
    from cairn.evaluation.metrics.summary import name_of
    from cairn.evaluation.reports.compare import class_comparison, given_boxes, joint_comparison, metric_rows
    from cairn.evaluation.reports.diagnosis import error_rows

    target, models = console(), comparison.evaluations
    first = next(iter(models.values()))
    print_table(target, joint_comparison(models), (name_of(first.pck), "keypoints", "sigma", *models))
    if rows := class_comparison(models):
        print_table(target, rows, ("class: OKS AP / PCK", "instances", *models))
    print_table(target, metric_rows(models), ("", *models))
    print_table(target, error_rows(comparison.diagnoses), ("", *models))
    _print_definitions(target, first)
    if any(diagnosis.corrected_ap for diagnosis in comparison.diagnoses.values()):
        print_line(target, WITHOUT_ERRORS)
    for line in given_boxes(models):
        print_line(target, line)


def _print_definitions(target: Console, evaluation: Evaluation) -> None:
    from cairn.evaluation.metrics.summary import (
        NME,
        VISIBILITY_AUC,
        definition_of,
        definition_of_classes,
        definition_of_nme,
        definition_of_visibility,
        name_of,
    )

    print_line(target, f"{name_of(evaluation.pck)}: {definition_of(evaluation.pck)}")
    print_line(target, f"{NME}: {definition_of_nme(evaluation.error)}")
    if evaluation.oks is not None:
        print_line(target, "OKS with the sigmas of the table, at most 20 detections per image")
    if classes := definition_of_classes(evaluation):
        print_line(target, f"classes: {classes}")
    if evaluation.visibility is not None:
        print_line(target, f"{VISIBILITY_AUC}: {definition_of_visibility(evaluation.visibility)}")
