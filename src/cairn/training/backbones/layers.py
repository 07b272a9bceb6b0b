"""Layers that several networks share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

MEAN = (123.675, 116.28, 103.53)  # mean and standard deviation of ImageNet; any fixed pair would do
STD = (58.395, 57.12, 57.375)

NORMALIZATIONS = {
    "imagenet": (MEAN, STD),
    "caffe": ((123.68, 116.779, 103.939), (1.0, 1.0, 1.0)),
    "centered": ((128.0, 128.0, 128.0), (256.0, 256.0, 256.0)),
}
"""Name -> RGB mean and standard deviation: torchvision's, those of Caffe's VGG models, OpenPose's x / 256 - 0.5."""


class Normalize(nn.Module):
    """Subtracts a mean and divides by a standard deviation, per channel: (B, 3, H, W) from 0 to 255 -> the same shape.

    Args:
        mean: Mean of the three channels, in the range from 0 to 255.
        std: Standard deviation of the three channels, in the range from 0 to 255.
        saved: Whether both are among the weights, so that a network is recognized with them.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float] = MEAN, std: Sequence[float] = STD, saved: bool = False) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=saved)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=saved)

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, 3, H, W)."""
        return (image - self.mean) / self.std


def normalize(name: str, default: str) -> Normalize:
    """Returns a normalization of the table; one that is not a backbone's default is saved with its weights."""
    return Normalize(*NORMALIZATIONS[name], saved=name != default)


class ConvNorm(nn.Sequential):
    """A convolution, its batch normalization, and an activation or nothing.

    A normalization that does not change in training can be part of the convolution: the maps are then read and written
    once.

    Attributes:
        fixed: Whether it is.
    """

    fixed = False

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, outputs, h, w)."""
        layers: list[Any] = list(self)
        if self.fixed:
            x = _as_one(x, *layers[:2])
            layers = layers[2:]
        for layer in layers:
            x = layer(x)
        return x


def _as_one(x: Tensor, convolution: Any, norm: Any) -> Tensor:
    """A convolution and its normalization by known statistics, as one operation."""
    scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
    bias = norm.bias - norm.running_mean * scale
    y: Tensor = convolution._conv_forward(x, convolution.weight * scale[:, None, None, None], bias)
    return y


def conv_bn(
    inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1, dilation: int = 1
) -> nn.Sequential:
    """Returns a convolution without bias that keeps the size (divided by the stride), and batch normalization."""
    padding = dilation * (kernel // 2)
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, groups=groups, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs))


def conv_bn_relu(
    inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1, dilation: int = 1
) -> nn.Sequential:
    """Returns `conv_bn` followed by ReLU."""
    return nn.Sequential(*conv_bn(inputs, outputs, kernel, stride, groups, dilation), nn.ReLU(inplace=True))


def rounded_width(width: float) -> int:
    """Rounds channels to the nearest multiple of 8 that is at most 10% smaller, as Google's networks do."""
    nearest = max(8, int(width + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * width else nearest
