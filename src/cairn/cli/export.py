"""`cairn export`: one file that carries everything needed to use a trained model."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cairn.errors import OutputError


class Checkpoint(StrEnum):
    BEST = "best"
    LAST = "last"


def export(
    run: Annotated[Path, typer.Argument(help="Folder of a training run.")],
    target: Annotated[Path, typer.Argument(help="The .onnx file to write.")],
    checkpoint: Annotated[Checkpoint, typer.Option(help="Which weights.")] = Checkpoint.BEST,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="What the file states: name, licence, sources, decode.THRESHOLD=value."),
    ] = None,
) -> None:
    """Write a run's weights to one .onnx file, checked against torch.

    cairn export runs/flies flies.onnx --set decode.peak_threshold=0.2
    """
    from cairn.cli.train import quiet_training, training_of

    quiet_training()
    from cairn.training.fit import export_from
    from cairn.training.recipe import check_recipe, override, read_recipe

    if target.suffix != ".onnx":
        raise OutputError(f"the file to write must end in .onnx, got {target}")
    tables = override(read_recipe(run / "recipe.toml"), settings or [])
    training = training_of(tables)
    print(export_from(training, check_recipe(training.Recipe, tables), run, checkpoint.value, target))
