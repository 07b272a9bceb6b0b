"""From a recipe's settings to a network, and from a network's weights back to the settings."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import Any, TypeAlias

from torch import Tensor, nn

from cairn.errors import ModelError, RecipeError, SkeletonError
from cairn.methods.openpose.lightweight import LightweightOpenPose, lightweight_openpose
from cairn.methods.openpose.model import (
    HandNetwork,
    OpenPose,
    TwoBranchOpenPose,
    cvpr_openpose,
    hand_network,
    light_openpose,
    light_stage,
    paper_openpose,
)
from cairn.methods.openpose.movenet import MoveNetOpenPose
from cairn.methods.openpose.recipe import NetworkSettings
from cairn.structures.skeleton import Skeleton, load_skeleton
from cairn.training.backbones.movenet import MoveNet
from cairn.training.backbones.registry import MOVENETS, normalization_of, recognize_backbone
from cairn.training.checkpoints.pretrained import SLOPES
from cairn.training.engine.module import Channels

KeypointNetwork: TypeAlias = OpenPose | TwoBranchOpenPose | LightweightOpenPose | MoveNetOpenPose | HandNetwork
"""The networks of all kinds."""

HEADS = {
    "light": "heatmap_stages.0.3.weight",
    "paper": "heatmap_stages.0.head.2.weight",
    "cvpr": "heatmap_branches.0.8.weight",
    "lightweight": "initial_stage.heatmaps.1.0.weight",
    "movenet": "heads.heatmaps.3.weight",
    "hand": "heatmap_stages.0.2.weight",
}
"""Kind of network -> the convolution that predicts the first stage's heatmaps."""

FEATURES = {
    "light": ("paf_stages.0.0.0.weight", 0),
    "paper": ("paf_stages.0.blocks.0.convolutions.0.0.weight", 1),
    "cvpr": ("paf_branches.0.0.weight", 1),
    "lightweight": ("features.align.0.weight", 0),
    "movenet": ("paf_stages.0.head.weight", 1),
    "hand": ("heatmap_stages.0.0.weight", 1),
}
"""Kind of network -> a convolution, and its axis that has as many channels as F."""

PRELU = "backbone.stages.3.4.weight", f"backbone.stages.3.3{SLOPES}"
"""Slopes of the first PReLU of VGG-19, where it has any: in a run, in an exported file."""

MOVENET_NETWORK: dict[str, Any] = {"kind": "light", "depthwise": True, "stride": 4, "features": 64}
"""Settings of a network on a backbone of MoveNet, whose maps of stride 4 localize well."""

FILE_NETWORKS: dict[str, dict[str, Any]] = {
    "vgg19": {"kind": "paper"},
    "mobilenet-v1": {"kind": "lightweight"},
    **{name: MOVENET_NETWORK | {"backbone": name} for name in MOVENETS},
}
"""Backbone of a file of pretrained weights -> default settings of the network: those of the papers, where they are."""

IMAGENET_NETWORK = {"kind": "light", "backbone": "efficientnet-lite1", "features": 96}
"""Default settings of a network whose backbone is pretrained on ImageNet."""


def build_network(settings: NetworkSettings, skeleton: Skeleton, classes: int = 0) -> KeypointNetwork:
    """Returns the network that a recipe describes, for the joints and limbs of a skeleton.

    Args:
        settings: The `network` table of the recipe.
        skeleton: Joints and limbs.
        classes: Number of classes; 0 for one, which needs no class head.

    Raises:
        RecipeError: The network of hands and faces, and that of MoveNet, have no class head.
        SkeletonError: MoveNet's heatmaps are of other joints.
    """
    network = _build(settings, skeleton)
    if isinstance(network, HandNetwork | MoveNetOpenPose):
        if classes:
            raise RecipeError(f'network.kind = "{settings.kind}" predicts no classes: train on one with --category')
        return network
    inputs = settings.features + 2 * len(skeleton.limbs)
    if classes:
        network.class_head = light_stage(inputs, classes, settings.features, settings.depthwise)
    if settings.visibility:
        network.visibility_head = light_stage(inputs, len(skeleton), settings.features, settings.depthwise)
    return network


