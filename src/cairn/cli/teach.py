"""`cairn teach`: a model of named keypoints from landmarks, or from shapes, and a few labels."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cairn.cli.label_options import CropChoice, Exclude

if TYPE_CHECKING:
    from cairn.api.shapes import TaughtShapes
    from cairn.api.teach import TaughtModel

TITLES = {"paper": "least squares, NME %", "ridge": "--ridge, NME %"}
"""Titles of the columns, by regression."""


def teach(
    run: Annotated[Path, typer.Argument(help="Run of cairn discover; or shapes: a folder of meshes.")],
    labels: Annotated[
        Path | None,
        typer.Argument(
            help="Labels of some images, with one instance each; of shapes, a folder of landmarks (.mrk.json, .fcsv, "
            ".csv, .json) with the names of the meshes. [beside the meshes]",
            show_default=False,
        ),
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(help="Folder of the images. [images/ beside the labels, or their folder]", show_default=False),
    ] = None,
    val: Annotated[
        Path | None,
        typer.Option(
            help="Labels to measure the error on. [the split val of LABELS, or cross-validation]", show_default=False
        ),
    ] = None,
    val_images: Annotated[
        Path | None, typer.Option(help="Folder of the validation images. [as --images]", show_default=False)
    ] = None,
    exclude: Exclude = None,
    crop: Annotated[
        CropChoice | None,
        typer.Option(
            help="Crop to the boxes or the landmarks of labels: one view of each instance. [as the run]",
            show_default=False,
        ),
    ] = None,
    crop_margin: Annotated[
        float | None,
        typer.Option(help="Side of a crop over the longer side of its box. [as the run]", show_default=False),
    ] = None,
    skeleton: Annotated[
        str | None,
        typer.Option(
            help="Keypoints to detect: name of a skeleton, or a .toml file. [those labeled]", show_default=False
        ),
    ] = None,
    ridge: Annotated[
        bool,
        typer.Option(
            "--ridge", help="Use ridge regression toward nearby landmarks instead of least squares: more accurate."
        ),
    ] = False,
    mirror: Annotated[
        bool,
        typer.Option("--mirror", help="Add the landmarks of the mirrored image: more accurate, in twice the time."),
    ] = False,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Maximum number of labeled images.", show_default=False)
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option(
            help="Length that errors are divided by: eyes, face, box, diagonal, or FROM:TO. [as published]",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Model to write. [RUN/taught.onnx, or taught.cairn]", show_default=False)
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the model. [as the run]", show_default=False)] = None,
    seed: Annotated[int, typer.Option(help="Random seed for the draws of labeled images.")] = 0,
    unit: Annotated[
        str | None,
        typer.Option(help="Unit of the meshes: um, mm, cm, m, km, in or ft. [as the files state]", show_default=False),
    ] = None,
    coordinate_system: Annotated[
        str | None,
        typer.Option(help="Coordinate system of the meshes: LPS or RAS. [as the files state]", show_default=False),
    ] = None,
) -> None:
    """Map discovered landmarks to named keypoints with a few labels; or place landmarks of labeled meshes on others.

    Prints the error against the number of labeled images, which shows whether more labels would help.

    cairn teach runs/faces few-labels.json --ridge

    cairn teach skulls/ landmarks/ --out skulls.cairn

    cairn teach runs/views landmarks/
    """
    from cairn.api.shapes import TaughtShapes
    from cairn.api.teach import teach as fit
    from cairn.api.teach3d import TaughtKeypoints3D
    from cairn.cli.logs import show_training_log
    from cairn.cli.progress import bars

    show_training_log()
    with bars() as progress:
        taught = fit(
            run,
            labels,
            images=images,
            val=val,
            val_images=val_images,
            exclude=exclude,
            crop=crop.value if crop else None,
            crop_margin=crop_margin,
            skeleton=skeleton,
            ridge=ridge,
            mirror=mirror,
            limit=limit,
            metric=metric,
            out=out,
            name=name,
            seed=seed,
            unit=unit,
            coordinate_system=coordinate_system,
            progress=progress,
        )
    if isinstance(taught, TaughtShapes):
        _print_shapes(taught)
    elif isinstance(taught, TaughtKeypoints3D):
        print(f"{taught!r}, on held-out {'objects' if taught.kind == '3D' else 'images'}", file=sys.stderr)
    else:
        _print(taught)
    print(taught.path)


def _print(taught: TaughtModel) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("labeled images", *(TITLES[kind] for kind in taught.rows), "draws", box=None)
    for rows in zip(*taught.rows.values(), strict=True):
        cells = [f"{row.mean:.2f}" + (f" ± {row.deviation:.2f}" if row.draws > 1 else "") for row in rows]
        table.add_row(str(rows[0].count), *cells, str(rows[0].draws))
    Console(highlight=False, stderr=True, width=None if sys.stderr.isatty() else 120).print(table)
    measured = "held-out images" if taught.cross_validated else "the validation labels"
    print(f"NME: mean error on {measured}, in percent of {taught.unit}", file=sys.stderr)


def _print_shapes(taught: TaughtShapes) -> None:
    from cairn.cli.tables import console, print_line, print_table

    target, model = console(), taught.model
    unit = model.unit or "units"
    if taught.rows:
        rows = [[str(row.templates), f"{row.error:.3g}"] for row in taught.rows]
        print_table(target, rows, ("templates", f"mean error, {unit}"))
        print_line(target, "mean error: each specimen in turn, with templates from the others")
    print_line(target, repr(model))
    if model.symmetric:
        print_line(target, "the shapes are nearly symmetric: mirrored specimens cannot be recognized")
