"""Export of a torch module to an .onnx file with its specification, verified against torch."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from cairn.errors import ModelError
from cairn.files import atomic_write
from cairn.inference.model_spec import METADATA_KEY, ModelSpec
from cairn.inference.network import OnnxNetwork
from cairn.training.exporting.torch_network import TorchNetwork

TOLERANCE = 1e-3
"""Maximum difference between onnxruntime and torch, divided by the largest value of the output."""

log = logging.getLogger(__name__)


def export(module: nn.Module, spec: ModelSpec, path: Path) -> None:
    """Writes a module and its specification to an .onnx file.

    Args:
        module: (B, 3, h, w) float32 RGB from 0 to 255 -> a tuple in the order of `spec.outputs`. In models for several
            instances h and w are any multiples of `spec.input.multiple`.
        spec: The specification.
        path: The file to write.

    Raises:
        ModelError: The outputs of onnxruntime and torch differ by more than `TOLERANCE`, or are not finite. Nothing is
            written.
        OutputError: The file cannot be written.
    """
    import onnx

    module = module.eval().cpu()
    with atomic_write(path) as beside:
        proto = _trace(module, spec)
        onnx.helper.set_model_props(proto, {METADATA_KEY: spec.to_json()})
        onnx.save(proto, str(beside))
        _check(module, spec, beside)
    log.info("exported %s (%.1f MB), equal to torch within %g", path.name, path.stat().st_size / 1e6, TOLERANCE)


def _trace(module: nn.Module, spec: ModelSpec) -> Any:
    """The module as an onnx.ModelProto."""
    height = width = spec.input.size
    dims: dict[int, torch.export.Dim] = {0: torch.export.Dim("batch", min=1, max=1024)}
    if spec.task == "multi_instance":
        multiple = spec.input.multiple
        height, width = 4 * multiple, 5 * multiple
        dims[2] = multiple * torch.export.Dim("rows", min=1, max=512)
        dims[3] = multiple * torch.export.Dim("columns", min=1, max=512)
    example = torch.zeros(2, 3, height, width)
    # torch logs operators that are not used here, and warns of its own deprecations.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(action="ignore"):
        program = torch.onnx.export(
            module,
            (example,),
            input_names=["image"],
            output_names=list(spec.outputs),
            dynamic_shapes=(dims,),
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    return _without_traces(program.model_proto)


def _without_traces(proto: Any) -> Any:
    """Removes stack traces from an onnx.ModelProto: they name folders of the user's machine."""
    for function in proto.functions:
        function.ClearField("metadata_props")
    for part in (proto.graph, *proto.functions):
        for item in (*part.node, *part.value_info):
            item.ClearField("metadata_props")
            item.ClearField("doc_string")
    for item in (proto.graph, *proto.graph.input, *proto.graph.output, *proto.graph.initializer):
        item.ClearField("metadata_props")
    return proto


def _check(module: nn.Module, spec: ModelSpec, path: Path) -> None:
    """Runs torch and onnxruntime on the same random inputs."""
    torch_network, onnx_network = TorchNetwork(module, spec), OnnxNetwork(path, threads=1)
    rng = np.random.default_rng(0)
    for batch, rows, columns in ((1, 3, 2), (2, 2, 5)):
        height = width = spec.input.size
        if spec.task == "multi_instance":
            height, width = rows * spec.input.multiple, columns * spec.input.multiple
        images = rng.uniform(0, 255, (batch, 3, height, width)).astype(np.float32)
        expected, got = torch_network(images), onnx_network(images)
        for name, maps in expected.items():
            if not np.isfinite(maps).all():
                raise ModelError(f"the {name} of the network are not finite: the training has diverged")
            error = float(np.abs(got[name] - maps).max() / max(np.abs(maps).max(), 1e-6))
            if not error <= TOLERANCE:
                raise ModelError(
                    f"the {name} of onnxruntime differ from those of torch by {error:.2g} of their largest value"
                )
