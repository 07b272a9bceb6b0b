"""`cairn split`: labels to learn from, and labels to validate on that have nothing to do with them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from cairn.errors import CairnError, OutputError


def split(
    labels: Annotated[Path, typer.Argument(help="Labels of any form that Cairn reads.")],
    out: Annotated[Path, typer.Argument(help="Folder for train.json, val.json and split.json.")],
    images: Annotated[
        Path | None,
        typer.Option(help="Folder of their images. [images/ beside the labels, or there]", show_default=False),
    ] = None,
    share: Annotated[float, typer.Option(help="Of the images, to validate on.")] = 0.1,
    seed: Annotated[int, typer.Option(min=0, help="Another number draws another split.")] = 0,
    drawn: Annotated[
        Path | None,
        typer.Option("--from", help="A split.json, of a run too: part the labels as it says.", show_default=False),
    ] = None,
) -> None:
    """Part labels for training and validation; videos, subjects and near-duplicates stay together.

    cairn split labels.json parts && cairn train --data parts/train.json --val parts/val.json
    """
    from cairn.cli.reports import bar, kept_if_used
    from cairn.datasets import split as parting
    from cairn.datasets.formats.coco import write_coco
    from cairn.datasets.reading import read_labels
    from cairn.files import ensure_writable_folder

    if not 0 < share < 1:
        raise CairnError(f"--share must lie between 0 and 1, got {share:g}")
    read = read_labels(labels, images)
    targets = [out / name for name in ("train.json", "val.json", "split.json")]
    if taken := [path for path in targets if path.exists()]:
        raise OutputError(f"{taken[0]} is there already: give another folder")
    with kept_if_used(ensure_writable_folder(out)):
        if drawn:
            parts = parting.read_split(drawn, read)
        else:
            with bar("reading", len(read)) as progress:
                parts = parting.split(read, share, seed, progress=progress)
        learn, val = parts.apply(read)
        for part, path in zip((learn, val), targets, strict=False):
            write_coco(part, path)
        parting.write_split(parts, targets[2])
    print(f"{len(learn)} images -> {targets[0]}\n{len(val)} images -> {targets[1]}")
    if parts.cut:
        print(
            f"{parts.cut} of {len(read)} images are of one video, or alike, and had to be cut: those to validate on "
            "are neighbors at one end of it",
            file=sys.stderr,
        )
