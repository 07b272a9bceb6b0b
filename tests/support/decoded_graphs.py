"""Nodes of a decoded graph, run by onnxruntime."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.training.exporting.decoding.graph import Graph, Value


def run_nodes(build: Callable[..., list[Value]], *arrays: NDArray[Any], opset: int = 17) -> list[NDArray[Any]]:
    """Returns the outputs of the nodes that `build` adds for inputs of these values."""
    import onnxruntime
    from onnx import TensorProto, helper

    graph = Graph()
    inputs = [Value(graph, f"input{i}", str(array.dtype)) for i, array in enumerate(arrays)]
    outputs = build(*inputs)
    kinds = [helper.np_dtype_to_tensor_dtype(array.dtype) for array in arrays]
    made = helper.make_graph(
        graph.nodes,
        "nodes",
        [
            helper.make_tensor_value_info(v.name, kind, [None] * a.ndim)
            for v, kind, a in zip(inputs, kinds, arrays, strict=True)
        ],
        [helper.make_tensor_value_info(each.name, TensorProto.FLOAT, None) for each in outputs],
        graph.constants,
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    feeds = {value.name: array for value, array in zip(inputs, arrays, strict=True)}
    results: list[NDArray[Any]] = session.run([each.name for each in outputs], feeds)
    return results


def smooth_noise(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Returns maps (..., h, w) with many peaks, from -0.5 to 1.5."""
    import cv2

    maps = rng.uniform(-0.5, 1.5, shape).astype(np.float32)
    for one in maps.reshape(-1, *shape[-2:]):
        one[:] = cv2.GaussianBlur(one, (3, 3), 0.8)
    return maps
