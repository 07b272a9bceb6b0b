"""From a recipe's settings to a network, and from a network's weights back to the settings."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import Any

from torch import Tensor, nn

from cairn.errors import ModelError
from cairn.methods.openpose.model import (
    OpenPose,
    ResidualBlock,
    TwoBranchOpenPose,
    cvpr_openpose,
    light_openpose,
    on_backbone,
    paper_openpose,
)
from cairn.methods.openpose.recipe import NetworkSettings
from cairn.structures.skeleton import Skeleton
from cairn.training.backbones.efficientnet import EfficientNetBackbone, lite_of
from cairn.training.engine.module import Channels

LIGHT_HEAD = "heatmap_stages.0.3.weight"

HEADS = {
    "light": LIGHT_HEAD,
    "efficientnet": LIGHT_HEAD,
    "paper": "heatmap_stages.0.head.2.weight",
    "cvpr": "heatmap_branches.0.8.weight",
}
"""What predicts the first stage's confidence maps, by kind of network."""

IMAGENET_NETWORK = {"kind": "efficientnet", "lite": 0}
"""Settings of the network that starts from ImageNet."""


def build_network(settings: NetworkSettings, skeleton: Skeleton) -> OpenPose | TwoBranchOpenPose:
    """The network that the recipe's settings name, for the joints and limbs of a skeleton."""
    maps, fields = len(skeleton) + settings.background, 2 * len(skeleton.limbs)
    if settings.kind == "paper":
        return paper_openpose(maps, fields, settings.paf_stages, settings.heatmap_stages)
    if settings.kind == "cvpr":
        return cvpr_openpose(maps, fields, settings.paf_stages)
    if settings.kind == "efficientnet":
        backbone = EfficientNetBackbone(
            settings.features, settings.lite, settings.frozen, rate=settings.backbone_lr_factor
        )
        stages = settings.paf_stages, settings.heatmap_stages
        return on_backbone(backbone, maps, fields, settings.features, *stages, ResidualBlock)
    return light_openpose(
        maps,
        fields,
        settings.widths,
        settings.depths,
        settings.features,
        settings.depthwise,
        settings.paf_stages,
        settings.heatmap_stages,
    )


def network_of(weights: Mapping[str, Tensor], joints: int) -> dict[str, Any]:
    """The `NetworkSettings` of the network whose weights these are, as a recipe's table: what `build_network` undoes.

    Raises ModelError where they are those of no such network.
    """
    kind = next((kind for kind, head in HEADS.items() if head in weights), None)
    if kind is None:
        raise ModelError("the weights are those of no network of openpose")
    if (lite := lite_of(weights, "backbone")) is not None:
        kind = "efficientnet"
    shapes = {name: tuple(value.shape) for name, value in weights.items()}
    sort = "branches" if kind == "cvpr" else "stages"
    settings: dict[str, Any] = {
        "kind": kind,
        "paf_stages": _count(weights, f"paf_{sort}."),
        "heatmap_stages": _count(weights, f"heatmap_{sort}."),
        "background": shapes[HEADS[kind]][0] == joints + 1,
    }
    if kind == "efficientnet":
        return settings | {**IMAGENET_NETWORK, "lite": lite, "features": shapes["backbone.laterals.0.weight"][0]}
    if kind != "light":
        return settings
    levels = _count(weights, "backbone.levels.")
    firsts = ["backbone.stem.1.0.weight", *[f"backbone.levels.{i}.0.0.weight" for i in range(levels)]]
    block = "backbone.levels.0.1.branch.0.0.weight"
    if missing := [name for name in [*firsts, block, "backbone.laterals.0.weight"] if name not in shapes]:
        raise ModelError(f"the weights are those of no light network of openpose: they lack {missing[0]}")
    return settings | {
        "widths": [shapes[name][0] for name in firsts],
        "depths": [_count(weights, f"backbone.levels.{i}.") - 1 for i in range(levels)],
        "features": shapes["backbone.laterals.0.weight"][0],
        "depthwise": shapes[block][1] == 1,
    }


def channels_of(network: nn.Module, skeleton: Skeleton, background: bool) -> Channels:
    """What the places of heads stand for, and of stages' first convolutions, which are given other stages' maps."""
    joints: list[Hashable] = [*skeleton.joints, *["background"] * background]
    limbs: list[Hashable] = [(skeleton.joints[a], skeleton.joints[b], axis) for a, b in skeleton.limbs for axis in "xy"]
    cvpr = isinstance(network, TwoBranchOpenPose)
    sort = "branches" if cvpr else "stages"
    result: dict[str, tuple[int, tuple[Hashable, ...]]] = {}
    for kind, outputs in ((f"paf_{sort}", limbs), (f"heatmap_{sort}", joints)):
        for t, stage in enumerate(network.get_submodule(kind).children()):
            convolutions = {name: layer for name, layer in stage.named_modules() if isinstance(layer, nn.Conv2d)}
            first, last = next(iter(convolutions)), list(convolutions)[-1]
            if cvpr:
                given = [*limbs, *joints] if t else []
            elif kind == "paf_stages":
                given = limbs if t else []
            else:
                given = [*limbs, *joints] if t else limbs
            features: list[Hashable] = list(range(convolutions[first].in_channels - len(given)))
            result[f"{kind}.{t}.{first}.weight"] = (1, tuple([*given, *features] if cvpr else [*features, *given]))
            result[f"{kind}.{t}.{last}.weight"] = (0, tuple(outputs))
            result[f"{kind}.{t}.{last}.bias"] = (0, tuple(outputs))
    return result


def heads_of(stages: Iterable[nn.Module]) -> list[nn.Conv2d]:
    """What predicts in each stage: its last convolution."""
    return [[layer for layer in stage.modules() if isinstance(layer, nn.Conv2d)][-1] for stage in stages]


def _count(weights: Mapping[str, Tensor], prefix: str) -> int:
    """How many numbers follow the prefix."""
    return len({name.removeprefix(prefix).split(".")[0] for name in weights if name.startswith(prefix)})
