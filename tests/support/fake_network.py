"""Networks that need no training: they find totems, which are painted in the colors of their joints.

A totem is a red dot over a green dot over a blue dot, joined by a gray line. A pool and a 1×1 convolution
see its joints and limbs, so that everything from the file to the written result can be tested for real.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from cairn.inference.model_spec import METADATA_KEY, InputSpec, ModelSpec
from cairn.inference.network import Maps
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
    """Gives the same maps for every image, and keeps what it was shown."""

    spec: ModelSpec
    maps: Maps
    shown: list[NDArray[np.float32]] = field(default_factory=list)

    def __call__(self, images: NDArray[np.float32]) -> Maps:
        self.shown.append(images)
        return self.maps


def totems(size: tuple[int, int], middles: list[tuple[int, int]], length: int = 40) -> NDArray[np.uint8]:
    """A black image (H, W, 3) with a totem around each (x, y)."""
    image = np.zeros((*size, 3), np.uint8)
    for x, y in middles:
        cv2.line(image, (x, y - length), (x, y + length), (110, 110, 110), 5)
        for step, color in ((-1, (255, 0, 0)), (0, (0, 255, 0)), (1, (0, 0, 255))):
            cv2.circle(image, (x, y + step * length), 7, color, cv2.FILLED)
    return image


def write_totem_model(path: Path, spec: ModelSpec | None = SPEC) -> Path:
    """An .onnx file that finds totems; without a specification it is somebody else's."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    def convolution(name: str, rows: list[list[float]]) -> onnx.TensorProto:
        return numpy_helper.from_array(np.array(rows, np.float32)[..., None, None] / 255, name)

    colors = convolution("colors", [[1.5, -1.5, -1.5], [-1.5, 1.5, -1.5], [-1.5, -1.5, 1.5]])
    down = convolution("down", [[0, 0, 0], [1, 1, 1], [0, 0, 0], [1, 1, 1]])  # x and y of two limbs
    bounds = [numpy_helper.from_array(np.array(value, np.float32), name) for name, value in (("zero", 0), ("one", 1))]
    nodes = [
        helper.make_node("AveragePool", ["images"], ["seen"], kernel_shape=[16, 16], strides=[8, 8], pads=[4] * 4),
        helper.make_node("Conv", ["seen", "colors"], ["answers"]),
        helper.make_node("Clip", ["answers", "zero", "one"], ["heatmaps"]),
        helper.make_node("Conv", ["seen", "down"], ["flow"]),
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
