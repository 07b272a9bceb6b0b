"""The table of backbones, and the properties of each that do not depend on its weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import torch
from torch import Tensor

from cairn.errors import RecipeError
from cairn.training.backbones.backbone import Backbone
from cairn.training.backbones.efficientnet import EfficientNetBackbone
from cairn.training.backbones.hourglass_stem import MPII_MEAN, HourglassStem
from cairn.training.backbones.layers import NORMALIZATIONS
from cairn.training.backbones.light import LightBackbone
from cairn.training.backbones.mobilenet import MobileNetV1
from cairn.training.backbones.movenet import MoveNet
from cairn.training.backbones.vgg import HAND_TAIL, VGG19

PREFIX = "backbone."
"""Beginning of the names of a backbone's weights in a network."""

MOVENETS = {"movenet": 1.5, "movenet-lightning": 1.0, "movenet-thunder": 1.75}
"""Name of a backbone of MoveNet -> its width: those of MultiPose, SinglePose Lightning and Thunder."""

BACKBONES: dict[str, Callable[..., Backbone]] = {
    "efficientnet-lite0": partial(EfficientNetBackbone, 0),
    "efficientnet-lite1": partial(EfficientNetBackbone, 1),
    "efficientnet-lite2": partial(EfficientNetBackbone, 2),
    "vgg19": VGG19,
    "vgg19-hand": partial(VGG19, HAND_TAIL),
    "mobilenet-v1": MobileNetV1,
    **{name: partial(MoveNet, width) for name, width in MOVENETS.items()},
    "light": LightBackbone,
    "hourglass-stem": HourglassStem,
    "hourglass-stem-wide": partial(HourglassStem, wide=True, mean=MPII_MEAN),
}
"""Name, as recipes have it -> constructor."""

NORMALIZED = {"vgg19": "imagenet", "vgg19-hand": "imagenet", "mobilenet-v1": "centered"}
"""Backbone whose constructor takes a `normalization` -> its default."""


@dataclass(frozen=True)
class BackboneFacts:
    """Properties of a backbone that do not depend on its weights.

    Attributes:
        strides: Strides of its feature maps in pixels, finest first.
        stages: Number of its stages, the stem included.
        has_pretrained: Whether there are pretrained weights.
        kernels: Shape of each convolution's weights, by name.
    """

    strides: tuple[int, ...]
    stages: int
    has_pretrained: bool
    kernels: Mapping[str, tuple[int, ...]]


def build_backbone(name: str, **options: Any) -> Backbone:
    """Returns a new backbone, with random weights.

    Args:
        name: Name in the table.
        **options: Arguments of its constructor.

    Raises:
        RecipeError: There is no backbone of that name.
    """
    backbone = _constructor(name)(**options)
    backbone.name = name
    return backbone


def describe_backbone(name: str, **options: Any) -> BackboneFacts:
    """Returns the properties of a backbone that do not depend on its weights.

    Args:
        name: Name in the table.
        **options: Arguments of its constructor; hashable.

    Raises:
        RecipeError: There is no backbone of that name.
    """
    return _describe(_constructor(name), tuple(options.items()))


def recognize_backbone(weights: Mapping[str, Tensor]) -> str | None:
    """Returns the name of the backbone of a network, with default options; None where none of the table fits.

    Args:
        weights: Weights of the network by name. Biases and batch normalizations may be absent.
    """
    return next((name for name in BACKBONES if has_backbone(weights, name)), None)


def has_backbone(weights: Mapping[str, Tensor], name: str, **options: Any) -> bool:
    """Whether a network's weights are those of a backbone: the same convolutions, of the same shapes."""
    kernels = {
        key.removeprefix(PREFIX): tuple(value.shape)
        for key, value in weights.items()
        if key.startswith(PREFIX) and _is_kernel(key, value)
    }
    return kernels == describe_backbone(name, **options).kernels


def normalization_of(weights: Mapping[str, Tensor], backbone: str | None) -> str | None:
    """Returns the name of the normalization among a network's weights; None for the backbone's default.

    Args:
        weights: Weights of the network by name.
        backbone: Name of the backbone.
    """
    mean, std = (weights.get(f"{PREFIX}normalize.{part}") for part in ("mean", "std"))
    if mean is None or std is None or backbone not in NORMALIZED:
        return None
    given = torch.cat([mean.flatten(), std.flatten()])
    tables = {name: torch.tensor([*mean, *std]) for name, (mean, std) in NORMALIZATIONS.items()}
    found = next((name for name, values in tables.items() if torch.allclose(given.float(), values, atol=0.1)), None)
    return None if found == NORMALIZED[backbone] else found


def _constructor(name: str) -> Callable[..., Backbone]:
    if name not in BACKBONES:
        raise RecipeError(f"there is no backbone {name!r}: expected one of {', '.join(BACKBONES)}")
    return BACKBONES[name]


@lru_cache(maxsize=64)
def _describe(constructor: Callable[..., Backbone], options: tuple[tuple[str, Any], ...]) -> BackboneFacts:
    with torch.device("meta"):  # no memory, no random numbers
        backbone = constructor(**dict(options))
    kernels = {key: tuple(value.shape) for key, value in backbone.state_dict().items() if _is_kernel(key, value)}
    return BackboneFacts(backbone.strides, len(backbone.stages), backbone.has_pretrained, kernels)


def _is_kernel(key: str, value: Tensor) -> bool:
    return key.endswith(".weight") and value.ndim == 4
