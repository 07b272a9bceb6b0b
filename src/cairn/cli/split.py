"""`cairn split`: divides labels into training and validation sets."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer


def split(
    labels: Annotated[Path, typer.Argument(help="Labels in any format that Cairn reads.")],
    out: Annotated[Path, typer.Argument(help="Folder for train.json, val.json and split.json.")],
    images: Annotated[
        Path | None,
        typer.Option(help="Folder of the images. [images/ beside the labels, or their folder]", show_default=False),
    ] = None,
    share: Annotated[
        float | None, typer.Option(help="Share of the images to validate on. [0.1]", show_default=False)
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Random seed of the split. [0]", show_default=False)] = None,
    split_file: Annotated[
        Path | None,
        typer.Option(
            "--from",
            "--split-file",
            help="A split.json, of a training run too, to divide the labels by.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Divide labels into training and validation sets without data leakage.

    Videos, subjects and near-duplicates stay together.

    cairn split labels.json splits && cairn train splits/train.json --val splits/val.json
    """
    from cairn.api.split import split as divide
    from cairn.cli.progress import bars
    from cairn.wording import counted

    with bars() as progress:
        result = divide(labels, out, images=images, share=share, seed=seed, split_file=split_file, progress=progress)
    print(f"{counted(len(result.train), 'image')} -> {result.train_file}")
    print(f"{counted(len(result.val), 'image')} -> {result.val_file}")
    if result.num_cut:
        total = len(result.train) + len(result.val)
        print(
            f"{result.num_cut} of {total} images are of one video, or near-duplicates, and had to be divided: the "
            "validation images are neighboring frames at one end",
            file=sys.stderr,
        )
