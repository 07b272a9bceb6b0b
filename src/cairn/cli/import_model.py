"""`cairn import`: converts published weights into a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def import_model(
    checkpoint: Annotated[
        Path,
        typer.Argument(
            help="OpenPose's .caffemodel, or its conversion to PyTorch, .npz or .npy; Lightweight OpenPose (PyTorch); "
            "or a Stacked Hourglass of princeton-vl, bearpaw or anibali (PyTorch)."
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(help="Model to write. [the checkpoint's name, in this folder]", show_default=False)
    ] = None,
    skeleton: Annotated[
        str | None,
        typer.Option(
            help="Skeleton of the network's outputs: a name, or a .toml file. [as published]", show_default=False
        ),
    ] = None,
    stages: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Number of stages of an OpenPose network to keep; fewer take less time. [all]",
            show_default=False,
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the model. [the name of the file]", show_default=False)
    ] = None,
) -> None:
    """Convert published weights into a model for cairn detect --model.

    The network is recognized by its weights. Skeleton, preprocessing and thresholds are written into the file. Only
    tensors are read from the checkpoint; no code in it is run.

    cairn import pose_iter_584000.caffemodel
    """
    from cairn.api.import_model import import_model as convert
    from cairn.cli.logs import API, show_log

    show_log(API)
    print(convert(checkpoint, out=out, skeleton=skeleton, stages=stages, name=name))
