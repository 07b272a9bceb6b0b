"""Options of labels that several commands take."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class CropChoice(StrEnum):
    """What an image is cropped to."""

    BOXES = "boxes"
    LANDMARKS = "landmarks"
    MOTION = "motion"
    NONE = "none"


class SplitName(StrEnum):
    """Splits of a data set."""

    TRAIN = "train"
    VAL = "val"
    TEST = "test"


Confidence = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=1,
        help="Minimum confidence at which a predicted keypoint counts as labeled, for labels that are predictions. "
        "[0.5]",
        show_default=False,
    ),
]
"""`--confidence`."""

Category = Annotated[
    str | None,
    typer.Option(
        help="Category to read, where the labels have several. [all with the same keypoints]", show_default=False
    ),
]
"""`--category`."""

Exclude = Annotated[
    Path | None,
    typer.Option(metavar="LIST", help="Images to exclude: a text file of image names, or labels.", show_default=False),
]
"""`--exclude`."""

Gt = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Published ground truth of MPII's validation people, for PCKh: gt_valid.mat, mpii_gt_val.mat or "
        "detections_our_format.mat. [the one beside the labels]",
        show_default=False,
    ),
]
"""`--gt`."""
