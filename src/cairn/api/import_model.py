"""`cairn.import_model`: converts published weights into a model."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from cairn.arguments import checked
from cairn.errors import ModelError, OutputError
from cairn.extras import require

if TYPE_CHECKING:
    from cairn.training.checkpoints.reading import Checkpoint
    from cairn.training.method import CheckpointReader

log = logging.getLogger(__name__)


@checked
def import_model(
    checkpoint: str | Path,
    *,
    out: str | Path | None = None,
    skeleton: str | None = None,
    stages: int | None = None,
    name: str | None = None,
) -> Path:
    """Converts published weights into a model file that `cairn.load` takes, and returns its path.

    The network is recognized by its weights. Skeleton, preprocessing and thresholds are written into the file. Only
    tensors are read from the checkpoint; no code in it is run.

    Example:
        path = cairn.import_model("pose_iter_584000.caffemodel")

    Args:
        checkpoint: OpenPose's .caffemodel, or its conversion to PyTorch, .npz or .npy; Lightweight OpenPose (PyTorch);
            or a Stacked Hourglass of princeton-vl, bearpaw or anibali (PyTorch).
        out: Model to write (.onnx). Default: the name of the checkpoint, in the current folder.
        skeleton: Skeleton of the network's outputs: a name, or a .toml file. Default: as published.
        stages: Number of stages of OpenPose or Lightweight OpenPose to keep: fewer take less time. Default: all.
        name: Name of the model. Default: the name of the file.

    Raises:
        MissingExtra: The extra `train` is not installed.
        ModelError: The weights cannot be read, or are of another network.
        SkeletonError: There is no such skeleton.
        OutputError: The file exists or cannot be written.
    """
    require("torch", "onnx", "onnxscript", extra="train")
    from cairn.structures.skeleton import load_skeleton
    from cairn.training.checkpoints.reading import read_weights
    from cairn.training.exporting.onnx_file import export

    source = Path(checkpoint)
    stem = source.name.removesuffix(".tar").rsplit(".", 1)[0]
    target = Path(out) if out is not None else Path(f"{stem}.onnx")
    if target.suffix != ".onnx":
        raise OutputError(f"the file to write must end in .onnx, got {target}")
    if out is None and target.exists():
        raise OutputError(f"{target} exists: name another file with --out")
    options = {"joints": load_skeleton(skeleton) if skeleton else None, "stages": stages}
    given = {option: value for option, value in options.items() if value is not None}
    weights = read_weights(source)
    reader = _reader(weights)
    if "stages" in given and not reader.has_stages:
        raise ModelError(f"{source} is of {reader.known}, which has no option --stages: leave it out")
    module, spec = reader.read(weights, name or stem, **given)
    export(module, spec, target)
    origin, *facts = spec.provenance.items()
    described = ", ".join(f"{value} {fact}" for fact, value in facts)
    log.info("%s: %s, %d joints of %s", origin[1], described, len(spec.skeleton), spec.skeleton.name)
    return target


def _reader(checkpoint: Checkpoint) -> CheckpointReader:
    """Returns the reader that recognizes the weights. Raises ModelError where none does."""
    from cairn.methods import all_methods
    from cairn.training.checkpoints.reading import few

    readers = [each.checkpoints() for each in all_methods() if each.checkpoints is not None]
    for reader in readers:
        if reader.recognizes(checkpoint):
            return reader
    known = ", ".join(reader.known for reader in readers)
    raise ModelError(
        f"{checkpoint.path} holds weights of an unknown network: expected one of {known}, "
        f"got {few(checkpoint.weights, 3)}"
    )
