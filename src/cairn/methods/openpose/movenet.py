"""OpenPose on MoveNet: its backbone and its published heatmaps, frozen, with PAFs that are learned on its features.

Google: MoveNet MultiPose, 2021. Its heads read the map of stride 4: a separable convolution of 3×3 to 96 channels, and
a 1×1 convolution. Its heatmaps say where the joints of all people are; the fields say which belong together. They
are predicted at stride 8, from the maps of all strides, the heatmaps, and MoveNet's regression of a person's joints.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from cairn.methods.openpose.model import Stages
from cairn.training.backbones.layers import conv_bn, conv_bn_relu
from cairn.training.backbones.movenet import PYRAMID, SIZES, MoveNet

JOINTS: Final = 17
"""COCO's joints, in COCO's order, to which the published heads belong."""

HIDDEN = 96
"""Channels between the two convolutions of a published head."""

HEATMAPS, VECTORS = 4.0, 0.1
"""Factors that bring heatmaps and regressed vectors (in cells) to about the size of the other inputs of the fields."""

FINE, MIDDLE, COARSE = 64, 48, 32
"""Channels that the maps of stride 4, 16 and 32 are reduced to."""


class MoveNetOpenPose(nn.Module):
    """(B, 3, H, W) -> heatmaps and PAFs of stride 4. Only the PAFs are trained.

    Args:
        backbone: The backbone of MoveNet MultiPose.
        fields: Channels of the PAFs: 2L.
        features: Channels of the layers that predict them.
    """

    def __init__(self, backbone: MoveNet, fields: int, features: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.heads = nn.ModuleDict({"heatmaps": published_head(JOINTS), "vectors": published_head(2 * JOINTS)})
        self.paf_stages = nn.ModuleList([FieldStage(backbone.inner_channels[1:], fields, features)])
        self.class_head = self.visibility_head = None
        backbone.requires_grad_(False)
        self.heads.requires_grad_(False)

    def forward(self, image: Tensor) -> Stages:
        """Returns the published heatmaps, as logits, and the PAFs."""
        inner, pyramid = self.backbone.all_maps(image)
        finest = pyramid[0] * SIZES[0]
        logits = self.heads["heatmaps"](finest)
        vectors = functional.avg_pool2d(self.heads["vectors"](finest), 2) * VECTORS
        pafs = self.paf_stages[0](inner[1:3], pyramid, logits.sigmoid() * HEATMAPS, vectors)
        return Stages((logits,), (enlarged(pafs, 2),))


class FieldStage(nn.Module):
    """Maps of MoveNet -> PAFs (B, 2L, H/8, W/8).

    Args:
        inner: Channels of the inner maps of stride 8 and 16.
        fields: Channels of the PAFs.
        features: Channels of its residual blocks.
    """

    def __init__(self, inner: Sequence[int], fields: int, features: int) -> None:
        super().__init__()
        given = (*PYRAMID, *inner, 2 * JOINTS)
        self.norms = nn.ModuleList(nn.BatchNorm2d(channels) for channels in given)
        self.fine = conv_bn_relu(PYRAMID[0] + JOINTS, FINE, 3, 2)
        self.middle = conv_bn_relu(PYRAMID[2] + inner[1], MIDDLE, 1)
        self.coarse = conv_bn_relu(PYRAMID[3], COARSE, 1)
        joined = FINE + PYRAMID[1] + inner[0] + MIDDLE + COARSE + 2 * JOINTS
        self.join = conv_bn_relu(joined, features, 1)
        self.blocks = nn.Sequential(*(DilatedBlock(features, dilation) for dilation in (1, 2, 4)))
        self.head = nn.Conv2d(features, fields, 1)

    def forward(self, inner: Sequence[Tensor], pyramid: list[Tensor], heatmaps: Tensor, vectors: Tensor) -> Tensor:
        """Inner maps of stride 8 and 16, those of the pyramid, heatmaps of stride 4, vectors of stride 8 -> PAFs."""
        maps = (*pyramid, *inner, vectors)
        p4, p8, p16, p32, m8, m16, vectors = (norm(x) for norm, x in zip(self.norms, maps, strict=True))
        fine = self.fine(torch.cat([p4, heatmaps], dim=1))
        middle = enlarged(self.middle(torch.cat([p16, m16], dim=1)), 2)
        coarse = enlarged(self.coarse(p32), 4)
        joined = self.join(torch.cat([fine, p8, m8, middle, coarse, vectors], dim=1))
        pafs: Tensor = self.head(self.blocks(joined))
        return pafs


class DilatedBlock(nn.Module):
    """Two 3×3 convolutions, the first one dilated, and a skip connection: (B, C, h, w) -> (B, C, h, w).

    Args:
        width: Channels C.
        dilation: Distance of the cells that the first convolution reads.
    """

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(conv_bn_relu(width, width, 3, dilation=dilation), conv_bn(width, width, 3))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, C, h, w)."""
        return torch.relu(x + self.branch(x))


def published_head(outputs: int) -> nn.Sequential:
    """Returns a head of MoveNet: (B, 24, h, w) -> (B, outputs, h, w)."""
    return nn.Sequential(
        nn.Conv2d(PYRAMID[0], PYRAMID[0], 3, padding=1, groups=PYRAMID[0], bias=False),
        nn.Conv2d(PYRAMID[0], HIDDEN, 1),
        nn.ReLU(inplace=True),
        nn.Conv2d(HIDDEN, outputs, 1),
    )


def enlarged(x: Tensor, factor: int) -> Tensor:
    """(B, C, h, w) -> (B, C, factor·h, factor·w), bilinear."""
    return functional.interpolate(x, scale_factor=float(factor), mode="bilinear", align_corners=False)
