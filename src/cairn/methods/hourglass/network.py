"""From a recipe's settings to a network, and from a network's weights back to the settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from cairn.errors import ModelError
from cairn.methods.hourglass.model import Hourglass
from cairn.methods.hourglass.recipe import STEM, WIDE_STEM, NetworkSettings
from cairn.training.backbones.registry import MOVENETS, has_backbone, normalization_of, recognize_backbone

IMAGENET_NETWORK = {"backbone": "efficientnet-lite1", "stacks": 1, "features": 128, "depth": 3}
"""Default settings of a network whose backbone is pretrained on ImageNet."""

FILE_NETWORKS = {name: {"backbone": name} for name in ("vgg19", "mobilenet-v1", "movenet-lightning", *MOVENETS)}
"""The same for the file of a backbone, by its name; the first of MoveNet is the default one."""


def build_network(settings: NetworkSettings, joints: int, classes: int = 0) -> Hourglass:
    """Returns the network that a recipe describes, for a number of joints, and of classes if there are several."""
    shape = settings.stacks, settings.features, settings.depth, settings.residuals
    return Hourglass(joints, *shape, settings.build_backbone(), classes, settings.visibility)


def network_of(weights: Mapping[str, Tensor], joints: int) -> dict[str, Any]:
    """Returns the `network` table of the recipe for a network with these weights: the inverse of `build_network`.

    Args:
        weights: Weights of the network by name.
        joints: Number K of joints that the network predicts.

    Raises:
        ModelError: The weights are of no hourglass, or of one whose backbone is not registered.
    """
    inner = "stacks.0.hourglass."
    if f"{inner}low1.0.convs.0.weight" not in weights or "stacks.0.conv.weight" not in weights:
        raise ModelError("the weights do not belong to an hourglass network")
    depth = 1
    while f"{inner}{'inner.' * depth}low1.0.convs.0.weight" in weights:
        depth += 1
    features = len(weights["stacks.0.conv.weight"])
    stems = (name for name in (STEM, WIDE_STEM) if has_backbone(weights, name, features=features))
    backbone = next(stems, None) or recognize_backbone(weights)
    if backbone is None:
        raise ModelError("the weights are of an hourglass whose backbone is not registered")
    normalization = normalization_of(weights, backbone)
    return {
        "backbone": backbone,
        **({"normalization": normalization} if normalization else {}),
        "stacks": _count_stacks(weights),
        "features": features,
        "depth": depth,
        "residuals": sum(f"stacks.0.residuals.{i}.convs.0.weight" in weights for i in range(len(weights))),
        "visibility": "visibility_head.weight" in weights,
    }


def grow(weights: Mapping[str, Tensor], settings: NetworkSettings) -> dict[str, Tensor]:
    """Returns the weights of an hourglass with as many stacks as the settings describe.

    Those that it lacks are copies of its last one, and what they are fed back is 0: all predict the same.

    Args:
        weights: Weights of a network of one stack or more, by name.
        settings: Settings of the network; with fewer stacks, nothing is added.
    """
    grown = dict(weights)
    count = _count_stacks(weights)
    last = f"stacks.{count - 1}."
    copied = {name.removeprefix(last): value for name, value in weights.items() if name.startswith(last)}
    joints, features = copied["heatmaps.weight"].shape[:2]  # (K, C, 1, 1)
    for i in range(count, settings.stacks):
        grown |= {f"stacks.{i}.{name}": value for name, value in copied.items()}
        for name, channels in (("features", features), ("heatmaps", joints)):
            grown[f"merges.{i - 1}.{name}.weight"] = torch.zeros(features, channels, 1, 1)
            grown[f"merges.{i - 1}.{name}.bias"] = torch.zeros(features)
    return grown


def _count_stacks(weights: Mapping[str, Tensor]) -> int:
    return sum(f"stacks.{i}.conv.weight" in weights for i in range(len(weights)))
