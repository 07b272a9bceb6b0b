"""`cairn convert`: converts labels between file formats."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cairn.cli.label_options import Category, Confidence, Gt, SplitName

if TYPE_CHECKING:
    from cairn.api.convert import Conversion

MAX_LISTED = 5
"""Skipped records that are printed; of the others only the number is."""


class Format(StrEnum):
    """File formats that labels are written in."""

    COCO = "coco"
    YOLO = "yolo"
    CSV = "csv"
    PARQUET = "parquet"
    CVAT = "cvat"
    LABELME = "labelme"
    LABEL_STUDIO = "label_studio"
    SLEAP = "sleap"
    DEEPLABCUT = "deeplabcut"
    TOML = "toml"


def convert(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE",
            help="Labels: COCO (CVAT, Label Studio, coco-annotator), YOLO-pose, SLEAP, DeepLabCut, LabelMe, VIA, "
            "CVAT's XML, Label Studio's JSON, OpenPose, AlphaPose, 300-W, CelebA, MTFL, AFLW, .cat, MPII, LSP, FLIC, "
            "pose-hg-train's .h5, Cairn's tables; or mmpose's dataset_info, where TARGET is a .toml.",
        ),
    ],
    target: Annotated[
        Path,
        typer.Argument(
            metavar="TARGET",
            help=".json for COCO, .csv, .parquet, a folder for YOLO-pose, .xml for CVAT, .label_studio.json, .slp, a "
            "folder .labelme or .dlc (DeepLabCut), .toml for the skeleton alone.",
        ),
    ],
    to: Annotated[Format | None, typer.Option(help="Format of TARGET. [by its name]", show_default=False)] = None,
    images: Annotated[
        Path | None,
        typer.Option(help="Folder of the images. [where the annotation tool puts them]", show_default=False),
    ] = None,
    skeleton: Annotated[
        str | None,
        typer.Option(
            help="Name of a skeleton, .toml, or mmpose's .py: joints by name, limbs, flip pairs, sigmas.",
            show_default=False,
        ),
    ] = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Skip records that cannot be used, and count them.")
    ] = False,
    split: Annotated[
        SplitName | None,
        typer.Option(help="Split of SOURCE to convert, where it has several. [all]", show_default=False),
    ] = None,
    confidence: Confidence = None,
    category: Category = None,
    gt: Gt = None,
    part: Annotated[
        SplitName | None,
        typer.Option(
            help="Split of a YOLO folder to write all images to. [their own, or else the name of SOURCE, or train]",
            show_default=False,
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Overwrite existing files.")] = False,
) -> None:
    """Convert labels from one file format to another.

    Prints the skeleton and writes it to TARGET.skeleton.toml. Correct it there, and convert again with it:

    cairn convert labels.slp mice.json

    cairn convert labels.slp mice.json --skeleton mice.skeleton.toml --overwrite
    """
    from cairn.api.convert import convert as run
    from cairn.cli.logs import API, show_log

    show_log(API)

    conversion = run(
        source,
        target,
        to=to.value if to else None,
        images=images,
        skeleton=skeleton,
        skip_bad=skip_bad,
        split=split.value if split else None,
        confidence=confidence,
        category=category,
        gt=gt,
        part=part.value if part else None,
        overwrite=overwrite,
    )
    if conversion.labels is not None:
        _print(conversion)
    for line in (*conversion.lost, *_skipped(conversion.skipped)):
        print(line, file=sys.stderr)
    print(conversion.target)
    if conversion.skeleton_file is not None and conversion.skeleton_file != conversion.target:
        print(f"{conversion.skeleton_file}: correct the skeleton there and pass it as --skeleton", file=sys.stderr)


def _print(conversion: Conversion) -> None:
    """Prints the counts and the skeleton of the labels."""
    import numpy as np
    from rich.table import Column, Table

    from cairn.cli.tables import console, print_line
    from cairn.wording import counted

    labels, skeleton = conversion.labels, conversion.skeleton
    assert labels is not None
    visibility = np.concatenate([image.annotation.visibility for image in labels])
    counts = (Column(name, justify="right") for name in ("labeled", "occluded", "sigma"))
    table = Table("joint", "left-right pair", "limbs to", *counts, box=None)
    flips = skeleton.flip_order
    for i, joint in enumerate(skeleton.joints):
        others = [skeleton.joints[b] for a, b in skeleton.limbs if a == i]
        mirror = skeleton.joints[flips[i]] if flips[i] != i else ""
        numbers = (str(int((visibility[:, i] > 0).sum())), str(int((visibility[:, i] == 1).sum())))
        table.add_row(joint, mirror, ", ".join(others), *numbers, f"{skeleton.sigmas[i]:g}")
    target = console()
    content = f"{counted(conversion.num_images, 'image')}, {counted(conversion.num_instances, 'instance')}"
    print_line(target, f"{content}, skeleton {skeleton.name}")
    target.print(table)
    for note in conversion.notes:
        print_line(target, note)
    if unknown := [joint for joint, known in zip(skeleton.joints, labels.labeled_joints, strict=True) if not known]:
        print_line(target, f"never labeled: {', '.join(unknown)}")


def _skipped(lines: Sequence[str]) -> list[str]:
    if not lines:
        return []
    more = [f"and {len(lines) - MAX_LISTED} more"] if len(lines) > MAX_LISTED else []
    return [f"skipped: {len(lines)} records that cannot be used", *(f"  {line}" for line in lines[:MAX_LISTED]), *more]
