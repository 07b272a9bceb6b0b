"""`cairn check`: what is wrong with labels, before a model learns it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cairn.errors import LabelError

if TYPE_CHECKING:
    from cairn.datasets.checks.check import Check


def check(
    labels: Annotated[
        list[Path], typer.Argument(help="Labels; several are parts of one split, the first is to learn from.")
    ],
    val: Annotated[
        Path | None, typer.Option(help="Labels to validate on: as another of LABELS.", show_default=False)
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(help="Folder of their images. [images/ beside the labels, or there]", show_default=False),
    ] = None,
    joints: Annotated[
        str | None,
        typer.Option("--skeleton", help="Joints to check, by name or a .toml file. [the labels']", show_default=False),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the report. [a new one: check-LABELS]", show_default=False)
    ] = None,
) -> None:
    """Signatures labels over before training: leaks, swaps, outliers, missing images, counts, sizes.

    Prints what was found and writes check.json, check.html and sheets of examples and suspects.
    Exit status: 0 training may start, 1 it may but look first, 2 it cannot.

    cairn check train.json --val val.json
    """
    from cairn.cli.reports import bar, kept_if_used
    from cairn.datasets.checks.check import check as look_over
    from cairn.datasets.checks.report import prepare_check_folder, write_check
    from cairn.datasets.labels import Labels
    from cairn.datasets.problems import Problems
    from cairn.datasets.reading import read_labels
    from cairn.files import unused_folder
    from cairn.structures.skeleton import load_skeleton

    files = [*labels, *([val] if val else [])]
    if len({file.resolve() for file in files}) < len(files):
        raise LabelError("a file of labels is given twice: every image of it would be in both parts")
    skeleton = load_skeleton(joints) if joints else None
    sets: dict[str, Labels] = {}
    skipped: dict[str, list[str]] = {}
    for file in files:
        name = str(file) if [other.name for other in files].count(file.name) > 1 else file.name
        problems = Problems(skip=True)
        sets[name] = read_labels(file, images, skeleton, missing_ok=True, problems=problems)
        skipped[name] = problems.skipped
        skeleton = skeleton or sets[name].skeleton
    folder = out or unused_folder(f"check-{labels[0].stem}")
    with kept_if_used(prepare_check_folder(folder)):
        with bar("reading", sum(map(len, sets.values()))) as progress:
            result = look_over(sets, progress, skipped)
        written = write_check(result, folder)
    _print(result)
    print(f"{', '.join(entry.name for entry in written)} -> {folder}", file=sys.stderr)
    if result.status:
        raise typer.Exit(result.status)


def _print(result: Check) -> None:
    from cairn.cli.tables import console, say, table
    from cairn.datasets.checks.report import VERDICTS, finding_rows, joint_rows, size_rows

    shown = console()
    table(shown, joint_rows(result), ("joint", *result.sets))
    table(shown, size_rows(result), ("", *result.sets))
    for level, line in finding_rows(result):
        say(shown, f"{level}  {line}")
    say(shown, VERDICTS[result.status])