def _build(settings: NetworkSettings, skeleton: Skeleton) -> KeypointNetwork:
    """The network without heads for classes and visibility."""
    maps, fields = len(skeleton) + settings.background, 2 * len(skeleton.limbs)
    backbone, features = settings.build_backbone(), settings.features
    if settings.kind == "cvpr":
        return cvpr_openpose(maps, fields, settings.paf_stages, backbone, features)
    if settings.kind == "lightweight":
        return lightweight_openpose(maps, fields, settings.paf_stages, backbone, features)
    if settings.kind == "hand":
        return hand_network(maps, settings.heatmap_stages, backbone, features)
    if settings.kind == "movenet":
        if skeleton.joints != (published := load_skeleton("coco17").joints):
            raise SkeletonError(
                f'network.kind = "movenet" predicts the {len(published)} keypoints of coco17, and the labels have '
                f"those of {skeleton.name}: leave network.kind out"
            )
        assert isinstance(backbone, MoveNet)
        return MoveNetOpenPose(backbone, fields, features)
    stages = settings.paf_stages, settings.heatmap_stages
    if settings.kind == "paper":
        return paper_openpose(maps, fields, *stages, backbone, features)
    return light_openpose(maps, fields, *stages, backbone, features, settings.depthwise, settings.stride)


def network_of(weights: Mapping[str, Tensor], joints: int) -> dict[str, Any]:
    """Returns the `network` table of the recipe for a network with these weights: the inverse of `build_network`.

    Args:
        weights: Weights of the network by name.
        joints: Number K of joints that the network predicts.

    Raises:
        ModelError: The weights are of no such network, or of one whose backbone is not registered.
    """
    kind = next((kind for kind, head in HEADS.items() if head in weights), None)
    if kind is None:
        raise ModelError("the weights do not belong to an openpose network")
    shapes = {name: tuple(value.shape) for name, value in weights.items()}
    if kind == "movenet":
        return {"kind": kind, "features": shapes[FEATURES[kind][0]][1]}
    stages = "branches" if kind == "cvpr" else "stages"
    features, axis = FEATURES[kind]
    settings: dict[str, Any] = {
        "kind": kind,
        "features": shapes[features][axis],
        "paf_stages": _count(weights, f"paf_{stages}."),
        "heatmap_stages": _count(weights, f"heatmap_{stages}."),
        "background": shapes[HEADS[kind]][0] == joints + 1,
    }
    if kind == "lightweight":
        settings["paf_stages"] = settings["heatmap_stages"] = 1 + _count(weights, "refinement_stages.")
    if any(name.startswith("visibility_head.") for name in weights):
        settings["visibility"] = True
    if any(name in weights for name in PRELU):
        settings["prelu"] = True
    if kind == "light":
        settings["depthwise"] = shapes["paf_stages.0.1.branch.0.0.weight"][1] == 1
    backbone = recognize_backbone(weights)
    if normalization := normalization_of(weights, backbone):
        settings["normalization"] = normalization
    if backbone not in (None, "light"):
        return settings | {"backbone": backbone}
    return settings | _light_backbone(weights, shapes)


