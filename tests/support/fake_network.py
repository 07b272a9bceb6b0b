"""Networks without training that detect totems, whose joints have different colors.

A totem is a red dot above a green dot above a blue dot, joined by a gray line. A pooling layer and a 1×1 convolution
give its heatmaps and PAFs, so that everything from the model file to the written result can be tested.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from cairn.inference.base import BasePredictor
from cairn.inference.model_spec import METADATA_KEY, InputSpec, ModelSpec
from cairn.inference.network import Maps, Network
from cairn.structures.poses import Poses
from cairn.structures.skeleton import Skeleton

TOTEM = Skeleton("totem", ("top", "middle", "base"), limbs=((0, 1), (1, 2)))

SPEC = ModelSpec(
    name="totems",
    method="openpose",
    skeleton=TOTEM,
    task="multi_instance",
    input=InputSpec(resize="letterbox", size=320, multiple=32),
    stride=8,
    outputs=("heatmaps", "pafs"),
    decode={"peak_threshold": 0.2},
    license="CC0",
)


@dataclass
class FakeNetwork:
    """Returns the same maps for every image, and keeps its inputs."""

    spec: ModelSpec
    maps: Maps
    inputs: list[NDArray[np.float32]] = field(default_factory=list)
    device: str = "cpu"
    threads: int = 0

    def __call__(self, images: NDArray[np.float32]) -> Maps:
        self.inputs.append(images)
        return self.maps


class FixedPredictor(BasePredictor[Poses]):
    """Returns the same poses for every image."""

    def __init__(self, poses: Poses, spec: ModelSpec | None = None) -> None:
        self.poses = poses
        self._spec = spec or SPEC.model_copy(update={"name": "fixed", "skeleton": poses.skeleton})

    @property
    def spec(self) -> ModelSpec:
        return self._spec

    @property
    def networks(self) -> tuple[Network, ...]:
        return (FakeNetwork(self.spec, {}),)

    def infer(self, pixels: NDArray[np.uint8], boxes: ArrayLike | None = None) -> Poses:
        return self.poses

    def decode_raw(self, raw: Poses) -> Poses:
        return raw


def totems(size: tuple[int, int], middles: list[tuple[int, int]], length: int = 40) -> NDArray[np.uint8]:
    """Returns a black image (H, W, 3) with a totem around each (x, y)."""
    image = np.zeros((*size, 3), np.uint8)
    for x, y in middles:
        cv2.line(image, (x, y - length), (x, y + length), (110, 110, 110), 5)
        for step, color in ((-1, (255, 0, 0)), (0, (0, 255, 0)), (1, (0, 0, 255))):
            cv2.circle(image, (x, y + step * length), 7, color, cv2.FILLED)
    return image


def write_totem_model(path: Path, spec: ModelSpec | None = SPEC) -> Path:
    """Writes an .onnx file that detects totems; without a specification it is not a Cairn model."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    def convolution(name: str, rows: list[list[float]]) -> onnx.TensorProto:
        return numpy_helper.from_array(np.array(rows, np.float32)[..., None, None] / 255, name)

    colors = convolution("colors", [[1.5, -1.5, -1.5], [-1.5, 1.5, -1.5], [-1.5, -1.5, 1.5]])
    down = convolution("down", [[0, 0, 0], [1, 1, 1], [0, 0, 0], [1, 1, 1]])  # x and y of two limbs
    bounds = [numpy_helper.from_array(np.array(value, np.float32), name) for name, value in (("zero", 0), ("one", 1))]
    nodes = [
        helper.make_node("AveragePool", ["images"], ["pooled"], kernel_shape=[16, 16], strides=[8, 8], pads=[4] * 4),
        helper.make_node("Conv", ["pooled", "colors"], ["responses"]),
        helper.make_node("Clip", ["responses", "zero", "one"], ["heatmaps"]),
        helper.make_node("Conv", ["pooled", "down"], ["flow"]),
        helper.make_node("Clip", ["flow", "zero", "one"], ["pafs"]),
    ]
    graph = helper.make_graph(
        nodes,
        "totems",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["B", 3, "h", "w"])],
        [
            helper.make_tensor_value_info("heatmaps", TensorProto.FLOAT, ["B", 3, "i", "j"]),
            helper.make_tensor_value_info("pafs", TensorProto.FLOAT, ["B", 4, "i", "j"]),
        ],
        [colors, down, *bounds],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    if spec is not None:
        helper.set_model_props(model, {METADATA_KEY: spec.to_json()})
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, str(path))
    return path
