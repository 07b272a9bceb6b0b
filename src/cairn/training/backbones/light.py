"""The light backbone: a small residual network for CPUs (docs/decisions/0002-light-network.md)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from cairn.training.backbones.backbone import Backbone
from cairn.training.backbones.layers import Normalize, conv_bn, conv_bn_relu


class LightBackbone(Backbone):
    """A 7×7 convolution of stride 4, then stages of strides 8, 16 and so on, each a convolution and residual blocks.

    On a CPU a plain 3×3 convolution computes several times more multiply-adds per second than a depthwise one. The
    plain block is therefore the default; the depthwise one is for machines whose speed is limited by multiply-adds.

    Args:
        widths: Channels of the stem and of each stage after it.
        depths: Residual blocks of each stage after the stem.
        depthwise: Whether blocks consist of depthwise-separable 5×5 convolutions.

    Raises:
        ValueError: `widths` does not have one entry more than `depths`.
    """

    def __init__(
        self, widths: Sequence[int] = (32, 64, 128, 192), depths: Sequence[int] = (1, 2, 2), depthwise: bool = False
    ) -> None:
        super().__init__()
        if not depths or len(widths) != len(depths) + 1:
            raise ValueError(
                f"widths must have one more than depths, the first for the stem; got {len(widths)} and {len(depths)}"
            )
        block = block_type(depthwise)
        self.normalize = Normalize()
        stages = [conv_bn_relu(3, widths[0], 7, stride=4)]
        for inputs, width, depth in zip(widths[:-1], widths[1:], depths, strict=True):
            stages.append(
                nn.Sequential(conv_bn_relu(inputs, width, 3, stride=2), *[block(width) for _ in range(depth)])
            )
        self.stages = nn.ModuleList(stages)
        self.strides = tuple(4 * 2**stage for stage in range(len(stages)))
        self.channels = tuple(widths)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Returns the feature maps of all stages."""
        return self.stage_maps(self.normalize(image))


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions and a skip connection: (B, C, h, w) -> (B, C, h, w)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(conv_bn_relu(width, width, 3), conv_bn(width, width, 3))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, C, h, w)."""
        return torch.relu(x + self.branch(x))


class SeparableBlock(nn.Module):
    """Two depthwise-separable 5×5 convolutions and a skip connection: (B, C, h, w) -> (B, C, h, w)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            conv_bn_relu(width, width, 5, groups=width),
            conv_bn_relu(width, width, 1),
            conv_bn_relu(width, width, 5, groups=width),
            conv_bn(width, width, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, C, h, w)."""
        return torch.relu(x + self.branch(x))


def block_type(depthwise: bool) -> type[ResidualBlock] | type[SeparableBlock]:
    """Returns the class of the residual block, depthwise-separable or plain."""
    return SeparableBlock if depthwise else ResidualBlock
