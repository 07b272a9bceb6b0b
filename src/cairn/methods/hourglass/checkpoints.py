"""Imports published checkpoints of three PyTorch ports of the paper.

The ports differ in the names of their weights, in the widths of the first layers, and in the mean that they subtract
from images. All were trained on MPII, in crops of 256 pixels, 1.25 times the size of the person.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from cairn.errors import ModelError
from cairn.inference.model_spec import InputSpec, ModelSpec
from cairn.methods.hourglass.model import STRIDE, Hourglass, LastStack
from cairn.structures.skeleton import Skeleton, load_skeleton
from cairn.training.backbones.hourglass_stem import MPII_MEAN, HourglassStem
from cairn.training.checkpoints.reading import Checkpoint, few
from cairn.training.method import CheckpointReader

KNOWN = "Stacked Hourglass of princeton-vl, bearpaw and anibali"

STEM_CONV = "backbone.stages.0.0"
STEM_RESIDUALS = "backbone.stages.1.0", "backbone.stages.2", "backbone.stages.3"
"""Our names of the convolution and of the residual modules before the first hourglass."""


@dataclass(frozen=True)
class Port:
    """A port, with its names of the network's weights.

    Attributes:
        name: Name of the port.
        source: Address of its repository.
        mark: Name of a weight in every file of the port, without the prefix of its trainer.
        mean: RGB mean that is subtracted from images in [0, 1].
        rename: (name of a weight without prefix, depth of the hourglass) -> name in `model.Hourglass`.
    """

    name: str
    source: str
    mark: str
    mean: tuple[float, float, float]
    rename: Callable[[str, int], str]


def recognizes(checkpoint: Checkpoint) -> bool:
    """Whether the weights have the names of one of the ports."""
    return _recognized(checkpoint) is not None


def read_checkpoint(checkpoint: Checkpoint, name: str, joints: Skeleton | None = None) -> tuple[LastStack, ModelSpec]:
    """Returns a published checkpoint as the module to export, in evaluation mode, and its specification.

    Args:
        checkpoint: The weights.
        name: Name of the model.
        joints: Skeleton of its heatmaps, in order; None: the 16 joints of MPII, as published.

    Raises:
        ModelError: The weights are of another architecture, are incomplete, or have another number of heatmaps than
            the skeleton has joints.
    """
    path, weights, joints = checkpoint.path, checkpoint.weights, joints or load_skeleton("mpii16")
    recognized = _recognized(checkpoint)
    if recognized is None:
        raise ModelError(f"{path} has the weights of another network than {KNOWN}: it contains {few(weights)}")
    port, prefix = recognized
    own = {key.removeprefix(prefix): value for key, value in weights.items() if key.startswith(prefix)}
    depth = 1 + max((int(n) for key in own for n in re.findall(r"^hg\.\d+\.hg\.(\d{1,2})\.", key)), default=3)
    try:
        renamed = {port.rename(key, depth): value.float() for key, value in own.items()}
    except (IndexError, ValueError):
        raise ModelError(f"{path} has names of a checkpoint of {port.name}, but not its numbering") from None
    arguments, network = _filled(renamed, port.mean, f"{path}, a checkpoint of {port.name},")
    if arguments["joints"] != len(joints):
        raise ModelError(
            f"{path} has {arguments['joints']} heatmaps, but skeleton {joints.name} has {len(joints)} joints: "
            "name the skeleton that it was trained for with --skeleton"
        )
    spec = ModelSpec(
        name=name,
        method="hourglass",
        skeleton=joints,
        task="crop",
        input=InputSpec(resize="square", size=256, multiple=STRIDE * 2 ** arguments["depth"], margin=1.25),
        stride=STRIDE,
        outputs=("heatmaps",),
        license="its publisher's",
        sources=(port.source,),
        provenance={"imported from": port.name, "stacks": arguments["stacks"], "features": arguments["features"]},
    )
    return LastStack(network).eval(), spec


def _recognized(checkpoint: Checkpoint) -> tuple[Port, str] | None:
    """The port, and the prefix that its trainer puts before every name."""
    for port in (PRINCETON, BEARPAW if checkpoint.wrapped else ANIBALI):  # the last two share their names
        prefixes = [key.removesuffix(port.mark) for key in checkpoint.weights if f".{key}".endswith(f".{port.mark}")]
        if len(prefixes) == 1:
            return port, prefixes[0]
    return None


def _filled(weights: dict[str, Tensor], mean: Sequence[float], what: str) -> tuple[dict[str, int], Hourglass]:
    """The arguments of a network, and the network, with weights under our names.

    Args:
        weights: Weights by their names in `model.Hourglass`.
        mean: RGB mean that is subtracted from images in [0, 1].
        what: The file, for messages.
    """

    def width(key: str, axis: int = 0) -> int:
        if f"{key}.weight" not in weights or weights[f"{key}.weight"].ndim != 4:
            raise ModelError(f"{what} is incomplete: the convolution {key} is missing")
        return weights[f"{key}.weight"].shape[axis]

    def count(pattern: str) -> int:
        return len({found[1] for key in weights if (found := re.match(pattern, key))})

    arguments = {
        "joints": width("stacks.0.heatmaps"),
        "stacks": count(r"stacks\.(\d+)\."),
        "features": width("stacks.0.heatmaps", axis=1),
        "depth": max((key.count("inner.") for key in weights), default=0),
        "residuals": count(r"stacks\.0\.residuals\.(\d+)\."),
    }
    widths = (width(STEM_CONV), width(f"{STEM_RESIDUALS[0]}.convs.2"), width(f"{STEM_RESIDUALS[1]}.convs.2"))
    with torch.device("meta"):  # no memory before the shapes are known to agree
        stem = HourglassStem(arguments["features"], widths, channels=width(STEM_CONV, axis=1))
        network = Hourglass(**arguments, backbone=stem, visibility=False)
    stem.mean = torch.tensor(mean).reshape(-1, 1, 1)
    wanted = {key: value for key, value in network.state_dict().items() if not key.endswith("num_batches_tracked")}
    weights = {key: value for key, value in weights.items() if not _is_unused(key, wanted, weights)}
    if missing := set(wanted) - set(weights):
        raise ModelError(f"{what} is incomplete: {few(missing)} is missing")
    if unknown := set(weights) - set(wanted):
        raise ModelError(f"{what} has weights that the network lacks: {few(unknown)}")
    for key, value in weights.items():
        if value.shape != wanted[key].shape:
            raise ModelError(
                f"{what} contradicts itself: expected {tuple(wanted[key].shape)} for {key}, got {tuple(value.shape)}"
            )
    network.load_state_dict(weights, strict=False, assign=True)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.num_batches_tracked = torch.zeros((), dtype=torch.long)
    return arguments, network


def _is_unused(key: str, wanted: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> bool:
    """Whether it is a count of batches, or a skip between equal widths, which princeton-vl registers without use."""
    if key.endswith("num_batches_tracked"):
        return True
    skip = re.sub(r"\.skip\.(weight|bias)$", ".skip.weight", key)
    return key not in wanted and ".skip." in key and skip in weights and len(set(weights[skip].shape[:2])) == 1


def _princeton(name: str, depth: int) -> str:
    match name.split("."):
        case ["pre", "0", "conv", leaf]:
            return f"backbone.stages.0.0.{leaf}"
        case ["pre", "0", "bn", leaf]:
            return f"backbone.stages.0.1.{leaf}"
        case ["pre", "1" | "3" | "4" as place, *rest]:  # 2 is pooling
            return f"{STEM_RESIDUALS['134'.index(place)]}.{_residual(rest)}"
        case ["hgs", stack, "0", *rest]:  # low2 is the next level, and at the bottom a residual
            places = [part for part in rest if part in ("up1", "low1", "low2", "low3")]
            level = ".".join({"up1": "up", "low2": "inner"}.get(part, part) for part in places)
            return f"stacks.{stack}.hourglass.{level}.0.{_residual(rest[len(places) :])}"
        case ["features", stack, "0", *rest]:
            return f"stacks.{stack}.residuals.0.{_residual(rest)}"
        case ["features", stack, "1", "conv", leaf]:
            return f"stacks.{stack}.conv.{leaf}"
        case ["features", stack, "1", "bn", leaf]:
            return f"stacks.{stack}.norm.{leaf}"
        case ["outs", stack, "conv", leaf]:
            return f"stacks.{stack}.heatmaps.{leaf}"
        case ["merge_features", stack, "conv", "conv", leaf]:
            return f"merges.{stack}.features.{leaf}"
        case ["merge_preds", stack, "conv", "conv", leaf]:
            return f"merges.{stack}.heatmaps.{leaf}"
    return name


def _bearpaw(name: str, depth: int) -> str:
    match name.split("."):
        case ["conv1", leaf]:
            return f"backbone.stages.0.0.{leaf}"
        case ["bn1", leaf]:
            return f"backbone.stages.0.1.{leaf}"
        case ["layer1" | "layer2" | "layer3" as layer, "0", *rest]:
            return f"{STEM_RESIDUALS[int(layer[-1]) - 1]}.{_residual(rest)}"
        case ["hg", stack, "hg", level, place, block, *rest]:  # levels are counted from the innermost
            where = "inner." * (depth - 1 - int(level)) + ("up", "low1", "low3", "inner")[int(place)]
            return f"stacks.{stack}.hourglass.{where}.{block}.{_residual(rest)}"
        case ["res", stack, block, *rest]:
            return f"stacks.{stack}.residuals.{block}.{_residual(rest)}"
        case ["fc", stack, "0", leaf]:
            return f"stacks.{stack}.conv.{leaf}"
        case ["fc", stack, "1", leaf]:
            return f"stacks.{stack}.norm.{leaf}"
        case ["score", stack, leaf]:
            return f"stacks.{stack}.heatmaps.{leaf}"
        case ["fc_", stack, leaf]:
            return f"merges.{stack}.features.{leaf}"
        case ["score_", stack, leaf]:
            return f"merges.{stack}.heatmaps.{leaf}"
    return name


def _residual(parts: list[str]) -> str:
    """Our name within a residual module, for either port."""
    match parts:
        case ["bn1" | "bn2" | "bn3" as norm, leaf]:
            return f"norms.{int(norm[-1]) - 1}.{leaf}"
        case ["conv1" | "conv2" | "conv3" as conv, leaf] | ["conv1" | "conv2" | "conv3" as conv, "conv", leaf]:
            return f"convs.{int(conv[-1]) - 1}.{leaf}"
        case ["downsample", "0", leaf] | ["skip_layer", "conv", leaf]:
            return f"skip.{leaf}"
    return ".".join(parts)


PRINCETON = Port(
    name="princeton-vl",
    source="https://github.com/princeton-vl/pytorch_stacked_hourglass",
    mark="pre.0.conv.weight",
    mean=(0.0, 0.0, 0.0),
    rename=_princeton,
)
BEARPAW = Port(
    name="bearpaw",
    source="https://github.com/bearpaw/pytorch-pose",
    mark="hg.0.hg.0.0.0.conv1.weight",
    mean=MPII_MEAN,
    rename=_bearpaw,
)
ANIBALI = Port(
    name="anibali",
    source="https://github.com/anibali/pytorch-stacked-hourglass",
    mark="hg.0.hg.0.0.0.conv1.weight",
    mean=MPII_MEAN,
    rename=_bearpaw,
)


READER = CheckpointReader(KNOWN, recognizes, read_checkpoint)
