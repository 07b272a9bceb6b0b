"""An .onnx file that takes the bytes of an image and gives keypoints, for programs without Cairn."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.errors import ModelError
from cairn.files import atomic_write
from cairn.inference.model_spec import ModelSpec
from cairn.inference.network import OnnxNetwork
from cairn.inference.session import DECODED_KEY, open_session
from cairn.structures.geometry import field_affine
from cairn.structures.poses import Poses
from cairn.training.exporting.decoding.decoder import GraphDecoder, Output
from cairn.training.exporting.decoding.graph import MIN_OPSET, Graph, Value
from cairn.training.exporting.decoding.network import network_outputs
from cairn.training.exporting.decoding.preprocessing import fits_of
from cairn.visualization.colors import joint_colors

FORMAT = 1
"""Version of the description of a decoded file."""

PROVIDER = "CPUExecutionProvider"
"""The provider of onnxruntime on which each file is checked before it is written."""

TOLERANCE = 0.01, 1e-3
"""Maximum difference between the graph and the Python decoder: pixels of keypoints, and confidences."""

Description = dict[str, Any]
"""What a decoded file says about itself, as JSON has it."""

PythonDecoder = Callable[[Mapping[str, NDArray[Any]]], Poses]
"""Maps of one image -> poses in cells."""


def write_decoded(
    network: OnnxNetwork, target: Path, decoder: GraphDecoder, reference: PythonDecoder, size_input: bool = False
) -> Description:
    """Writes a model with preprocessing and decoding in its graph.

    Args:
        network: The model file, in any precision.
        target: The file to write.
        decoder: The decoding of its method as nodes.
        reference: The Python decoder of the model, with which the nodes are compared on made maps.
        size_input: Whether the longest side of the network input is an input of the graph, of models whose input size
            may change; else it is the model's own.

    Returns:
        What the metadata of the file say: its input and outputs, the settings of what remains to do, opset and
        provider, and the specification of the model.

    Raises:
        ModelError: The nodes cannot be added to the model, or compute something else than the Python decoder.
        OutputError: The file cannot be written.
    """
    import onnx

    spec, proto = network.spec, onnx.load(str(network.path))
    opset = int(max(each.version for each in proto.opset_import if each.domain in ("", "ai.onnx")))
    if opset < MIN_OPSET:
        raise ModelError(
            f"model {spec.name} is of ONNX opset {opset}, and decoding needs {MIN_OPSET} at least: export it again"
        )
    has_size = size_input and spec.task == "multi_instance"
    with atomic_write(target) as beside:
        _check_decoder(decoder, reference, spec, proto, beside)
        graph = Graph()
        image = Value(graph, "image", "uint8").transpose(0, 3, 1, 2)
        size = Value(graph, "size", "int64") if has_size else graph.constant(spec.input.size, "int64")
        fits = fits_of(image, spec, size)
        maps = network_outputs(graph, proto, spec, [fit.warp(image) for fit in fits])
        outputs = decoder.add(maps, spec, lambda points: fits[0].to_image(_in_pixels(points, spec)))
        description = _describe(spec, outputs, decoder, opset, has_size)
        file = _file(graph, proto, _inputs(has_size), outputs, proto.graph.initializer)
        del file.metadata_props[:]
        onnx.helper.set_model_props(file, {DECODED_KEY: json.dumps(description)})
        onnx.save(file, str(beside))
        _check_file(beside, description)
    return description


def _inputs(has_size: bool) -> list[tuple[str, int, list[Any]]]:
    """Returns name, type and shape of each input."""
    from onnx import TensorProto

    image = ("image", TensorProto.UINT8, ["batch", "height", "width", 3])
    return [image, ("size", TensorProto.INT64, [])] if has_size else [image]


def _in_pixels(points: Value, spec: ModelSpec) -> Value:
    """Returns cells as pixels of the network input: `field_to_image`."""
    return (points + 0.5) * float(spec.stride) - 0.5


def _describe(
    spec: ModelSpec, outputs: Mapping[str, Output], decoder: GraphDecoder, opset: int, has_size: bool
) -> Description:
    inputs: Description = {
        "image": {
            "type": "uint8",
            "shape": ["batch", "height", "width", 3],
            "meaning": "RGB images of any size, all of one; the graph resizes them",
        }
    }
    if has_size:
        inputs["size"] = {
            "type": "int64",
            "shape": [],
            "own": spec.input.size,
            "meaning": "longest side, in pixels, to which the graph resizes the images",
        }
    skeleton = spec.skeleton
    return {
        "format": FORMAT,
        "name": spec.name,
        "task": spec.task,
        "license": spec.license,
        "sources": list(spec.sources),
        "inputs": inputs,
        "outputs": {
            name: {"type": "float32", "shape": list(output.shape), "meaning": output.meaning}
            for name, output in outputs.items()
        },
        "skeleton": {
            "name": skeleton.name,
            "keypoints": list(skeleton.joints),
            "limbs": [list(pair) for pair in skeleton.limbs],
            "redundant": list(skeleton.redundant),
            "hidden": list(skeleton.hidden),
            "colors": [f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in joint_colors(skeleton)],
        },
        "classes": list(spec.classes),
        "assembly": decoder.assembly(spec),
        "draw_threshold": spec.draw_threshold,
        "opset": opset,
        "providers": [PROVIDER],
    }


def _file(
    graph: Graph,
    proto: Any,
    inputs: list[tuple[str, int, list[Any]]],
    outputs: Mapping[str, Output],
    weights: Any,
) -> Any:
    """Returns a model of the nodes of a graph, of the opset of another file."""
    from onnx import TensorProto, helper

    nodes = list(graph.nodes)
    nodes += [helper.make_node("Identity", [output.value.name], [name]) for name, output in outputs.items()]
    made = helper.make_graph(
        nodes,
        "decoded",
        [helper.make_tensor_value_info(name, kind, shape) for name, kind, shape in inputs],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, output.shape) for name, output in outputs.items()],
        [*weights, *graph.constants],
    )
    return helper.make_model(made, opset_imports=proto.opset_import, ir_version=proto.ir_version, producer_name="cairn")


def _check_decoder(decoder: GraphDecoder, reference: PythonDecoder, spec: ModelSpec, proto: Any, beside: Path) -> None:
    """Compares the nodes with the Python decoder, on made maps."""
    import onnx

    maps, graph = decoder.example(spec), Graph()
    names = {name: f"network/{name}" for name in maps}  # an output may have the name of a map
    values = {name: Value(graph, names[name], "float32") for name in maps}
    inputs = [(names[name], onnx.TensorProto.FLOAT, [1, *array.shape]) for name, array in maps.items()]
    outputs = decoder.add(values, spec, lambda points: _in_pixels(points, spec))
    onnx.save(_file(graph, proto, inputs, outputs, []), str(beside))
    session, _ = open_session(beside, 1, "cpu")
    arrays = session.run(list(outputs), {names[name]: array[None] for name, array in maps.items()})
    got = decoder.poses({name: array[0] for name, array in zip(outputs, arrays, strict=True)}, spec)
    expected = reference(maps).transformed(field_affine(spec.stride))
    if difference := _difference(got, expected):
        raise ModelError(f"the decoding of model {spec.name} in the graph differs from that in Python: {difference}")


def _difference(got: Poses, expected: Poses) -> str:
    """Returns in what poses differ; empty where they are equal within `TOLERANCE`."""
    if len(got) != len(expected):
        return f"{len(got)} instances, expected {len(expected)}"
    pixels, share = TOLERANCE
    pairs = {
        "keypoints": (got.keypoints, expected.keypoints, pixels),
        "confidence": (got.confidence, expected.confidence, share),
        "scores": (got.scores, expected.scores, share),
        "classes": (got.classes, expected.classes, 0),
        "visibility": (got.visibility, expected.visibility, share),
    }
    for name, (one, other, tolerance) in pairs.items():
        if one is None or other is None:
            if one is not other:
                return name
        elif not np.allclose(one, other, rtol=0, atol=tolerance, equal_nan=True):
            return name
    return ""


def _check_file(path: Path, description: Description) -> None:
    """Runs a file on two small images of noise."""
    session, _ = open_session(path, 1, "cpu")
    inputs: dict[str, NDArray[Any]] = {"image": np.random.default_rng(0).integers(0, 256, (2, 90, 120, 3), np.uint8)}
    if "size" in description["inputs"]:
        inputs["size"] = np.array(64, np.int64)
    try:
        arrays = session.run(list(description["outputs"]), inputs)
    except Exception as error:  # onnxruntime raises a dozen unrelated types
        raise ModelError(f"onnxruntime cannot run the decoded graph ({str(error).splitlines()[0]})") from None
    for name, array in zip(description["outputs"], arrays, strict=True):
        if not np.isfinite(array).all():
            raise ModelError(f"the {name} of the decoded graph are not finite")
