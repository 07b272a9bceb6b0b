"""The network of Newell, Yang, Deng, ECCV 2016, section 3: nn.Modules only.

Letters: B batch, S stacks, C features, K joints, H W the crop, h = H/4 and w = W/4 the heatmaps. Images are RGB from 0
to 255; the backbone normalizes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cairn.training.backbones.backbone import Backbone, Neck
from cairn.training.backbones.hourglass_stem import HourglassStem, Residual

STRIDE = 4
"""Pixels of the crop per cell of the heatmaps."""


@dataclass(frozen=True)
class Outputs:
    """What the network predicts.

    Attributes:
        heatmaps: (B, K, h, w) of each stack.
        classes: Logits (B, classes); None for a network of one class.
        visibility: Logits (B, K, h, w); None for a network that does not predict it.
    """

    heatmaps: list[Tensor]
    classes: Tensor | None
    visibility: Tensor | None


class Hourglass(nn.Module):
    """Stacked hourglasses: (B, 3, H, W) -> S heatmaps (B, K, H/4, W/4), one for each stack.

    Args:
        joints: Number K of joints.
        stacks: Number S of hourglasses in sequence, each with weights of its own.
        features: Channels C throughout.
        depth: Number of times that an hourglass halves its resolution: H and W must be multiples of 4·2^depth.
        residuals: Residual modules at each place of an hourglass.
        backbone: Layers before the first hourglass; None: the paper's.
        classes: Number of classes; 0 for one, which needs no class head.
        visibility: Whether a head predicts which keypoints are visible.
    """

    def __init__(
        self,
        joints: int,
        stacks: int = 8,
        features: int = 256,
        depth: int = 4,
        residuals: int = 1,
        backbone: Backbone | None = None,
        classes: int = 0,
        visibility: bool = False,
    ) -> None:
        super().__init__()
        self.backbone = backbone or HourglassStem(features)
        self.neck = Neck(self.backbone, features, STRIDE)
        self.stacks = nn.ModuleList(Stack(features, joints, depth, residuals) for _ in range(stacks))
        self.merges = nn.ModuleList(Merge(features, joints) for _ in range(stacks - 1))  # none after the last
        self.class_head = nn.Linear(features, classes) if classes else None
        self.visibility_head = nn.Conv2d(features, joints, 1) if visibility else None

    def forward(self, images: Tensor) -> list[Tensor]:
        """(B, 3, H, W) -> the heatmaps (B, K, h, w) of each stack."""
        return self.outputs(images).heatmaps

    def outputs(self, images: Tensor) -> Outputs:
        """(B, 3, H, W) -> the heatmaps of each stack, and what the heads predict from the features of the last."""
        x = self.neck(self.backbone(images))  # (B, C, h, w)
        heatmaps: list[Tensor] = []
        for i, stack in enumerate(self.stacks):
            features, maps = stack(x)
            heatmaps.append(maps)  # (B, K, h, w)
            if i < len(self.merges):
                x = self.merges[i](x, features, maps)  # (B, C, h, w)
        return Outputs(
            heatmaps,
            None if self.class_head is None else self.class_head(features.mean(dim=(2, 3))),
            None if self.visibility_head is None else self.visibility_head(features),
        )


class Level(nn.Module):
    """Figure 3 from one resolution downwards: (B, C, h, w) -> (B, C, h, w).

    `inner` is the next level; in the last level it stands for the residual modules that the release calls low2.
    """

    def __init__(self, features: int, depth: int, residuals: int) -> None:
        super().__init__()
        self.up = several(features, residuals)
        self.low1 = several(features, residuals)
        self.inner = Level(features, depth - 1, residuals) if depth > 1 else several(features, residuals)
        self.low3 = several(features, residuals)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, C, h, w)."""
        low = self.low1(F.max_pool2d(x, 2))  # (B, C, h/2, w/2)
        low = self.low3(self.inner(low))  # (B, C, h/2, w/2)
        up: Tensor = self.up(x)
        return up + F.interpolate(low, scale_factor=2.0, mode="nearest")  # (B, C, h, w)


