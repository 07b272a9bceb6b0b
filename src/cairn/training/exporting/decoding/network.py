"""The network inside a larger graph, with its maps averaged over test-time scales."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cairn.errors import ModelError
from cairn.inference.model_spec import ModelSpec
from cairn.training.exporting.decoding.graph import Graph, Value
from cairn.training.exporting.decoding.preprocessing import factors_of


def network_outputs(graph: Graph, proto: Any, spec: ModelSpec, images: Sequence[Value]) -> dict[str, Value]:
    """Adds a network, once for each test-time scale, and returns its outputs, averaged.

    Args:
        graph: The graph to add to.
        proto: The file of the network (onnx.ModelProto); its initializers are not added.
        spec: Its specification.
        images: Its input (B, 3, h, w) at each scale, of which the first is the largest.

    Raises:
        ModelError: The graph has parts that cannot be copied.
    """
    kinds = {attribute.type for node in proto.graph.node for attribute in node.attribute}
    if proto.functions or kinds & {5, 10}:  # AttributeProto.GRAPH, GRAPHS
        raise ModelError(f"the graph of model {spec.name} has functions or branches: decoding cannot be added to it")
    copies = _Copies(graph, proto, spec.outputs)
    scales = [copies.add(image) for image in images]
    return {name: _average([maps[i] for maps in scales], factors_of(spec)) for i, name in enumerate(spec.outputs)}


class _Copies:
    """Copies of a network that share its weights."""

    def __init__(self, graph: Graph, proto: Any, outputs: tuple[str, ...]) -> None:
        self.graph = graph
        self.network = proto.graph
        self.outputs = outputs
        self.weights = {tensor.name for tensor in proto.graph.initializer}
        (self.input,) = (each.name for each in proto.graph.input if each.name not in self.weights)
        self.count = 0

    def add(self, image: Value) -> list[Value]:
        """Adds a copy that runs on an image (B, 3, h, w), and returns its outputs."""
        prefix = f"network/{self.count}/"
        first = self.count == 0
        self.count += 1
        names = {self.input: image.name, "": ""}
        for number, node in enumerate(self.network.node):
            shared = all(name in self.weights for name in node.input)
            if shared and not first:
                continue
            copy = type(node)()
            copy.CopyFrom(node)
            copy.name = f"{prefix}{number}/{node.name}"
            if shared:  # computed from weights alone: the same in all copies
                self.weights |= set(node.output)
            else:
                copy.input[:] = [name if name in self.weights else names[name] for name in node.input]
                names |= {name: prefix + name for name in node.output if name}
                copy.output[:] = [names[name] for name in node.output]
            self.graph.nodes.append(copy)
        return [Value(self.graph, names[name], "float32") for name in self.outputs]


def _average(maps: list[Value], factors: tuple[float, ...]) -> Value:
    """Returns the mean of maps (B, C, h, w) at several scales, on the cells of the first: `average_maps`."""
    total = maps[0]
    for values, factor in zip(maps[1:], factors[1:], strict=True):
        rows, columns = (_sampling(maps[0].size(axis), values.size(axis), factor) for axis in (2, 3))
        sampled = total.graph.node("MatMul", rows, values)
        total = total + total.graph.node("MatMul", sampled, columns.transpose(1, 0))
    return total / float(len(maps)) if len(maps) > 1 else total


def _sampling(count: Value, cells: Value, factor: float) -> Value:
    """Returns (count, cells); row i has the weights of the two cells around (i + 0.5)·factor - 0.5."""
    graph = count.graph
    places = (graph.range(count).cast("float32") + 0.5) * factor - 0.5
    places = places.maximum(0.0).minimum((cells - 1).cast("float32"))
    distance = (places.expand(1) - graph.range(cells).cast("float32")).unary("Abs")
    return (1.0 - distance).unary("Relu")
