"""Nodes of an ONNX graph, written like numpy: `y = maps > 0.5` adds a node and returns its output.

The operators here mean the same from opset 13 on, so that the nodes go into files of any later opset.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

MIN_OPSET = 13
"""Minimum opset of a graph that nodes are added to."""

Number: TypeAlias = "float | int | bool"


class Graph:
    """A list of nodes and constants to add to an ONNX graph.

    Attributes:
        nodes: The nodes (onnx.NodeProto).
        constants: The constants (onnx.TensorProto).
    """

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._known: dict[tuple[Any, ...], Value] = {}

    def node(self, operator: str, *inputs: Value, dtype: str | None = None, **attributes: Any) -> Value:
        """Adds a node with one output.

        Args:
            operator: Name of the operator.
            inputs: Its inputs, one at least.
            dtype: Type of the output: "float32", "int64", "bool" or "uint8". Default: that of the first input.
            attributes: Attributes of the operator.
        """
        return self.outputs(operator, *inputs, dtypes=(dtype or inputs[0].dtype,), **attributes)[0]

    def outputs(self, operator: str, *inputs: Value, dtypes: Sequence[str], **attributes: Any) -> list[Value]:
        """Adds a node with an output of each type."""
        from onnx import helper

        name = f"decode/{len(self.nodes)}/{operator}"
        values = [Value(self, f"{name}/{i}", dtype) for i, dtype in enumerate(dtypes)]
        names = [each.name for each in values]
        self.nodes.append(helper.make_node(operator, [each.name for each in inputs], names, name, **attributes))
        return values

    def constant(self, value: Any, dtype: str) -> Value:
        """Returns a constant."""
        from onnx import numpy_helper

        array: NDArray[Any] = np.asarray(value, dtype=dtype)
        key = (dtype, array.shape, array.tobytes())
        if key not in self._known:
            name = f"decode/constant/{len(self.constants)}"
            self.constants.append(numpy_helper.from_array(array, name))
            self._known[key] = Value(self, name, dtype)
        return self._known[key]

    def ints(self, values: Iterable[int]) -> Value:
        """Returns a constant vector of integers."""
        return self.constant(list(values), "int64")

    def vector(self, *values: Value | int) -> Value:
        """Returns a vector of integers, some of which may be scalars of the graph."""
        zero = self.ints([0])
        parts = [self.ints([v]) if isinstance(v, int) else self.node("Unsqueeze", v, zero) for v in values]
        return concatenate(parts, 0)

    def zeros(self, shape: Value) -> Value:
        """Returns zeros (float32) of a shape."""
        from onnx import numpy_helper

        zero = numpy_helper.from_array(np.zeros(1, np.float32))
        return self.node("ConstantOfShape", shape, dtype="float32", value=zero)

    def range(self, count: Value) -> Value:
        """Returns the integers from 0 to a scalar, exclusive."""
        return self.node("Range", self.constant(0, "int64"), count, self.constant(1, "int64"))


class Value:
    """A tensor of a graph.

    Attributes:
        graph: The graph.
        name: Its name there.
        dtype: "float32", "int64", "bool" or "uint8".
    """

    def __init__(self, graph: Graph, name: str, dtype: str) -> None:
        self.graph = graph
        self.name = name
        self.dtype = dtype

    def _with(self, operator: str, other: Value | Number, dtype: str | None = None, swap: bool = False) -> Value:
        value = other if isinstance(other, Value) else self.graph.constant(other, self.dtype)
        pair = (value, self) if swap else (self, value)
        return self.graph.node(operator, *pair, dtype=dtype)

    def __add__(self, other: Value | Number) -> Value:
        return self._with("Add", other)

    def __sub__(self, other: Value | Number) -> Value:
        return self._with("Sub", other)

    def __rsub__(self, other: Number) -> Value:
        return self._with("Sub", other, swap=True)

    def __mul__(self, other: Value | Number) -> Value:
        return self._with("Mul", other)

    def __truediv__(self, other: Value | Number) -> Value:
        return self._with("Div", other)

    def __gt__(self, other: Value | Number) -> Value:
        return self._with("Greater", other, "bool")

    def __ge__(self, other: Value | Number) -> Value:
        return self._with("GreaterOrEqual", other, "bool")

    def __lt__(self, other: Value | Number) -> Value:
        return self._with("Less", other, "bool")

    def __and__(self, other: Value) -> Value:
        return self._with("And", other)

    def __invert__(self) -> Value:
        return self.graph.node("Not", self)

    def equals(self, other: Value | Number) -> Value:
        """Returns where both are equal."""
        return self._with("Equal", other, "bool")

    def maximum(self, other: Value | Number) -> Value:
        """Returns the larger of two, element by element."""
        return self._with("Max", other)

    def minimum(self, other: Value | Number) -> Value:
        """Returns the smaller of two, element by element."""
        return self._with("Min", other)

    def clip(self, low: Value | Number, high: Value | Number) -> Value:
        """Returns the values within limits."""
        return self.maximum(low).minimum(high)

    def unary(self, operator: str, dtype: str | None = None) -> Value:
        """Returns the output of an operator without other inputs, such as "Sqrt"."""
        return self.graph.node(operator, self, dtype=dtype)

    def cast(self, dtype: str) -> Value:
        """Returns the values in another type."""
        from onnx import helper

        code = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        return self.graph.node("Cast", self, dtype=dtype, to=code)

    def where(self, yes: Value | Number, no: Value | Number) -> Value:
        """Returns `yes` where this is true, `no` elsewhere; one of both at least is a tensor."""
        dtype = yes.dtype if isinstance(yes, Value) else no.dtype if isinstance(no, Value) else "float32"
        both = [each if isinstance(each, Value) else self.graph.constant(each, dtype) for each in (yes, no)]
        return self.graph.node("Where", self, *both, dtype=dtype)

    def sum(self, *axes: int) -> Value:
        """Returns the sum along axes, without them."""
        return self.graph.node("ReduceSum", self, self.graph.ints(axes), keepdims=0)

    def size(self, axis: int) -> Value:
        """Returns the length of an axis, a scalar."""
        shape = self.graph.node("Shape", self, dtype="int64")
        return self.graph.node("Gather", shape, self.graph.constant(axis, "int64"))

    def reshape(self, *lengths: Value | int) -> Value:
        """Returns the values in another shape; -1 is what remains."""
        return self.graph.node("Reshape", self, self.graph.vector(*lengths))

    def expand(self, *axes: int) -> Value:
        """Returns the values with new axes of length 1."""
        return self.graph.node("Unsqueeze", self, self.graph.ints(axes))

    def transpose(self, *order: int) -> Value:
        """Returns the values with another order of the axes."""
        return self.graph.node("Transpose", self, perm=list(order))

    def slice(self, axis: int, start: int | Value, end: int | Value) -> Value:
        """Returns a part along an axis; an end of 0 is the end of the axis."""
        last = np.iinfo(np.int64).max if isinstance(end, int) and end == 0 else end
        vectors = [self.graph.vector(each) for each in (start, last)]
        return self.graph.node("Slice", self, *vectors, self.graph.ints([axis]))

    def at(self, axis: int, index: int) -> Value:
        """Returns one row along an axis, without that axis."""
        return self.graph.node("Gather", self, self.graph.constant(index, "int64"), axis=axis)

    def take(self, indices: Value, axis: int = 0) -> Value:
        """Returns the rows of an axis with these indices."""
        return self.graph.node("Gather", self, indices, axis=axis)

    def take_at(self, indices: Value, batch_axes: int = 0) -> Value:
        """Returns the elements at places (..., axes): `GatherND`."""
        return self.graph.node("GatherND", self, indices, batch_dims=batch_axes)

    def nonzero(self, rank: int) -> tuple[Value, Value]:
        """Returns the places of true values (N, rank), and the same as (rank, N)."""
        columns = self.graph.node("NonZero", self, dtype="int64")
        return columns.transpose(1, 0), columns


def concatenate(values: Sequence[Value], axis: int) -> Value:
    """Returns values joined along an axis."""
    return values[0].graph.node("Concat", *values, axis=axis)


def stack(values: Sequence[Value], axis: int) -> Value:
    """Returns values joined along a new axis."""
    return concatenate([each.expand(axis) for each in values], axis)


def scatter(shape: Value, places: Value, values: Value) -> Value:
    """Returns zeros of a shape (float32) with values at places (N, axes)."""
    graph = shape.graph
    return graph.node("ScatterND", graph.zeros(shape), places, values)
