"""Layers that several networks share."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

MEAN = (123.675, 116.28, 103.53)  # mean and standard deviation of ImageNet; any fixed pair would do
STD = (58.395, 57.12, 57.375)


class Normalize(nn.Module):
    """Subtracts a mean and divides by a standard deviation, per channel: (B, 3, H, W) from 0 to 255 -> the same shape.

    Args:
        mean: Mean of the three channels, in the range from 0 to 255.
        std: Standard deviation of the three channels, in the range from 0 to 255.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float] = MEAN, std: Sequence[float] = STD) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, 3, H, W)."""
        return (image - self.mean) / self.std


def conv_bn(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Returns a convolution without bias that keeps the size (divided by the stride), and batch normalization."""
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs))


def conv_bn_relu(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Returns `conv_bn` followed by ReLU."""
    return nn.Sequential(*conv_bn(inputs, outputs, kernel, stride, groups), nn.ReLU(inplace=True))
