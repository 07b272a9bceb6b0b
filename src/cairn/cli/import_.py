"""`cairn import`: weights that others published, as a model of ours."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from cairn.errors import OutputError


def import_(
    checkpoint: Annotated[
        Path, typer.Argument(help="A Stacked Hourglass of princeton-vl, bearpaw or anibali (PyTorch).")
    ],
    out: Annotated[
        Path | None, typer.Option(help="The model to write. [the checkpoint's name, here]", show_default=False)
    ] = None,
    skeleton: Annotated[str, typer.Option(help="What its heatmaps stand for: a name, or a .toml file.")] = "mpii16",
    name: Annotated[
        str | None, typer.Option(help="What the model is called. [as the file]", show_default=False)
    ] = None,
) -> None:
    """Turn a published checkpoint into a model that `cairn detect --model` takes.

    Which port it is from is recognised; the skeleton and the preprocessing go into the file. Nothing in the
    checkpoint but weights is read.
    """
    from cairn.cli.train import need

    need("torch", "onnx", "onnxscript")
    from cairn.methods.hourglass.checkpoints import read_checkpoint
    from cairn.skeleton import skeleton as skeleton_named
    from cairn.training.export import export

    if out is not None and out.suffix != ".onnx":
        raise OutputError(f"the file to write must end in .onnx, got {out}")
    stem = checkpoint.name.removesuffix(".tar").rsplit(".", 1)[0]
    if out is None and Path(f"{stem}.onnx").exists():
        raise OutputError(f"{stem}.onnx is there already: say --out")
    module, spec = read_checkpoint(checkpoint, name or stem, skeleton_named(skeleton))
    target = out or Path(f"{stem}.onnx")
    export(module, spec, target)
    origin, stacks = spec.provenance["imported from"], spec.provenance["stacks"]
    print(f"{origin}: {stacks} stacks, {len(spec.skeleton)} joints of {spec.skeleton.name}", file=sys.stderr)
    print(target)