def _light_backbone(weights: Mapping[str, Tensor], shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    """The settings of a light backbone of any widths and depths."""
    stages = _count(weights, "backbone.stages.")
    firsts = ["backbone.stages.0.0.weight", *[f"backbone.stages.{i}.0.0.weight" for i in range(1, stages)]]
    block = "backbone.stages.1.1.branch.0.0.weight"
    if missing := [name for name in [*firsts, block] if name not in shapes]:
        raise ModelError(f"the weights are of no network of openpose whose backbone is known: {missing[0]} is missing")
    return {
        "backbone": "light",
        "widths": [shapes[name][0] for name in firsts],
        "depths": [_count(weights, f"backbone.stages.{i}.") - 1 for i in range(1, stages)],
    }


def channels_of(
    network: nn.Module,
    skeleton: Skeleton,
    background: bool,
    classes: tuple[str, ...] = (),
    visibility: bool = False,
) -> Channels:
    """Returns the weights whose channels depend on the labels, with the joint, limb or class of each channel.

    These are the outputs of each stage's last convolution, and the inputs of its first one, which takes the
    predictions of other stages.

    Args:
        network: The network.
        skeleton: The skeleton of its outputs.
        background: Whether the heatmaps have a background channel.
        classes: Names of the classes of its class head; empty where it has none.
        visibility: Whether it has a head for visibility.
    """
    joints: list[Hashable] = [*skeleton.joints, *["background"] * background]
    limbs: list[Hashable] = [(skeleton.joints[a], skeleton.joints[b], axis) for a, b in skeleton.limbs for axis in "xy"]
    cvpr = isinstance(network, TwoBranchOpenPose)
    stages = "branches" if cvpr else "stages"
    result: dict[str, tuple[int, tuple[Hashable, ...]]] = {}
    if isinstance(network, MoveNetOpenPose):
        return {f"paf_stages.0.head.{leaf}": (0, tuple(limbs)) for leaf in ("weight", "bias")}
    if isinstance(network, LightweightOpenPose):
        return _channels_of_lightweight(network, joints, limbs, classes, skeleton.joints if visibility else ())

    def add(name: str, given: list[Hashable], outputs: list[Hashable], given_first: bool) -> None:
        stage = network.get_submodule(name)
        convolutions = {part: layer for part, layer in stage.named_modules() if isinstance(layer, nn.Conv2d)}
        first, last = next(iter(convolutions)), list(convolutions)[-1]
        features: list[Hashable] = list(range(convolutions[first].in_channels - len(given)))
        result[f"{name}.{first}.weight"] = (1, tuple([*given, *features] if given_first else [*features, *given]))
        result[f"{name}.{last}.weight"] = (0, tuple(outputs))
        result[f"{name}.{last}.bias"] = (0, tuple(outputs))

    kinds = {f"paf_{stages}": limbs, f"heatmap_{stages}": joints}
    if isinstance(network, HandNetwork):
        del kinds[f"paf_{stages}"]
    for kind, outputs in kinds.items():
        for t, _ in enumerate(network.get_submodule(kind).children()):
            if isinstance(network, HandNetwork):
                given = joints if t else []
            elif cvpr:
                given = [*limbs, *joints] if t else []
            elif kind == "paf_stages":
                given = limbs if t else []
            else:
                given = [*limbs, *joints] if t else limbs
            add(f"{kind}.{t}", given, outputs, given_first=cvpr or isinstance(network, HandNetwork))
    if classes:
        add("class_head", limbs, [("class", name) for name in classes], given_first=False)
    if visibility:
        add("visibility_head", limbs, list(skeleton.joints), given_first=False)
    return result


def _channels_of_lightweight(
    network: LightweightOpenPose,
    joints: list[Hashable],
    limbs: list[Hashable],
    classes: tuple[str, ...],
    visible: tuple[str, ...],
) -> Channels:
    """`channels_of`, for stages with layers in common."""
    features: list[Hashable] = list(range(network.initial_stage.body[0][0].in_channels))  # type: ignore[index]
    result: dict[str, tuple[int, tuple[Hashable, ...]]] = {}
    for t, _ in enumerate(network.heads):
        stage = f"refinement_stages.{t - 1}" if t else "initial_stage"
        if t:
            result[f"{stage}.body.0.initial.0.weight"] = (1, (*features, *joints, *limbs))
        for part, outputs in (("heatmaps", joints), ("pafs", limbs)):
            for leaf in ("weight", "bias"):
                result[f"{stage}.{part}.1.0.{leaf}"] = (0, tuple(outputs))
    for head, channels in (("class_head", [("class", name) for name in classes]), ("visibility_head", visible)):
        if channels:
            result[f"{head}.0.0.weight"] = (1, (*features, *limbs))
            result |= {f"{head}.3.{leaf}": (0, tuple(channels)) for leaf in ("weight", "bias")}
    return result


def heatmap_heads(network: KeypointNetwork) -> list[nn.Conv2d]:
    """Returns the convolution that predicts the heatmaps of each stage."""
    if isinstance(network, MoveNetOpenPose):
        return heads_of([network.heads["heatmaps"]])
    if isinstance(network, LightweightOpenPose):
        return heads_of(stage.heatmaps for stage in network.heads)
    return heads_of(network.heatmap_branches if isinstance(network, TwoBranchOpenPose) else network.heatmap_stages)


def heads_of(stages: Iterable[nn.Module]) -> list[nn.Conv2d]:
    """Returns the head of each stage: its last convolution."""
    return [[layer for layer in stage.modules() if isinstance(layer, nn.Conv2d)][-1] for stage in stages]


def _count(weights: Mapping[str, Tensor], prefix: str) -> int:
    """How many different numbers follow the prefix."""
    return len({name.removeprefix(prefix).split(".")[0] for name in weights if name.startswith(prefix)})
