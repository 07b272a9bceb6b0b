"""`cairn teach`: landmarks learn the names of points from a handful of labels."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cairn.errors import OutputError, RecipeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cairn.methods.landmarks.teaching import Row


def teach(
    run: Annotated[Path, typer.Argument(help="Folder of a run of cairn discover.")],
    labels: Annotated[Path, typer.Argument(help="Labels of some images, one object each.")],
    images: Annotated[
        Path | None, typer.Option(help="Folder of their images. [images/ beside the labels]", show_default=False)
    ] = None,
    val: Annotated[
        Path | None, typer.Option(help="Labels to measure on. [those not taught, in turn]", show_default=False)
    ] = None,
    val_images: Annotated[
        Path | None, typer.Option(help="Folder of their images. [as --images]", show_default=False)
    ] = None,
    skeleton: Annotated[
        str | None, typer.Option(help="Which points: a name, or a .toml file. [those labeled]", show_default=False)
    ] = None,
    ridge: Annotated[
        bool, typer.Option("--ridge", help="Points move as the landmarks near them, unless labels tell more: better.")
    ] = False,
    mirror: Annotated[
        bool, typer.Option("--mirror", help="Signatures at the mirror image too: better, in twice the time.")
    ] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Teach the first images only.", show_default=False)] = None,
    metric: Annotated[
        str | None,
        typer.Option(
            help="Length that errors are divided by: eyes, face, box, diagonal, or FROM:TO. [as published]",
            show_default=False,
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The model to write. [RUN/taught.onnx]", show_default=False)] = None,
    name: Annotated[str | None, typer.Option(help="What it is called. [as the run]", show_default=False)] = None,
    seed: Annotated[int, typer.Option(help="Of the draws in the table.")] = 0,
) -> None:
    """Teach discovered landmarks the points that you care about; writes a model that finds those.

    Prints the error against the number of labeled images, which says whether more labels would help.
    """
    from cairn.cli.train import quiet_training
    from cairn.methods.autoconfig import training_of

    quiet_training()
    from dataclasses import replace

    from cairn.datasets.reading import read_labels
    from cairn.evaluation.protocols import protocol_of
    from cairn.methods.landmarks import teaching
    from cairn.methods.landmarks.model import MirroredDetector
    from cairn.structures.skeleton import load_skeleton as skeleton_named
    from cairn.training.recipe import check_recipe, read_recipe

    target = out or run / "taught.onnx"
    if target.suffix != ".onnx":
        raise OutputError(f"the file to write must end in .onnx, got {target}")
    if val_images and not val:
        raise RecipeError("--val-images goes with --val")
    tables = read_recipe(run / "recipe.toml")
    if tables.get("method") != "landmarks":
        raise RecipeError(f"{run} is a run of {tables.get('method')}: cairn teach takes one of cairn discover")
    recipe = check_recipe(training_of(tables).recipe, tables)
    module, spec = teaching.load_run(run, recipe, name or recipe.name)

    joints = skeleton_named(skeleton) if skeleton else None
    truth = read_labels(labels, images, joints)
    if limit:
        truth = replace(truth, images=truth.images[:limit])
    detector = MirroredDetector(module.detector) if mirror else module.detector
    find = teaching.landmark_predictor(detector, spec)
    train = teaching.examples_of(find, truth)
    held = None if val is None else teaching.examples_of(find, read_labels(val, val_images or images, truth.skeleton))
    protocol = protocol_of(metric) if metric else teaching.default_length(train if held is None else held)
    kind: Kind = "ridge" if ridge else "paper"
    regressor = teaching.fit(train, kind)
    rows = teaching.table(train, held, kind, protocol, seed)
    other = teaching.table(train, held, "paper" if ridge else "ridge", protocol, seed)
    _print({kind: rows, ("paper" if ridge else "ridge"): other}, protocol.unit, on_others=held is None)

    stated: dict[str, str | int | float] = {
        "labels": str(labels),
        "labeled_images": len(train),
        "regression": f"{kind}, mirrored" if mirror else kind,
    }
    figures = {"NME": rows[-1].mean} if rows and rows[-1].count == len(train) else {}
    taught = spec.model_copy(update={"skeleton": truth.skeleton, "metrics": figures})
    teaching.export_taught(detector, regressor, taught, stated, target)
    print(target)


def _print(tables: dict[str, Sequence[Row]], unit: str, on_others: bool) -> None:
    from rich.console import Console
    from rich.table import Table

    titles = {"paper": "as the paper, NME %", "ridge": "--ridge, NME %"}
    shown = Table("labeled images", *(titles[kind] for kind in tables), "draws", box=None)
    for rows in zip(*tables.values(), strict=True):
        cells = [f"{row.mean:.2f}" + (f" ± {row.deviation:.2f}" if row.draws > 1 else "") for row in rows]
        shown.add_row(str(rows[0].count), *cells, str(rows[0].draws))
    Console(highlight=False, stderr=True, width=None if sys.stderr.isatty() else 120).print(shown)
    measured = "images that were not taught" if on_others else "the validation labels"
    print(f"NME: mean error on {measured}, in percent of {unit}", file=sys.stderr)
