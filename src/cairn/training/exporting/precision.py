"""A model in fewer bits: weights in fp16, or int8 calibrated on images by onnxruntime's own tools.

Both take float32 in and give float32 out, so that whoever runs them need not know. int8 is static: every layer's range
is measured on images that went through the model's own preprocessing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cairn.errors import MissingExtra, ModelError
from cairn.inference.model_spec import METADATA_KEY, ModelSpec
from cairn.training.engine.quiet import quietly

Precision = Literal["fp32", "fp16", "int8"]

QUANTIZED = ("Add", "Clip", "Concat", "Conv", "ConvTranspose", "MaxPool", "Pad", "Relu", "Resize")
"""What int8 computes. Normalization, and what makes confidences of a last layer (sigmoid, softmax), stay in float."""

WIDENED = "/fp32"
"""What the name of a weight ends with behind its Cast."""

INT8_OPERATORS = {"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "QLinearConv", "ConvInteger"}


def precision_of(path: Path) -> Precision:
    """In which numbers a file's network computes. Raises MissingExtra without onnx."""
    proto = _read(path)
    if any(node.op_type in INT8_OPERATORS for node in proto.graph.node):
        return "int8"
    half = _library().TensorProto.FLOAT16
    return "fp16" if any(weights.data_type == half for weights in proto.graph.initializer) else "fp32"


def to_fp16(source: Path, target: Path) -> None:
    """Weights in 16 bits: half the size. They are widened once, when the file is loaded, and layers compute in 32.

    Raises ModelError where a weight is too large for 16 bits, MissingExtra without onnx.
    """
    onnx, proto = _library(), _read(source)
    most = float(np.finfo(np.float16).max)
    wide: dict[str, str] = {}
    for weights in proto.graph.initializer:
        if weights.data_type != onnx.TensorProto.FLOAT or len(weights.dims) < 2:  # biases take no room
            continue
        values = onnx.numpy_helper.to_array(weights)
        if (largest := float(np.abs(values).max(initial=0))) > most:
            raise ModelError(f"fp16 holds numbers up to {most:g}, and {weights.name} has {largest:g}: take int8")
        weights.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float16), weights.name))
        wide[weights.name] = weights.name + WIDENED
    for node in proto.graph.node:
        node.input[:] = [wide.get(name, name) for name in node.input]
    casts = [onnx.helper.make_node("Cast", [name], [cast], to=onnx.TensorProto.FLOAT) for name, cast in wide.items()]
    nodes = [*casts, *proto.graph.node]
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)
    onnx.save(proto, str(target))


def to_fp32(source: Path, target: Path) -> None:
    """What `to_fp16` wrote, its weights widened for good. Raises MissingExtra without onnx."""
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


def to_int8(source: Path, target: Path, shown: Iterable[NDArray[np.float32]]) -> None:
    """Layers of QUANTIZED in 8 bits, each channel's weights in a scale of their own.

    shown  what the network is shown of images, (B, 3, h, w) each: every layer's range is that of its values there
    Raises ModelError where nothing is shown, MissingExtra without onnx.
    """
    _library()
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime's has no types
        def __init__(self) -> None:
            self.rest = iter(shown)
            self.count = 0

        def get_next(self) -> dict[str, Any] | None:
            images = next(self.rest, None)
            self.count += images is not None
            return None if images is None else {name: images}

    name, reader = _read(source).graph.input[0].name, Reader()
    with quietly():  # it advises preprocessing that changes nothing here: exported graphs are folded already
        try:
            quantize_static(
                source,  # a path: a graph in memory it would change
                target,
                reader,
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=list(QUANTIZED),
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                # Weights in 7 bits: with 8, processors without VNNI add up more than their 16 bits hold.
                reduce_range=True,
            )
        except ValueError:
            if reader.count:
                raise
            raise ModelError("there is nothing to calibrate on: the images show the model nothing") from None


def restate(path: Path, spec: ModelSpec) -> None:
    """Write another specification into a file, and leave nothing that conversion tools wrote beside it."""
    onnx = _library()
    proto = _read(path)
    del proto.metadata_props[:]
    onnx.helper.set_model_props(proto, {METADATA_KEY: spec.to_json()})
    onnx.save(proto, str(path))


def noise(spec: ModelSpec, count: int = 4) -> Iterator[NDArray[np.float32]]:
    """What a network can be shown where there are no images: (1, 3, h, w) each."""
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
