"""MoveNet's backbone: MobileNetV2, and a feature pyramid down to stride 4.

Google: MoveNet, 2021 (model cards of SinglePose Lightning and Thunder, MultiPose Lightning). Sandler et al.:
MobileNetV2, CVPR 2018, table 2. Lin et al.: Feature Pyramid Networks, CVPR 2017. The published networks have their
batch normalizations folded into the convolutions, and so has this one: every convolution has a bias instead. It is
meant to be fine-tuned (`cairn.training.checkpoints.movenet` reads the weights), not to be trained from scratch.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional

from cairn.training.backbones.backbone import Backbone
from cairn.training.backbones.depthwise import DepthwiseConv2d, SameConv2d
from cairn.training.backbones.layers import Normalize, rounded_width
from cairn.training.backbones.relu6 import ReLU6

STEM, LAST = 32, 1280
"""Channels of the first convolution, before multiplication by the width, and of the last, of any width."""

BLOCKS = (
    ((16, 1, 1),),
    ((24, 2, 6), (24, 1, 6)),
    ((32, 2, 6), *[(32, 1, 6)] * 2),
    ((64, 2, 6), *[(64, 1, 6)] * 3),
    (*[(96, 1, 6)] * 3, (160, 2, 6), *[(160, 1, 6)] * 2, (320, 1, 6)),
)
"""Table 2, from one map that the pyramid takes to the next: outputs, stride and expansion of each block."""

STRIDES = 4, 8, 16, 32
PYRAMID = 24, 24, 32, 64
"""Channels of the maps of these strides."""

LATERALS = 24, 32, 64, 64
"""Channels of the maps of MobileNetV2 before they are added to the pyramid."""

SIZES = 0.3, 10.0, 10.0, 80.0
"""Root mean square of the maps on photos, of all three published networks; the maps are divided by it."""


class MoveNet(Backbone):
    """Feature maps of strides 4, 8, 16 and 32 with 24, 24, 32 and 64 channels.

    Args:
        width: Factor on the channels of MobileNetV2: 1 for SinglePose Lightning, 1.75 for Thunder, 1.5 for MultiPose.
    """

    def __init__(self, width: float = 1.5) -> None:
        super().__init__()
        self.normalize = Normalize((127.5,) * 3, (127.5,) * 3)  # to [-1, 1], as published
        stem = rounded_width(STEM * width)
        first: list[nn.Module] = [nn.Sequential(SameConv2d(3, stem, 3, 2), ReLU6())]
        stages, widths = [], [stem]
        for blocks in BLOCKS:
            channels = [widths[-1], *(rounded_width(width * outputs) for outputs, _, _ in blocks)]
            shapes = zip(pairwise(channels), blocks, strict=True)
            stages.append([*first, *(Block(a, b, stride, expansion) for (a, b), (_, stride, expansion) in shapes)])
            first = []
            widths.append(channels[-1])
        stages[-1].append(nn.Sequential(nn.Conv2d(widths[-1], LAST, 1), ReLU6()))
        self.stages = nn.ModuleList([*(nn.Sequential(*stage) for stage in stages), Pyramid((*widths[2:5], LAST))])
        self.inner_channels = tuple(widths[2:5])  # of the maps of stride 4, 8 and 16 that the pyramid takes
        self.strides = STRIDES
        self.channels = PYRAMID

    def forward(self, image: Tensor) -> list[Tensor]:
        """Returns the feature maps of the pyramid, all of about the same size."""
        return self.all_maps(image)[1]

    def all_maps(self, image: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Returns the maps of MobileNetV2 that the pyramid takes, and those of the pyramid, finest first."""
        x = self.normalize(image)
        maps = []
        for stage in self.stages[:-1]:
            x = stage(x)
            maps.append(x)
        return maps[1:], [x / size for x, size in zip(self.stages[-1](maps[1:]), SIZES, strict=True)]


class Block(nn.Module):
    """An inverted residual without normalization: 1×1, depthwise 3×3 and linear 1×1 convolutions.

    A skip connection is added where the shape stays the same.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        width = inputs * expansion
        expand = [nn.Sequential(nn.Conv2d(inputs, width, 1), ReLU6())] if expansion > 1 else []
        self.layers = nn.Sequential(
            *expand,
            nn.Sequential(DepthwiseConv2d(width, 3, stride, bias=True), ReLU6()),
            nn.Conv2d(width, outputs, 1),
        )
        self.skip = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, h, w) -> (B, outputs, h/stride, w/stride)."""
        y: Tensor = self.layers(x)
        return x + y if self.skip else y


class Pyramid(nn.Module):
    """From the coarsest map to the finest: upsampled twice, added to the next lateral map, and convolved.

    Args:
        channels: Channels of the maps of MobileNetV2, finest first.
    """

    def __init__(self, channels: tuple[int, ...]) -> None:
        super().__init__()
        self.laterals = nn.ModuleList(nn.Conv2d(a, b, 1) for a, b in zip(channels, LATERALS, strict=True))
        self.merges = nn.ModuleList(
            nn.Sequential(DepthwiseConv2d(inputs, 3), nn.Conv2d(inputs, outputs, 1), nn.ReLU(inplace=True))
            for inputs, outputs in zip(LATERALS[:-1], PYRAMID[:-1], strict=True)
        )

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Maps of MobileNetV2, finest first -> maps of the pyramid, finest first."""
        laterals = [lateral(x) for lateral, x in zip(self.laterals, maps, strict=True)]
        result = [laterals[-1]]
        for merge, lateral in zip(reversed(self.merges), reversed(laterals[:-1]), strict=True):
            upsampled = functional.interpolate(result[0], scale_factor=2.0, mode="bilinear", align_corners=False)
            result.insert(0, merge(upsampled + lateral))
        return result
