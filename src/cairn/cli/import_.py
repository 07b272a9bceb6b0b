"""`cairn import`: weights that others published, as a model of ours."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cairn.errors import ModelError, OutputError

if TYPE_CHECKING:
    from cairn.training.checkpoints.reading import Checkpoint
    from cairn.training.method import CheckpointReader


def import_(
    checkpoint: Annotated[
        Path,
        typer.Argument(
            help="OpenPose's .caffemodel, or its conversion to PyTorch or .npz; a Stacked Hourglass of princeton-vl, "
            "bearpaw or anibali (PyTorch)."
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(help="The model to write. [the checkpoint's name, here]", show_default=False)
    ] = None,
    skeleton: Annotated[
        str | None,
        typer.Option(help="What its maps stand for: a name, or a .toml file. [as published]", show_default=False),
    ] = None,
    stages: Annotated[
        int | None,
        typer.Option(min=1, help="Of OpenPose: take the first so many stages: less time. [all]", show_default=False),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="What the model is called. [as the file]", show_default=False)
    ] = None,
) -> None:
    """Turn published weights into a model that `cairn detect --model` takes.

    Whose they are is recognized; the skeleton, the preprocessing and the thresholds go into the file. Nothing in
    the checkpoint but weights is read.
    """
    from cairn.cli.train import need

    need("torch", "onnx", "onnxscript")
    from cairn.structures.skeleton import load_skeleton as skeleton_named
    from cairn.training.checkpoints.reading import read_weights
    from cairn.training.exporting.onnx_file import export

    if out is not None and out.suffix != ".onnx":
        raise OutputError(f"the file to write must end in .onnx, got {out}")
    stem = checkpoint.name.removesuffix(".tar").rsplit(".", 1)[0]
    if out is None and Path(f"{stem}.onnx").exists():
        raise OutputError(f"{stem}.onnx is there already: say --out")
    options = {"joints": skeleton_named(skeleton) if skeleton else None, "stages": stages}
    given = {option: value for option, value in options.items() if value is not None}
    weights = read_weights(checkpoint)
    reader = _reader(weights)
    if "stages" in given and not reader.has_stages:
        raise ModelError(f"{checkpoint} is of {reader.known}, whose stages cannot be chosen: leave --stages out")
    module, spec = reader.read(weights, name or stem, **given)
    target = out or Path(f"{stem}.onnx")
    export(module, spec, target)
    origin, *rest = spec.provenance.items()
    facts = [f"{value} {fact}" for fact, value in rest]
    print(f"{origin[1]}: {', '.join(facts)}, {len(spec.skeleton)} joints of {spec.skeleton.name}", file=sys.stderr)
    print(target)


def _reader(checkpoint: Checkpoint) -> CheckpointReader:
    """The reader that recognizes a file of weights. Raises ModelError where none does."""
    from cairn.methods import all_methods
    from cairn.training.checkpoints.reading import few

    readers = [each.checkpoints() for each in all_methods() if each.checkpoints is not None]
    for reader in readers:
        if reader.recognizes(checkpoint):
            return reader
    known = ", ".join(reader.known for reader in readers)
    raise ModelError(
        f"{checkpoint.path} is of another network than those that can be read ({known}): "
        f"it names {few(checkpoint.weights, 3)}"
    )
