"""The network of Newell, Yang, Deng, ECCV 2016, section 3: layers only.

Letters: B batch, S stacks, C features, K joints, H W the crop, h = H/4 and w = W/4 the field. Images are
RGB from 0 to 255; the first layer divides.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

STRIDE = 4
"""Pixels of the crop for one cell of the heatmaps: the 7×7 convolution halves, and so does the pooling."""


class Hourglass(nn.Module):
    """Stacked hourglasses: (B, 3, H, W) -> S heatmaps (B, K, H/4, W/4), one for each stack.

    joints     K
    stacks     S hourglasses one after another, each with weights of its own
    features   channels throughout
    depth      how often an hourglass halves its field: H and W must be multiples of 4·2^depth
    residuals  residual modules at each place of an hourglass
    channels   of the image
    stem       channels after the 7×7 convolution and the first two residuals; None: features/4,
               features/2, features/2, which is the paper's (64, 128, 128) at 256. bearpaw and anibali
               have (64, 128, 256)
    mean       subtracted from each channel of the image in [0, 1]; the paper subtracts nothing
    backbone      what stands in the place of the paper's first layers, and does what it wants with the image itself:
               (B, channels, H, W) from 0 to 255 -> (B, features, H/4, W/4)
    """

    def __init__(
        self,
        joints: int,
        stacks: int = 8,
        features: int = 256,
        depth: int = 4,
        residuals: int = 1,
        channels: int = 3,
        stem: tuple[int, int, int] | None = None,
        mean: Sequence[float] | float = 0.0,
        backbone: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).reshape(-1, 1, 1), persistent=False)
        self.stem = backbone or Stem(channels, stem or (features // 4, features // 2, features // 2), features)
        self.stacks = nn.ModuleList(Stack(features, joints, depth, residuals) for _ in range(stacks))
        self.merges = nn.ModuleList(Merge(features, joints) for _ in range(stacks - 1))  # none after the last

    def forward(self, images: Tensor) -> list[Tensor]:
        x = self.stem(images / 255 - self.mean if isinstance(self.stem, Stem) else images)  # (B, C, h, w)
        heatmaps: list[Tensor] = []
        for i, stack in enumerate(self.stacks):
            features, maps = stack(x)
            heatmaps.append(maps)  # (B, K, h, w)
            if i < len(self.merges):
                x = self.merges[i](x, features, maps)  # (B, C, h, w)
        return heatmaps


class Stem(nn.Module):
    """(B, 3, H, W) -> (B, C, H/4, W/4)."""

    def __init__(self, channels: int, widths: tuple[int, int, int], features: int) -> None:
        super().__init__()
        a, b, c = widths
        self.conv = nn.Conv2d(channels, a, 7, stride=2, padding=3)
        self.norm = nn.BatchNorm2d(a)
        self.residuals = nn.ModuleList([Residual(a, b), Residual(b, c), Residual(c, features)])

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm(self.conv(x)), inplace=True)  # (B, 64, H/2, W/2)
        x = F.max_pool2d(self.residuals[0](x), 2)  # (B, 128, H/4, W/4)
        return self.residuals[2](self.residuals[1](x))  # (B, C, H/4, W/4)


class Residual(nn.Module):
    """Figure 4 left, with pre-activation: three times BN, ReLU, convolution, beside a skip."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        half = outputs // 2
        self.norms = nn.ModuleList([nn.BatchNorm2d(inputs), nn.BatchNorm2d(half), nn.BatchNorm2d(half)])
        self.convs = nn.ModuleList(
            [nn.Conv2d(inputs, half, 1), nn.Conv2d(half, half, 3, padding=1), nn.Conv2d(half, outputs, 1)]
        )
        self.skip = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = x  # (B, inputs, h, w)
        for norm, conv in zip(self.norms, self.convs, strict=True):
            y = conv(F.relu(norm(y), inplace=True))  # half, half, outputs
        return y + self.skip(x)  # (B, outputs, h, w)


class Level(nn.Module):
    """Figure 3 from one resolution downwards: (B, C, h, w) -> the same. `inner` is the next level or low2."""

    def __init__(self, features: int, depth: int, residuals: int) -> None:
        super().__init__()
        self.up = several(features, residuals)
        self.low1 = several(features, residuals)
        self.inner = Level(features, depth - 1, residuals) if depth > 1 else several(features, residuals)
        self.low3 = several(features, residuals)

    def forward(self, x: Tensor) -> Tensor:
        low = self.low1(F.max_pool2d(x, 2))  # (B, C, h/2, w/2)
        low = self.low3(self.inner(low))  # (B, C, h/2, w/2)
        return self.up(x) + F.interpolate(low, scale_factor=2.0, mode="nearest")  # (B, C, h, w)


class Stack(nn.Module):
    """One hourglass and what follows it (Figure 4 right): (B, C, h, w) -> the same, and heatmaps (B, K, h, w)."""

    def __init__(self, features: int, joints: int, depth: int, residuals: int) -> None:
        super().__init__()
        self.hourglass = Level(features, depth, residuals)
        self.residuals = several(features, residuals)
        self.conv = nn.Conv2d(features, features, 1)
        self.norm = nn.BatchNorm2d(features)
        self.heatmaps = nn.Conv2d(features, joints, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.residuals(self.hourglass(x))
        x = F.relu(self.norm(self.conv(x)), inplace=True)
        return x, self.heatmaps(x)


class Merge(nn.Module):
    """What the next stack is given (Figure 4 right): x + 1×1(features) + 1×1(heatmaps)."""

    def __init__(self, features: int, joints: int) -> None:
        super().__init__()
        self.features = nn.Conv2d(features, features, 1)
        self.heatmaps = nn.Conv2d(joints, features, 1)

    def forward(self, x: Tensor, features: Tensor, heatmaps: Tensor) -> Tensor:
        return x + self.features(features) + self.heatmaps(heatmaps)


def several(features: int, residuals: int) -> nn.Sequential:
    """The residual modules at one place of an hourglass."""
    return nn.Sequential(*(Residual(features, features) for _ in range(residuals)))


class LastStack(nn.Module):
    """The network as exported: (B, 3, H, W) -> (heatmaps,), (B, K, H/4, W/4), whose peaks are confidences.

    sigma  of the targets in cells where the network was trained by `losses.cross_entropy`; None where it
           was by `losses.squared_error`. The latter teaches the maps to be Gaussians of height 1, so they
           go out as they are. The former teaches their softmax to be a Gaussian of sum 1: it goes out
           times the sum 2πσ² of a Gaussian of height 1, so that a perfect map is the same under both
           (but within σ or two of the border, where a part of the Gaussian is cut off: it is higher there).
    """

    def __init__(self, network: Hourglass, sigma: float | None = None) -> None:
        super().__init__()
        self.network, self.sigma = network, sigma

    def forward(self, images: Tensor) -> tuple[Tensor]:
        maps = self.network(images)[-1].float()  # (B, K, h, w)
        if self.sigma is not None:
            maps = maps.flatten(2).softmax(dim=2).reshape(maps.shape) * (2 * math.pi * self.sigma**2)
        return (maps,)
