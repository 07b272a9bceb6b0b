"""Conversion of ONNX files: weights in fp16, or static int8 quantization by onnxruntime's tools.

Inputs and outputs stay in float32, so that callers run all precisions alike. The int8 ranges of each layer are
measured on calibration images in the model's own preprocessing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import prod
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cairn.errors import MissingExtra, ModelError
from cairn.inference.model_spec import METADATA_KEY, ModelSpec

Precision = Literal["fp32", "fp16", "int8"]

FIRST_STAGE, SMALL = "backbone.stages.0.", 1 << 14
"""Part of the names of the weights of a backbone's first stage, and the number of weights up to which it is small."""

PUBLISHED_HEADS, PYRAMID = "network.heads.", (".laterals.", ".merges.")
"""Parts of the names of the weights of MoveNet's published heads, and of the pyramid that they read."""

FEW = 1024
"""Number of weights below which a tensor stays in float, such as statistics that normalize inputs."""

QUANTIZED = ("Add", "Clip", "Concat", "Conv", "ConvTranspose", "MaxPool", "Pad", "Relu", "Resize")
"""Operators in int8. Normalization, and the sigmoid or softmax of the last layer, stay in float."""

WIDENED = "/fp32"
"""Suffix of the name of a weight behind its Cast."""

INT8_OPERATORS = {"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "QLinearConv", "ConvInteger"}


def precision_of(path: Path) -> Precision:
    """Returns the precision of an .onnx file.

    Raises:
        MissingExtra: onnx is not installed.
    """
    proto = _read(path)
    if any(node.op_type in INT8_OPERATORS for node in proto.graph.node):
        return "int8"
    half = _library().TensorProto.FLOAT16
    return "fp16" if any(weights.data_type == half for weights in proto.graph.initializer) else "fp32"


def to_fp16(source: Path, target: Path) -> None:
    """Writes a file with weights in fp16, half the size.

    onnxruntime converts the weights to fp32 when it loads the file, and layers compute in fp32.

    Args:
        source: An .onnx file in fp32.
        target: The file to write.

    Raises:
        ModelError: A weight exceeds the range of fp16.
        MissingExtra: onnx is not installed.
    """
    onnx, proto = _library(), _read(source)
    maximum = float(np.finfo(np.float16).max)
    wide: dict[str, str] = {}
    for weights in proto.graph.initializer:
        if weights.data_type != onnx.TensorProto.FLOAT or len(weights.dims) < 2:  # biases are small
            continue
        values = onnx.numpy_helper.to_array(weights)
        if (largest := float(np.abs(values).max(initial=0))) > maximum:
            raise ModelError(f"fp16 holds numbers up to {maximum:g}, and {weights.name} has {largest:g}: use int8")
        weights.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float16), weights.name))
        wide[weights.name] = weights.name + WIDENED
    for node in proto.graph.node:
        node.input[:] = [wide.get(name, name) for name in node.input]
    casts = [onnx.helper.make_node("Cast", [name], [cast], to=onnx.TensorProto.FLOAT) for name, cast in wide.items()]
    nodes = [*casts, *proto.graph.node]
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)
    onnx.save(proto, str(target))


def to_int8_weights(source: Path, target: Path) -> None:
    """Writes a file with weights in int8, a quarter the size, with one scale for each output of a layer.

    Layers compute in fp32, so that no calibration is needed: for models whose input is not an image.

    Args:
        source: An .onnx file in fp32.
        target: The file to write.

    Raises:
        MissingExtra: onnx is not installed.
    """
    onnx, proto = _library(), _read(source)
    nodes, added = [], []
    for weights in proto.graph.initializer:
        if weights.data_type != onnx.TensorProto.FLOAT or len(weights.dims) < 2 or prod(weights.dims) < FEW:
            continue
        values = onnx.numpy_helper.to_array(weights)
        scale = np.maximum(np.abs(values).reshape(len(values), -1).max(axis=1), 1e-12) / 127
        small = np.round(values / scale.reshape(-1, *[1] * (values.ndim - 1))).astype(np.int8)
        name, wide = weights.name, weights.name + WIDENED
        weights.CopyFrom(onnx.numpy_helper.from_array(small, name))
        added.append(onnx.numpy_helper.from_array(scale.astype(np.float32), f"{name}/scale"))
        nodes.append(onnx.helper.make_node("DequantizeLinear", [name, f"{name}/scale"], [wide], axis=0))
        for node in proto.graph.node:
            node.input[:] = [wide if each == name else each for each in node.input]
    nodes += proto.graph.node
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)
    proto.graph.initializer.extend(added)
    onnx.save(proto, str(target))


