"""`cairn crop`: crops labeled instances."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cairn.cli.label_options import Category, Confidence, Exclude, SplitName

MAX_LISTED = 5


class By(StrEnum):
    """What a crop is around."""

    BOXES = "boxes"
    LANDMARKS = "landmarks"
    MOTION = "motion"


def crop(
    labels: Annotated[Path, typer.Argument(help="Labels in any format that Cairn reads; by motion also a folder.")],
    out: Annotated[Path, typer.Argument(help="Folder for images/ and labels.json, or a file for each split.")],
    images: Annotated[
        Path | None,
        typer.Option(help="Folder of the images. [images/ beside the labels, or their folder]", show_default=False),
    ] = None,
    by: Annotated[
        By, typer.Option(help="What a crop is around: boxes or landmarks of the labels, or what moves.")
    ] = By.BOXES,
    margin: Annotated[float, typer.Option(help="Side of a crop over the longer side of its box.")] = 1.25,
    size: Annotated[int, typer.Option(help="Side of the crops in pixels.")] = 256,
    split: Annotated[
        SplitName | None, typer.Option(help="Split of the labels to crop. [all]", show_default=False)
    ] = None,
    confidence: Confidence = None,
    category: Category = None,
    exclude: Exclude = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Skip records and images that cannot be used, and count them.")
    ] = False,
) -> None:
    """Crop each labeled instance to a square image, with its labels.

    Writes COCO labels of the crops, one file for each split. With --by motion, crops what moves in frames of a static
    camera, which need no labels, and writes boxes.json for cairn detect --boxes.

    cairn crop list_landmarks_celeba.txt faces/ --size 128

    cairn crop frames/ mice/ --by motion
    """
    from cairn.api.crop import crop as run
    from cairn.cli.logs import API, show_log
    from cairn.cli.progress import bars
    from cairn.wording import counted

    show_log(API)
    with bars() as progress:
        crops = run(
            labels,
            out,
            images=images,
            by=by.value,
            margin=margin,
            size=size,
            split=split.value if split else None,
            confidence=confidence,
            category=category,
            exclude=exclude,
            skip_bad=skip_bad,
            progress=progress,
        )
    if crops.skipped:
        print(f"skipped: {counted(len(crops.skipped), 'record')} that cannot be used", file=sys.stderr)
        for line in crops.skipped[:MAX_LISTED]:
            print(f"  {line}", file=sys.stderr)
    written = [*crops.labels, *([crops.boxes] if crops.boxes else [])]
    print(f"{counted(crops.num_crops, 'crop')} -> {', '.join(map(str, written))}")
