"""Layers that networks of several methods are made of."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

MEAN = (123.675, 116.28, 103.53)  # ImageNet's means and standard deviations: any fixed pair would do
STD = (58.395, 57.12, 57.375)


class Normalize(nn.Module):
    """(B, 3, H, W) from 0 to 255 -> mean 0, deviation 1 a channel."""

    def __init__(self, mean: Sequence[float] = MEAN, std: Sequence[float] = STD) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        return (image - self.mean) / self.std


def top_down(levels: list[Tensor]) -> Tensor:
    """(B, C, h, w), (B, C, h/2, w/2) and so on -> their sum at (h, w), each coarser one repeated."""
    y = levels[-1]
    for level in reversed(levels[:-1]):
        y = level + nn.functional.interpolate(y, scale_factor=2.0, mode="nearest")
    return y