def to_fp32(source: Path, target: Path) -> None:
    """Writes a file of `to_fp16` with its weights in fp32.

    Raises:
        MissingExtra: onnx is not installed.
    """
    onnx, proto = _library(), _read(source)
    for weights in proto.graph.initializer:
        if weights.data_type == onnx.TensorProto.FLOAT16:
            values = onnx.numpy_helper.to_array(weights).astype(np.float32)
            weights.CopyFrom(onnx.numpy_helper.from_array(values, weights.name))
    nodes = [node for node in proto.graph.node if not (node.op_type == "Cast" and node.output[0].endswith(WIDENED))]
    for node in nodes:
        node.input[:] = [name.removesuffix(WIDENED) for name in node.input]
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)
    onnx.save(proto, str(target))


def to_int8(source: Path, target: Path, inputs: Iterable[NDArray[np.float32]]) -> None:
    """Writes a file with the operators of `QUANTIZED` in int8, with one scale for each channel of weights.

    Args:
        source: An .onnx file in fp32.
        target: The file to write.
        inputs: Calibration inputs of the network, (B, 3, h, w) each; they give the range of each layer.

    Raises:
        ModelError: There are no calibration inputs.
        MissingExtra: onnx is not installed.
    """
    _library()
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    from cairn.training.engine.quiet import quietly  # imports Lightning

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime's has no types
        def __init__(self) -> None:
            self.rest = iter(inputs)
            self.count = 0

        def get_next(self) -> dict[str, Any] | None:
            images = next(self.rest, None)
            self.count += images is not None
            return None if images is None else {name: images}

    graph, reader = _read(source).graph, Reader()
    name = graph.input[0].name
    with quietly():  # it logs advice to preprocess, which changes nothing: exported graphs are folded already
        try:
            quantize_static(
                source,  # a path, because it would change a graph in memory
                target,
                reader,
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=list(QUANTIZED),
                nodes_to_exclude=kept_in_float(graph),
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                # Weights in 7 bits: with 8, sums overflow 16 bits on processors without VNNI.
                reduce_range=True,
            )
        except ValueError:
            if reader.count:
                raise
            raise ModelError(
                "there are no calibration inputs: the images contain no annotated instance for the model to run on"
            ) from None


def kept_in_float(graph: Any) -> list[str]:
    """Returns the names of the nodes that stay in float.

    These are the convolutions of a backbone's first stage, where it is small: it costs little time, and the images of
    the whole range of colors pass through it (docs/decisions/0059). Where a network has the published heads of MoveNet,
    they and the pyramid before them stay in float, too: its maps differ in size by a factor of 250.
    """
    sizes = {tensor.name: prod(tensor.dims) for tensor in graph.initializer if FIRST_STAGE in tensor.name}
    first = [] if sum(sizes.values()) > SMALL else [node.name for node in graph.node if _takes(node, sizes)]
    heads = [i for i, node in enumerate(graph.node) if _takes(node, (PUBLISHED_HEADS,))]
    if not heads:
        return first
    begin = next(i for i, node in enumerate(graph.node) if _takes(node, PYRAMID))
    return [*first, *(node.name for node in graph.node[begin : heads[-1] + 1])]


def _takes(node: Any, parts: Iterable[str]) -> bool:
    """Whether a node has an input with one of these parts in its name."""
    return any(part in name for name in node.input for part in parts)


def restate(path: Path, spec: ModelSpec) -> None:
    """Replaces the metadata of a file with a specification, and removes shapes that onnxruntime infers itself."""
    onnx = _library()
    proto = _read(path)
    del proto.graph.value_info[:]
    del proto.metadata_props[:]
    onnx.helper.set_model_props(proto, {METADATA_KEY: spec.to_json()})
    onnx.save(proto, str(path))


def noise(spec: ModelSpec, count: int = 4) -> Iterator[NDArray[np.float32]]:
    """Yields random inputs for a network, (1, 3, h, w) each, to measure its speed without images."""
    rng = np.random.default_rng(0)
    side = -(-spec.input.size // spec.input.multiple) * spec.input.multiple
    for _ in range(count):
        yield rng.uniform(0, 255, (1, 3, side, side)).astype(np.float32)


def _read(path: Path) -> Any:
    return _library().load(str(path))


def _library() -> Any:
    try:
        import onnx
    except ImportError:
        raise MissingExtra("onnx", "train") from None
    return onnx
