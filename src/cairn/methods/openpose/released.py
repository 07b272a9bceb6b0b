"""The networks that OpenPose's authors released for Caffe, layer by layer, under their own names.

| function | networks | paper |
|---|---|---|
| `two_branches` | COCO and MPI: PAFs (L1) and heatmaps (L2) in every stage | CVPR 2017 |
| `body_25` | BODY_25: stages of PAFs (L2), then stages of heatmaps (L1) | TPAMI 2019 |
| `one_branch` | hand and face: heatmaps of one instance in a crop | Simon et al., CVPR 2017 |

Files of weights are matched by the names of layers, so networks are lists of layers here. The networks for training are
nn.Modules of their own, in `model`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn

STRIDE = 8

IMAGE = "image"
"""Name of the first layer's input."""

# Channels and kernel size of convolutions in a chain.
VGG = {
    **dict.fromkeys(("conv1_1", "conv1_2"), (64, 3)),
    **dict.fromkeys(("conv2_1", "conv2_2"), (128, 3)),
    **dict.fromkeys(("conv3_1", "conv3_2", "conv3_3", "conv3_4"), (256, 3)),
    **dict.fromkeys(("conv4_1", "conv4_2"), (512, 3)),
}
POOLED = "conv1_2", "conv2_2", "conv3_4"
BODY = VGG | {"conv4_3_CPM": (256, 3), "conv4_4_CPM": (128, 3)}
CROP = VGG | dict.fromkeys(("conv4_3", "conv4_4", "conv5_1", "conv5_2"), (512, 3)) | {"conv5_3_CPM": (128, 3)}
FIRST = (128, 3), (128, 3), (128, 3), (512, 1)
REFINING = (128, 7), (128, 7), (128, 7), (128, 7), (128, 7), (128, 1)

After = Literal["relu", "prelu", ""]


@dataclass(frozen=True)
class Convolution:
    """A convolution and its activation.

    Attributes:
        name: Name of the layer.
        inputs: Layers whose outputs are concatenated, in this order, to its input.
        channels: Output channels.
        kernel: Kernel size.
        after: Activation. "prelu" is a layer of its own, `conv4_2` -> `prelu4_2`; "" follows convolutions that predict.
    """

    name: str
    inputs: tuple[str, ...]
    channels: int
    kernel: int
    after: After = "relu"

    @property
    def prelu(self) -> str:
        """Name of the layer's PReLU."""
        return self.name.replace("conv", "prelu")


@dataclass(frozen=True)
class Architecture:
    """A network as a list of layers.

    Attributes:
        layers: Each after its inputs.
        outputs: Names of the layers that are the network's outputs.
    """

    layers: tuple[Convolution, ...]
    outputs: tuple[str, ...]


class Released(nn.Module):
    """A released network: (B, 3, H, W) RGB from 0 to 255 -> its outputs (B, C, H/8, W/8), in their order."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.layer = nn.ModuleDict()
        channels = {IMAGE: 3}
        for layer in architecture.layers:
            inputs = sum(channels[name] for name in layer.inputs)
            self.layer[layer.name] = nn.Conv2d(inputs, layer.channels, layer.kernel, padding=layer.kernel // 2)
            if layer.after == "prelu":
                self.layer[layer.prelu] = nn.PReLU(layer.channels)
            channels[layer.name] = layer.channels

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """(B, 3, H, W) -> the outputs."""
        maps = {IMAGE: image[:, [2, 1, 0]] / 256 - 0.5}  # BGR
        for layer in self.architecture.layers:
            x = self.layer[layer.name](torch.cat([maps[name] for name in layer.inputs], dim=1))
            if layer.after == "relu":
                x = torch.relu(x)
            elif layer.after == "prelu":
                x = self.layer[layer.prelu](x)
            maps[layer.name] = nn.functional.max_pool2d(x, 2) if layer.name in POOLED else x
        return tuple(maps[name] for name in self.architecture.outputs)


def two_branches(maps: int, fields: int, stages: int = 6) -> Architecture:
    """Returns COCO's or MPI's: stage 1 takes F, each other one [L1, L2, F] of the previous. Outputs: maps, fields."""
    layers = _chain([IMAGE], BODY)
    inputs = ["conv4_4_CPM"]
    for stage in range(1, stages + 1):
        predicted = []
        for branch, channels in (("L1", fields), ("L2", maps)):
            if stage == 1:
                layers += _predicting(inputs, _numbered(f"conv5_%d_CPM_{branch}", (*FIRST, (channels, 1))))
            else:
                layers += _predicting(inputs, _numbered(f"Mconv%d_stage{stage}_{branch}", (*REFINING, (channels, 1))))
            predicted.append(layers[-1].name)
        inputs = [*predicted, "conv4_4_CPM"]
    return Architecture(tuple(layers), (predicted[1], predicted[0]))


def one_branch(maps: int, stages: int = 6) -> Architecture:
    """Returns hand's or face's: stage 1 takes F, each other one [maps of the previous stage, F]. Outputs: maps."""
    layers = _chain([IMAGE], CROP)
    layers += _predicting(["conv5_3_CPM"], {"conv6_1_CPM": (512, 1), "conv6_2_CPM": (maps, 1)})
    for stage in range(2, stages + 1):
        inputs = [layers[-1].name, "conv5_3_CPM"]
        layers += _predicting(inputs, _numbered(f"Mconv%d_stage{stage}", (*REFINING, (maps, 1))))
    return Architecture(tuple(layers), (layers[-1].name,))


def body_25(maps: int, fields: int) -> Architecture:
    """Returns BODY_25's: stages take F, the previous maps and the previous fields, if any. Outputs: maps, fields."""
    # The backbone's last three layers have PReLU.
    layers = [replace(layer, after="prelu") if i > 8 else layer for i, layer in enumerate(_chain([IMAGE], BODY))]
    last: dict[str, list[str]] = {"L1": [], "L2": []}
    for branch, channels, stages in (("L2", fields, 4), ("L1", maps, 2)):
        for stage in range(stages):
            inputs = ["conv4_4_CPM", *last["L1"], *last["L2"]]
            width, hidden = (128, 512) if stage else (96, 256)
            for k in range(1, 6):  # five blocks: three convolutions in a chain, concatenated
                block = dict.fromkeys([f"Mconv{k}_stage{stage}_{branch}_{i}" for i in range(3)], (width, 3))
                layers += _chain(inputs, block, "prelu")
                inputs = list(block)
            head = {f"Mconv6_stage{stage}_{branch}": (hidden, 1), f"Mconv7_stage{stage}_{branch}": (channels, 1)}
            layers += _predicting(inputs, head, "prelu")
            last[branch] = [layers[-1].name]
    return Architecture(tuple(layers), (*last["L1"], *last["L2"]))


def _chain(inputs: Sequence[str], form: dict[str, tuple[int, int]], after: After = "relu") -> list[Convolution]:
    """Convolutions in a chain, the first of which takes `inputs`; form: name -> channels and kernel size."""
    layers = []
    for name, (channels, kernel) in form.items():
        layers.append(Convolution(name, tuple(inputs), channels, kernel, after))
        inputs = [name]
    return layers


def _predicting(inputs: Sequence[str], form: dict[str, tuple[int, int]], after: After = "relu") -> list[Convolution]:
    """A chain whose last convolution has no activation."""
    layers = _chain(inputs, form, after)
    return [*layers[:-1], replace(layers[-1], after="")]


def _numbered(pattern: str, forms: Iterable[tuple[int, int]]) -> dict[str, tuple[int, int]]:
    return {pattern % i: form for i, form in enumerate(forms, start=1)}
