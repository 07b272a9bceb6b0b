"""Caffe without Caffe: descriptions of the released networks, random weights, their files, and what they compute.

The descriptions are prototxts, written from the tables that were published of each network; `run` gives them to
OpenCV where it still reads Caffe's files (up to 4), and else follows them layer by layer.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

Blobs = dict[str, list[NDArray]]
"""Layer -> weights and bias of a convolution, slopes of a PReLU."""


# ---- protobuf's wire format, written


def varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def message(number: int, content: bytes | str) -> bytes:
    data = content.encode() if isinstance(content, str) else content
    return varint(number << 3 | 2) + varint(len(data)) + data


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def blob(values: NDArray, legacy: bool = False) -> bytes:
    """float64 goes into double_data; legacy: four sides in place of a shape."""
    double = values.dtype == np.float64
    data = message(8 if double else 5, values.astype("<f8" if double else "<f4").tobytes())
    if not legacy:
        return message(7, message(1, b"".join(map(varint, values.shape)))) + data
    sides = (1,) * (4 - values.ndim) + values.shape
    return b"".join(number(i, side) for i, side in enumerate(sides, start=1)) + data


def caffemodel(weights: Blobs, legacy: bool = False) -> bytes:
    """A NetParameter with a data layer, these layers, and settings without meaning; legacy: as before 2015."""
    out = [message(1, "made by a test")]
    for name, blobs in [("image", []), *weights.items()]:
        if legacy:
            layer = message(2, "below") + message(4, name) + number(5, 4)
            layer += (
                b"".join(message(6, blob(one, legacy)) for one in blobs) + varint(7 << 3 | 5) + struct.pack("<f", 1)
            )
            out.append(message(2, layer))
        else:
            layer = message(1, name) + message(2, "Convolution") + message(6, varint(3 << 3 | 5) + struct.pack("<f", 1))
            layer += b"".join(message(7, blob(one)) for one in blobs) + number(10, 1) + message(106, number(1, 64))
            out.append(message(100, layer))
    return b"".join(out)


# ---- the released networks, as prototxts


class Prototxt:
    """Grows layer by layer; `shapes` has the shapes of the blobs of its layers."""

    def __init__(self) -> None:
        self.text = 'input: "image"\ninput_dim: 1\ninput_dim: 3\ninput_dim: 64\ninput_dim: 64\n'
        self.shapes: dict[str, list[tuple[int, ...]]] = {}
        self.channels = {"image": 3}

    def layer(self, name: str, kind: str, bottoms: Sequence[str], top: str, channels: int, settings: str = "") -> str:
        bottom = "".join(f' bottom: "{one}"' for one in bottoms)
        self.text += f'layer {{ name: "{name}" type: "{kind}"{bottom} top: "{top}" {settings}}}\n'
        self.channels[top] = channels
        return top

    def conv(self, name: str, bottom: str, channels: int, kernel: int, after: str = "relu") -> str:
        self.shapes[name] = [(channels, self.channels[bottom], kernel, kernel), (channels,)]
        settings = f"convolution_param {{ num_output: {channels} pad: {kernel // 2} kernel_size: {kernel} }} "
        self.layer(name, "Convolution", [bottom], name, channels, settings)
        if after == "relu":
            self.layer(f"relu_{name}", "ReLU", [name], name, channels)
        elif after == "prelu":
            prelu = name.replace("conv", "prelu")
            self.shapes[prelu] = [(channels,)]
            self.layer(prelu, "PReLU", [name], name, channels)
        return name

    def pool(self, name: str, bottom: str) -> str:
        settings = "pooling_param { pool: MAX kernel_size: 2 stride: 2 } "
        return self.layer(name, "Pooling", [bottom], name, self.channels[bottom], settings)

    def concat(self, name: str, *bottoms: str) -> str:
        channels = sum(self.channels[one] for one in bottoms)
        return self.layer(name, "Concat", bottoms, name, channels, "concat_param { axis: 1 } ")

    def vgg(self, block4: int, block5: int) -> str:
        """VGG-19 with so many convolutions in its last two blocks, and no pooling between them."""
        x = "image"
        for block, (count, width) in enumerate(((2, 64), (2, 128), (4, 256), (block4, 512), (block5, 512)), start=1):
            for i in range(1, count + 1):
                x = self.conv(f"conv{block}_{i}", x, width, 3)
            if block <= 3:
                x = self.pool(f"pool{block}_stage1", x)
        return x


def two_branches(fields: int, maps: int, stages: int = 6) -> Prototxt:
    """COCO (38, 19) and MPI (28, 16)."""
    net = Prototxt()
    x = net.vgg(2, 0)
    f = net.conv("conv4_4_CPM", net.conv("conv4_3_CPM", x, 256, 3), 128, 3)
    ends = {}
    for branch, channels in (("L1", fields), ("L2", maps)):
        x = f
        for i in (1, 2, 3):
            x = net.conv(f"conv5_{i}_CPM_{branch}", x, 128, 3)
        x = net.conv(f"conv5_4_CPM_{branch}", x, 512, 1)
        ends[branch] = net.conv(f"conv5_5_CPM_{branch}", x, channels, 1, "")
    for stage in range(2, stages + 1):
        seen = net.concat(f"concat_stage{stage}", ends["L1"], ends["L2"], f)
        for branch, channels in (("L1", fields), ("L2", maps)):
            ends[branch] = refine(net, seen, f"_stage{stage}_{branch}", channels)
    net.concat("net_output", ends["L2"], ends["L1"])
    return net


def one_branch(maps: int, stages: int = 6) -> Prototxt:
    """Hand (22) and face (71)."""
    net = Prototxt()
    f = net.conv("conv5_3_CPM", net.vgg(4, 2), 128, 3)
    end = net.conv("conv6_2_CPM", net.conv("conv6_1_CPM", f, 512, 1), maps, 1, "")
    for stage in range(2, stages + 1):
        end = refine(net, net.concat(f"concat_stage{stage}", end, f), f"_stage{stage}", maps)
    net.concat("net_output", end)
    return net


def refine(net: Prototxt, x: str, suffix: str, channels: int) -> str:
    for i in range(1, 6):
        x = net.conv(f"Mconv{i}{suffix}", x, 128, 7)
    return net.conv(f"Mconv7{suffix}", net.conv(f"Mconv6{suffix}", x, 128, 1), channels, 1, "")


def body_25(fields: int = 52, maps: int = 26) -> Prototxt:
    net = Prototxt()
    x = net.conv("conv4_1", net.vgg(0, 0), 512, 3)
    for name, width in (("conv4_2", 512), ("conv4_3_CPM", 256), ("conv4_4_CPM", 128)):
        x = net.conv(name, x, width, 3, "prelu")
    f = x

    def stage(name: str, seen: str, width: int, hidden: int, channels: int) -> str:
        x = seen
        for k in range(1, 6):
            block = []
            for i in (0, 1, 2):
                x = net.conv(f"Mconv{k}_{name}_{i}", x, width, 3, "prelu")
                block.append(x)
            x = net.concat(f"Mconv{k}_{name}_concat", *block)
        return net.conv(f"Mconv7_{name}", net.conv(f"Mconv6_{name}", x, hidden, 1, "prelu"), channels, 1, "")

    end = stage("stage0_L2", f, 96, 256, fields)
    for s in (1, 2, 3):
        end = stage(f"stage{s}_L2", net.concat(f"concat_stage{s}_L2", f, end), 128, 512, fields)
    first = stage("stage0_L1", net.concat("concat_stage0_L1", f, end), 96, 256, maps)
    second = stage("stage1_L1", net.concat("concat_stage1_L1", f, first, end), 128, 512, maps)
    net.concat("net_output", second, end)
    return net


# ---- weights, and what comes out


def random_weights(net: Prototxt, seed: int = 0) -> Blobs:
    """Such that maps keep their size from layer to layer. One pool of numbers goes round: drawing 52 M takes long."""
    rng = np.random.default_rng(seed)
    pool = rng.standard_normal(1_000_003, dtype=np.float32)
    weights: Blobs = {}
    for name, shapes in net.shapes.items():
        if len(shapes) == 1:
            weights[name] = [rng.uniform(0, 0.5, shapes[0]).astype(np.float32)]
            continue
        scale = np.float32(np.sqrt(2 / np.prod(shapes[0][1:])))
        kernel = np.resize(np.roll(pool, rng.integers(len(pool))), shapes[0]) * scale
        weights[name] = [kernel, 0.1 * rng.standard_normal(shapes[1], dtype=np.float32)]
    return weights


def run(net: Prototxt, weights: Blobs, images: NDArray) -> NDArray:
    """net_output of (B, 3, H, W) RGB from 0 to 255, made what the release feeds its networks: BGR, x / 256 - 0.5."""
    x = (images[:, ::-1] / 256 - 0.5).astype(np.float32)
    return _opencv(net, weights, x) if hasattr(cv2.dnn, "readNetFromCaffe") else _interpret(net, weights, x)


def _opencv(net: Prototxt, weights: Blobs, x: NDArray) -> NDArray:
    files = [np.frombuffer(content, np.uint8) for content in (net.text.encode(), caffemodel(weights))]
    engine = cv2.dnn.readNetFromCaffe(*files)
    engine.setInput(x)
    return engine.forward("net_output")


@torch.inference_mode()
def _interpret(net: Prototxt, weights: Blobs, x: NDArray) -> NDArray:
    tops = {"image": torch.from_numpy(x)}
    for line in re.findall(r"^layer \{ (.*)\}$", net.text, re.MULTILINE):
        texts = {key: re.findall(rf'\b{key}: "(\w+)"', line) for key in ("name", "type", "bottom", "top")}
        numbers = {key: int(value) for key, value in re.findall(r"(\w+): (\d+)", line)}
        (name,), (kind,), (top,) = texts["name"], texts["type"], texts["top"]
        inputs = [tops[bottom] for bottom in texts["bottom"]]
        blobs = [torch.from_numpy(values) for values in weights.get(name, [])]
        if kind == "Convolution":
            tops[top] = F.conv2d(inputs[0], *blobs, padding=numbers["pad"])
        elif kind == "ReLU":
            tops[top] = inputs[0].clamp(min=0)
        elif kind == "PReLU":
            tops[top] = inputs[0].clamp(min=0) + blobs[0][:, None, None] * inputs[0].clamp(max=0)
        elif kind == "Pooling":
            tops[top] = F.max_pool2d(inputs[0], numbers["kernel_size"], numbers["stride"])
        elif kind == "Concat":
            tops[top] = torch.cat(inputs, dim=numbers["axis"])
        else:
            raise ValueError(f"no layer type {kind}")
    return tops["net_output"].numpy()
