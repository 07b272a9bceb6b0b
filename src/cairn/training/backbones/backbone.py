"""The base class of all backbones, and the neck that joins its feature maps for a method."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar

from torch import Tensor, nn

from cairn.errors import RecipeError
from cairn.training.backbones.depthwise import DepthwiseConv2d
from cairn.training.backbones.layers import ConvNorm


class Backbone(nn.Module):
    """An image -> feature maps at several strides: (B, 3, H, W) RGB from 0 to 255 -> [(B, C, H/s, W/s), ...].

    A subclass sets the three values in its constructor, and implements `forward`; one with pretrained weights also
    sets `has_pretrained` and implements `load_pretrained`. H and W are multiples of the largest stride.

    Attributes:
        strides: Strides s of the feature maps in pixels, finest first.
        channels: Channels C of the feature maps, finest first.
        stages: Layers in order, the first being the stem. Stages can be frozen, and have a learning rate of their
            own.
        name: Name in the registry.
        frozen_stages: Number of stages, counted from the stem, that keep their weights and statistics.
        pointwise: Whether depthwise convolutions and normalizations keep theirs in all stages.
        lr_factor: Learning rate of the stages, relative to that of the rest of the network.
        has_pretrained: Whether `load_pretrained` has weights to load.
    """

    has_pretrained: ClassVar[bool] = False

    strides: tuple[int, ...]
    channels: tuple[int, ...]
    stages: nn.ModuleList

    def __init__(self) -> None:
        super().__init__()
        self.name = type(self).__name__
        self.frozen_stages = 0
        self.pointwise = False
        self.lr_factor = 1.0

    def forward(self, image: Tensor) -> list[Tensor]:
        """Returns the feature maps of images, finest first: one for each of `strides`."""
        raise NotImplementedError

    def stage_maps(self, x: Tensor) -> list[Tensor]:
        """Returns the output of each stage, from the normalized images (B, 3, H, W) on."""
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps

    def load_pretrained(self) -> None:
        """Replaces the weights of the stages by pretrained ones.

        Raises:
            RecipeError: There are no pretrained weights of this backbone.
            MissingExtra: The package that contains them is not installed.
        """
        raise RecipeError(
            f'backbone {self.name} has no pretrained weights: set network.backbone = "efficientnet-lite0", '
            "or train from scratch (--from none)"
        )

    def freeze(self, stages: int, pointwise: bool = False) -> None:
        """Excludes parts of the stages from training.

        Args:
            stages: Number of stages, counted from the stem, of which nothing is trained.
            pointwise: Whether the depthwise convolutions and normalizations of the others are not trained either.
        """
        self.frozen_stages, self.pointwise = stages, pointwise
        for stage in self.stages[:stages]:
            stage.requires_grad_(False)
        for layer in self.stages.modules() if pointwise else ():
            if isinstance(layer, DepthwiseConv2d | nn.BatchNorm2d):
                layer.requires_grad_(False)

    def train(self, mode: bool = True) -> Backbone:
        """Sets training mode; what is frozen stays in evaluation mode."""
        super().train(mode)
        for stage in self.stages[: self.frozen_stages]:
            stage.eval()
        for layer in self.stages.modules() if self.pointwise else ():
            if isinstance(layer, nn.BatchNorm2d):
                layer.eval()
        for layer in self.stages.modules():
            if isinstance(layer, ConvNorm):
                layer.fixed = mode and not layer[1].training
        return self


class Neck(nn.Module):
    """Feature maps of a backbone -> one of the wanted stride and width: [(B, C, H/s, W/s), ...] -> (B, F, h, w).

    Each map of the wanted stride or coarser passes a lateral 1×1 convolution; from the coarsest to the finest, each is
    upsampled by its nearest neighbor and added to the next. Where the backbone has no map of the wanted stride, the
    next finer one is average-pooled to it. A single map that has `features` channels already passes unchanged.

    Args:
        backbone: The backbone whose feature maps are joined.
        features: Channels F of the result.
        stride: Stride of the result in pixels: h = H / stride.

    Raises:
        RecipeError: The backbone has no feature map of the wanted stride or a finer one, or strides that do not divide
            one another.
    """

    def __init__(self, backbone: Backbone, features: int, stride: int) -> None:
        super().__init__()
        fine_enough = [level for level, s in enumerate(backbone.strides) if s <= stride]
        first = fine_enough[-1] if fine_enough else 0
        strides = (stride, *backbone.strides[first + 1 :])
        if not fine_enough or stride % backbone.strides[first] or any(b % a for a, b in pairwise(strides)):
            raise RecipeError(
                f"backbone {backbone.name} has feature maps of stride {', '.join(map(str, backbone.strides))}; "
                f"this method needs one of stride {stride}, or a finer one that divides it"
            )
        channels = backbone.channels[first:]
        self.first = first
        self.pooling = stride // backbone.strides[first]
        self.factors = [b // a for a, b in pairwise(strides)]
        unchanged = channels == (features,)
        self.laterals = nn.ModuleList() if unchanged else nn.ModuleList(nn.Conv2d(c, features, 1) for c in channels)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Returns the joined feature map (B, F, h, w)."""
        levels = list(maps[self.first :])
        if self.pooling > 1:
            levels[0] = nn.functional.avg_pool2d(levels[0], self.pooling)
        if self.laterals:
            levels = [lateral(level) for lateral, level in zip(self.laterals, levels, strict=True)]
        y = levels[-1]
        for level, factor in zip(reversed(levels[:-1]), reversed(self.factors), strict=True):
            y = level + nn.functional.interpolate(y, scale_factor=float(factor), mode="nearest")
        return y
