"""Networks of features: that of the paper, a smaller one for the CPU, and any backbone.

| module | input | output |
|---|---|---|
| `PyramidFeatures` | (B, C, H, W) | (B, F, H / 4, W / 4), the default |
| `DilatedFeatures` | (B, C, H, W) | (B, F, H, W), of the paper |
| `BackboneFeatures` | (B, C, H, W) | (B, F, H / s, W / s), of any backbone |
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cairn.methods.keypointnet.recipe import NetworkSettings
from cairn.training.backbones.backbone import Backbone, Neck
from cairn.training.backbones.registry import build_backbone

DILATIONS = (1, 1, 2, 4, 8, 16, 1, 2, 4, 8, 16, 1)
"""Dilations of the paper's twelve convolutions."""

SLOPE = 0.1
"""Slope of leaky ReLU."""


class DilatedFeatures(nn.Sequential):
    """Twelve dilated 3×3 convolutions at full resolution, with batch norm and leaky ReLU.

    Args:
        inputs: Channels of the input.
        features: Channels of every layer.
    """

    stride = 1

    def __init__(self, inputs: int, features: int) -> None:
        layers: list[nn.Module] = []
        for i, dilation in enumerate(DILATIONS):
            channels = features if i else inputs
            layers += [nn.Conv2d(channels, features, 3, padding=dilation, dilation=dilation, bias=False)]
            layers += [nn.BatchNorm2d(features), nn.LeakyReLU(SLOPE, inplace=True)]
        super().__init__(*layers)


class PyramidFeatures(nn.Module):
    """A small network at stride 4 that sees the whole image at strides 8 and 16.

    Args:
        inputs: Channels of the input.
        features: Channels of the result; twice and four times as many at strides 8 and 16.
    """

    stride = 4

    def __init__(self, inputs: int, features: int) -> None:
        super().__init__()
        half, twice, four = features // 2, 2 * features, 4 * features
        self.at_4 = nn.Sequential(_layer(inputs, half, 2), _layer(half, features, 2), _Residual(features))
        self.at_8 = nn.Sequential(_layer(features, twice, 2), _Residual(twice))
        self.at_16 = nn.Sequential(_layer(twice, four, 2), _Residual(four), nn.Conv2d(four, twice, 1))
        self.up = nn.Sequential(_layer(twice, twice), nn.Conv2d(twice, features, 1))
        self.last = _layer(features, features)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, F, H / 4, W / 4)."""
        fine = self.at_4(x)
        middle = self.at_8(fine)
        middle = self.up(middle + _larger(self.at_16(middle), middle))
        out: Tensor = self.last(fine + _larger(middle, fine))
        return out


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _layer(channels, channels),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.leaky_relu(x + self.body(x), SLOPE)


def _layer(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.LeakyReLU(SLOPE, inplace=True),
    )


def _larger(maps: Tensor, like: Tensor) -> Tensor:
    return nn.functional.interpolate(maps, size=like.shape[2:], mode="nearest")


class BackboneFeatures(nn.Module):
    """Feature maps of any backbone, joined at one stride. Channels beyond RGB are added before the last layer.

    Args:
        backbone: The backbone.
        inputs: Channels of the input; the first three are RGB from 0 to 255.
        features: Channels of the result.
        stride: Stride of the result in pixels.
    """

    def __init__(self, backbone: Backbone, inputs: int, features: int, stride: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.neck = Neck(backbone, features, stride)
        self.stride = stride
        self.last = nn.Sequential(
            nn.Conv2d(features + inputs - 3, features, 3, padding=1, bias=False),
            nn.BatchNorm2d(features),
            nn.LeakyReLU(SLOPE, inplace=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, F, h, w)."""
        maps: Tensor = self.neck(self.backbone(x[:, :3]))
        more = x[:, 3:, :: self.stride, :: self.stride]
        joined: Tensor = self.last(torch.cat([maps, more], dim=1))
        return joined


class Normalized(nn.Module):
    """RGB from 0 to 255 -> from -1 to 1, for the paper's network, in front of it. Further channels stay."""

    def __init__(self, features: nn.Module) -> None:
        super().__init__()
        self.features = features

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, F, h, w)."""
        out: Tensor = self.features(torch.cat([x[:, :3] / 127.5 - 1, x[:, 3:]], dim=1))
        return out


def features_of(settings: NetworkSettings, inputs: int, channels: int) -> nn.Module:
    """Returns a network of features.

    Args:
        settings: Settings of the network.
        inputs: Channels of the input, the first three of which are RGB from 0 to 255.
        channels: Channels of the features.
    """
    own = {"pyramid": PyramidFeatures, "dilated": DilatedFeatures}
    if settings.backbone in own:
        return Normalized(own[settings.backbone](inputs, channels))
    return BackboneFeatures(build_backbone(settings.backbone), inputs, channels, settings.stride)