class Stack(nn.Module):
    """One hourglass and its heads, figure 4 right: (B, C, h, w) -> features (B, C, h, w), heatmaps (B, K, h, w)."""

    def __init__(self, features: int, joints: int, depth: int, residuals: int) -> None:
        super().__init__()
        self.hourglass = Level(features, depth, residuals)
        self.residuals = several(features, residuals)
        self.conv = nn.Conv2d(features, features, 1)
        self.norm = nn.BatchNorm2d(features)
        self.heatmaps = nn.Conv2d(features, joints, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, h, w) -> (B, C, h, w), (B, K, h, w)."""
        x = self.residuals(self.hourglass(x))
        x = F.relu(self.norm(self.conv(x)), inplace=True)
        return x, self.heatmaps(x)


class Merge(nn.Module):
    """The input of the next stack, figure 4 right: x + 1×1(features) + 1×1(heatmaps)."""

    def __init__(self, features: int, joints: int) -> None:
        super().__init__()
        self.features = nn.Conv2d(features, features, 1)
        self.heatmaps = nn.Conv2d(joints, features, 1)

    def forward(self, x: Tensor, features: Tensor, heatmaps: Tensor) -> Tensor:
        """(B, C, h, w), (B, C, h, w), (B, K, h, w) -> (B, C, h, w)."""
        merged: Tensor = x + self.features(features) + self.heatmaps(heatmaps)
        return merged


def several(features: int, residuals: int) -> nn.Sequential:
    """Returns the residual modules at one place of an hourglass."""
    return nn.Sequential(*(Residual(features, features) for _ in range(residuals)))


class LastStack(nn.Module):
    """The network as exported: (B, 3, H, W) -> (heatmaps,), (B, K, H/4, W/4), whose peaks are confidences.

    A network with a class head has logits (B, classes) as its second output; one with a head for visibility has maps
    (B, K, H/4, W/4) of probabilities as its last.

    `losses.squared_error` trains heatmaps to be Gaussians of height 1: they are returned as they are.
    `losses.cross_entropy` trains their softmax to be a Gaussian of sum 1, the probability that the keypoint is in a
    cell. It is smoothed, so that the highest cell is the one near which the keypoint most probably is, and multiplied
    so that a perfect heatmap is a Gaussian of height 1, too. Within one or two σ of the border, where part of the
    Gaussian is cut off, it is higher.

    Args:
        network: The network.
        sigma: σ of the targets in cells, if trained by `losses.cross_entropy`; None if by `losses.squared_error`.
        smoothing: σ in cells of the Gaussian that smooths probabilities; 0 for none.
    """

    def __init__(self, network: Hourglass, sigma: float | None = None, smoothing: float = 0.0) -> None:
        super().__init__()
        self.network, self.sigma, self.smoothing = network, sigma, smoothing

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """(B, 3, H, W) -> heatmaps, logits of classes and maps of visibility, as far as there are any."""
        outputs = self.network.outputs(images)
        maps = outputs.heatmaps[-1].float()  # (B, K, h, w)
        if self.sigma is not None:
            maps = smoothed(maps.flatten(2).softmax(dim=2).reshape(maps.shape), self.smoothing)
            maps = maps * (2 * math.pi * (self.sigma**2 + self.smoothing**2))
        classes = () if outputs.classes is None else (outputs.classes.float(),)
        visibility = () if outputs.visibility is None else (outputs.visibility.float().sigmoid(),)
        return (maps, *classes, *visibility)


def smoothed(maps: Tensor, sigma: float) -> Tensor:
    """Returns maps (B, K, h, w) convolved with a Gaussian of sum 1, with 0 beyond the border.

    Its matrix products stay in float in an exported file in int8.

    Args:
        maps: (B, K, h, w).
        sigma: σ in cells; 0 returns the maps as they are.
    """
    if not sigma:
        return maps
    result: Tensor = (
        _gaussians(maps.shape[2], sigma, maps.device) @ maps @ _gaussians(maps.shape[3], sigma, maps.device)
    )
    return result


def _gaussians(count: int, sigma: float, device: torch.device) -> Tensor:
    """(count, count): a Gaussian of sum 1 around each cell of a line."""
    cells = torch.arange(count, dtype=torch.float32, device=device)
    return torch.exp(-((cells[:, None] - cells) ** 2) / (2 * sigma**2)) / (sigma * math.sqrt(2 * math.pi))
