"""From a recipe's settings to a network, and from a network's weights back to the settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from cairn.errors import ModelError
from cairn.methods.hourglass.model import STRIDE, Hourglass
from cairn.methods.hourglass.recipe import NetworkSettings
from cairn.training.backbones.efficientnet import EfficientNetBackbone, lite_of

IMAGENET_NETWORK = {"backbone": "efficientnet", "lite": 0}
"""Settings of the network that starts from ImageNet."""


def build_network(settings: NetworkSettings, joints: int) -> Hourglass:
    """The network that the recipe's settings name."""
    backbone = None
    if settings.backbone == "efficientnet":
        backbone = EfficientNetBackbone(
            settings.features, settings.lite, settings.frozen, STRIDE, settings.backbone_lr_factor
        )
    return Hourglass(joints, settings.stacks, settings.features, settings.depth, settings.residuals, backbone=backbone)


def network_of(weights: Mapping[str, Tensor], joints: int) -> dict[str, Any]:
    """The `NetworkSettings` of the network whose weights these are, as a recipe's table.

    Raises ModelError where they are those of no hourglass.
    """
    inner = "stacks.0.hourglass."
    lite = lite_of(weights, "stem")
    if f"{inner}low1.0.convs.0.weight" not in weights or "stacks.0.conv.weight" not in weights:
        raise ModelError("the weights are those of no hourglass")
    depth = 1
    while f"{inner}{'inner.' * depth}low1.0.convs.0.weight" in weights:
        depth += 1
    backbone = {} if lite is None else {**IMAGENET_NETWORK, "lite": lite}
    return backbone | {
        "stacks": sum(f"stacks.{i}.conv.weight" in weights for i in range(len(weights))),
        "features": len(weights["stacks.0.conv.weight"]),
        "depth": depth,
        "residuals": sum(f"stacks.0.residuals.{i}.convs.0.weight" in weights for i in range(len(weights))),
    }
