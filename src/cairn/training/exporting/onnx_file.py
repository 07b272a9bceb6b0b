"""Export of a torch module to an .onnx file with its specification, verified against torch."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cairn.errors import ModelError
from cairn.files import atomic_write
from cairn.inference.model_spec import ModelSpec
from cairn.inference.session import open_session
from cairn.inference.spec import METADATA_KEY, Spec

TOLERANCE = 1e-3
"""Maximum difference between onnxruntime and torch, divided by the largest value of the output."""

MAX_BATCH = 1024
"""Maximum number of items of a batch."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Graph:
    """A module with what its export needs.

    Attributes:
        module: Takes the inputs in their order; returns a tuple in the order of `outputs`.
        inputs: Example inputs by name, of at least two items.
        dims: For each input the axes that may have other lengths.
        outputs: Names of the outputs.
        checks: Inputs on which onnxruntime and torch must agree.
    """

    module: nn.Module
    inputs: Mapping[str, Tensor]
    dims: tuple[dict[int, Any], ...]
    outputs: tuple[str, ...]
    checks: tuple[tuple[NDArray[np.float32], ...], ...]


def export(module: nn.Module, spec: ModelSpec, path: Path) -> None:
    """Writes a module of images and its specification to an .onnx file.

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
    export_graph(_graph_of_images(module, spec), spec, path)


def export_graph(graph: Graph, spec: Spec, path: Path) -> None:
    """Writes a module and its specification to an .onnx file.

    Args:
        graph: The module.
        spec: The specification.
        path: The file to write.

    Raises:
        ModelError: The outputs of onnxruntime and torch differ by more than `TOLERANCE`, or are not finite. Nothing is
            written.
        OutputError: The file cannot be written.
    """
    import onnx

    graph.module.eval().cpu()
    with atomic_write(path) as beside:
        proto = _trace(graph)
        onnx.helper.set_model_props(proto, {METADATA_KEY: spec.to_json()})
        onnx.save(proto, str(beside))
        _check(graph, beside)
    log.info("exported %s (%.1f MB), equal to torch within %g", path.name, path.stat().st_size / 1e6, TOLERANCE)


def _graph_of_images(module: nn.Module, spec: ModelSpec) -> Graph:
    """Returns a module of images as a graph; in models for several instances the size of the images may change."""
    side, multiple = spec.input.size, spec.input.multiple
    dims: dict[int, Any] = {0: torch.export.Dim("batch", min=1, max=MAX_BATCH)}
    example, checks = (side, side), [(1, side, side), (2, side, side)]
    if spec.task == "multi_instance":
        example, checks = (
            (4 * multiple, 5 * multiple),
            [(1, 3 * multiple, 2 * multiple), (2, 2 * multiple, 5 * multiple)],
        )
        dims[2] = multiple * torch.export.Dim("rows", min=1, max=512)
        dims[3] = multiple * torch.export.Dim("columns", min=1, max=512)
    rng = np.random.default_rng(0)
    images = tuple(
        (rng.uniform(0, 255, (batch, 3, height, width)).astype(np.float32),) for batch, height, width in checks
    )
    return Graph(module, {"image": torch.zeros(2, 3, *example)}, (dims,), spec.outputs, images)


def _trace(graph: Graph) -> Any:
    """The module as an onnx.ModelProto."""
    # torch logs operators that are not used here, and warns of its own deprecations.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(action="ignore"):
        program = torch.onnx.export(
            graph.module,
            tuple(graph.inputs.values()),
            input_names=list(graph.inputs),
            output_names=list(graph.outputs),
            dynamic_shapes=graph.dims,
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


def _check(graph: Graph, path: Path) -> None:
    """Runs torch and onnxruntime on the same inputs."""
    session, _ = open_session(path, 1, "cpu")
    for inputs in graph.checks:
        with torch.inference_mode():
            expected = graph.module(*map(torch.from_numpy, inputs))
        got = session.run(list(graph.outputs), dict(zip(graph.inputs, inputs, strict=True)))
        for name, tensor, output in zip(graph.outputs, expected, got, strict=True):
            values = tensor.float().numpy()
            if not np.isfinite(values).all():
                raise ModelError(f"the {name} of the network are not finite: the training has diverged")
            error = float(np.abs(output - values).max() / max(np.abs(values).max(), 1e-6))
            if not error <= TOLERANCE:
                raise ModelError(
                    f"the {name} of onnxruntime differ from those of torch by {error:.2g} of their largest value"
                )
