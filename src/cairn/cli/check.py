"""`cairn check`: validates labels before training."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cairn.cli.label_options import Category, Confidence, SplitName

if TYPE_CHECKING:
    from cairn.datasets.checks.check import Check


def check(
    labels: Annotated[
        list[Path], typer.Argument(help="Labels; several are splits of one data set, the training split first.")
    ],
    val: Annotated[
        Path | None, typer.Option(help="Labels to validate on; the same as another of LABELS.", show_default=False)
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(help="Folder of the images. [images/ beside the labels, or their folder]", show_default=False),
    ] = None,
    skeleton: Annotated[
        str | None,
        typer.Option(help="Joints to check: name of a skeleton, or a .toml file. [the labels']", show_default=False),
    ] = None,
    split: Annotated[
        SplitName | None,
        typer.Option(help="Split to check. [each split of LABELS as a set of its own]", show_default=False),
    ] = None,
    confidence: Confidence = None,
    category: Category = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the report. [a new one: check-LABELS]", show_default=False)
    ] = None,
) -> None:
    """Validate labels before training.

    Finds data leakage, left-right swaps, outliers and missing images, and counts labels. Writes check.json, check.html
    and sheets of examples and suspicious instances. Exit status: 0 no problem, 1 problems to look at, 2 training
    cannot start.

    cairn check train.json --val val.json
    """
    from cairn.api.check import check as validate
    from cairn.cli.logs import API, show_log
    from cairn.cli.progress import bars
    from cairn.files import unused_folder

    show_log(API)
    folder = out or unused_folder(f"check-{labels[0].stem or labels[0].resolve().name}")
    with bars() as progress:
        report = validate(
            labels,
            val=val,
            images=images,
            skeleton=skeleton,
            split=split.value if split else None,
            confidence=confidence,
            category=category,
            out=folder,
            progress=progress,
        )
    _print(report.result)
    print(f"{', '.join(entry.name for entry in report.files)} -> {folder}", file=sys.stderr)
    if report.status:
        raise typer.Exit(report.status)


def _print(result: Check) -> None:
    from cairn.cli.tables import console, print_line, print_table
    from cairn.datasets.checks.class_checks import class_rows
    from cairn.datasets.checks.report import VERDICTS, finding_rows, joint_rows, size_rows

    target = console()
    print_table(target, joint_rows(result), ("joint", *result.sets))
    if rows := class_rows(result.sets):
        print_table(target, rows, ("class: instances", *result.sets))
    print_table(target, size_rows(result), ("", *result.sets))
    for level, line in finding_rows(result):
        print_line(target, f"{level}  {line}")
    print_line(target, VERDICTS[result.status])
