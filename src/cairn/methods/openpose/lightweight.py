"""The network of Lightweight OpenPose: nn.Modules only.

Osokin: Real-time 2D Multi-Person Pose Estimation on CPU: Lightweight OpenPose, arXiv 1811.12004, whose sections are
cited here. The modules have the structure of the published weights, whose names `lightweight_checkpoints` maps.

| section | here |
|---|---|
| 3.2, dilated MobileNet v1 | `cairn.training.backbones.mobilenet` |
| 3.3, layers shared by heatmaps and PAFs, separate in the last two | `Heads` |
| 3.3, figure 3, three 3×3 convolutions with dilation in place of a 7×7 | `RefinementBlock` |
| the published code, features of 128 channels by depthwise convolutions with ELU | `FeatureBlock` |
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from cairn.methods.openpose.model import STRIDE, Stages, head_maps
from cairn.training.backbones.backbone import Backbone, Neck
from cairn.training.backbones.mobilenet import MobileNetV1

BACKBONE_CHANNELS = 512
"""Channels that the features are computed from: those of MobileNet v1."""

INITIAL_HIDDEN = 512
"""Channels between the two 1×1 convolutions of the initial stage's heads; in refinement stages as many as F."""

BLOCKS = 5
"""Refinement blocks of a stage."""


class LightweightOpenPose(nn.Module):
    """An initial stage and refinement stages; each predicts heatmaps and PAFs from shared features.

    Args:
        backbone: The backbone.
        neck: Joins the backbone's feature maps to one of `BACKBONE_CHANNELS`.
        maps: Channels of the heatmaps: K, or K + 1 with background.
        fields: Channels of the PAFs: 2L.
        refinements: Number of refinement stages; the paper has 1 to 3.
        features: Channels C of F.

    Attributes:
        class_head: Predicts class maps from F and the last PAFs; None for one class.
        visibility_head: Predicts the visibility of keypoints likewise; None for a network that does not.
    """

    def __init__(
        self, backbone: Backbone, neck: Neck, maps: int, fields: int, refinements: int = 1, features: int = 128
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.neck = neck
        self.features = FeatureBlock(BACKBONE_CHANNELS, features)
        self.initial_stage = Heads(initial_layers(features), features, INITIAL_HIDDEN, maps, fields)
        inputs = features + maps + fields
        self.refinement_stages = nn.ModuleList(
            Heads(refinement_layers(inputs, features), features, features, maps, fields) for _ in range(refinements)
        )
        self.class_head: nn.Module | None = None
        self.visibility_head: nn.Module | None = None

    @property
    def heads(self) -> Sequence[Heads]:
        """All stages, first to last."""
        return [self.initial_stage, *self.refinement_stages]

    def forward(self, image: Tensor) -> Stages:
        """(B, 3, H, W) -> the predictions of all stages."""
        features = self.features(self.neck(self.backbone(image)))  # (B, C, h, w)
        outputs = [self.initial_stage(features)]
        for stage in self.refinement_stages:
            outputs.append(stage(torch.cat([features, *outputs[-1]], dim=1)))
        heatmaps, pafs = zip(*outputs, strict=True)
        heads = (head_maps(head, features, pafs[-1]) for head in (self.class_head, self.visibility_head))
        return Stages(heatmaps, pafs, *heads)


class FeatureBlock(nn.Module):
    """Features F of the backbone's map: a 1×1 convolution, three depthwise-separable ones beside it, and a 3×3."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.align = nn.Sequential(nn.Conv2d(inputs, outputs, 1), nn.ReLU(inplace=True))
        self.body = nn.Sequential(*(separable_elu(outputs) for _ in range(3)))
        self.conv = nn.Sequential(nn.Conv2d(outputs, outputs, 3, padding=1), nn.ReLU(inplace=True))

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, h, w) -> (B, outputs, h, w)."""
        x = self.align(x)
        features: Tensor = self.conv(x + self.body(x))
        return features


class Heads(nn.Module):
    """A stage: shared layers, and two 1×1 convolutions each for heatmaps and PAFs."""

    def __init__(self, body: nn.Sequential, width: int, hidden: int, maps: int, fields: int) -> None:
        super().__init__()
        self.body = body
        self.heatmaps = head(width, hidden, maps)
        self.pafs = head(width, hidden, fields)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, inputs, h, w) -> heatmaps (B, K, h, w), PAFs (B, 2L, h, w)."""
        shared = self.body(x)
        return self.heatmaps(shared), self.pafs(shared)


class RefinementBlock(nn.Module):
    """As wide a view as a 7×7 convolution has: 1×1, then 3×3 and 3×3 dilated by 2 beside a skip connection."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.initial = nn.Sequential(nn.Conv2d(inputs, outputs, 1), nn.ReLU(inplace=True))
        self.body = nn.Sequential(conv_norm(outputs), conv_norm(outputs, dilation=2))

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, h, w) -> (B, outputs, h, w)."""
        x = self.initial(x)
        refined: Tensor = x + self.body(x)
        return refined


def initial_layers(width: int) -> nn.Sequential:
    """Returns the shared layers of the initial stage: three 3×3 convolutions."""
    convolutions = (nn.Conv2d(width, width, 3, padding=1) for _ in range(3))
    return nn.Sequential(*(nn.Sequential(conv, nn.ReLU(inplace=True)) for conv in convolutions))


def refinement_layers(inputs: int, width: int) -> nn.Sequential:
    """Returns the shared layers of a refinement stage."""
    return nn.Sequential(*(RefinementBlock(width if i else inputs, width) for i in range(BLOCKS)))


def head(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    """Returns two 1×1 convolutions; the second, which predicts, has no activation."""
    first = nn.Sequential(nn.Conv2d(inputs, hidden, 1), nn.ReLU(inplace=True))
    return nn.Sequential(first, nn.Sequential(nn.Conv2d(hidden, outputs, 1)))


def separable_elu(width: int) -> nn.Sequential:
    """Returns a depthwise 3×3 and a pointwise convolution without bias, each with ELU."""
    depthwise = nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False)
    pointwise = nn.Conv2d(width, width, 1, bias=False)
    return nn.Sequential(depthwise, nn.ELU(inplace=True), pointwise, nn.ELU(inplace=True))


def conv_norm(width: int, dilation: int = 1) -> nn.Sequential:
    """Returns a 3×3 convolution with bias, batch normalization and ReLU."""
    convolution = nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation)
    return nn.Sequential(convolution, nn.BatchNorm2d(width), nn.ReLU(inplace=True))


def lightweight_openpose(
    maps: int, fields: int, stages: int = 2, backbone: Backbone | None = None, features: int = 128
) -> LightweightOpenPose:
    """Returns the network of the paper.

    Args:
        maps: Channels of the heatmaps: K, or K + 1 with background.
        fields: Channels of the PAFs: 2L.
        stages: Number of stages, the initial one included.
        backbone: MobileNet v1 by default.
        features: Channels C of F.
    """
    backbone = backbone or MobileNetV1()
    neck = Neck(backbone, BACKBONE_CHANNELS, STRIDE)
    return LightweightOpenPose(backbone, neck, maps, fields, stages - 1, features)
