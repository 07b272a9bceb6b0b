"""Pretrained weights of a backbone from the file of a classification network, for starts as in the papers.

| file | names | images |
|---|---|---|
| VGG-19 of torchvision | `features.0.weight`, the numbers of `CONVOLUTIONS` | RGB, "imagenet" |
| VGG-19 of its authors (.caffemodel) | `conv1_1.weight` | BGR, "caffe" |
| MobileNet v1 as Lightweight OpenPose starts from (marvis/pytorch-mobilenet) | `model.0.0.weight` | RGB, "imagenet" |
| MoveNet (.json of TensorFlow.js), `movenet.movenet_names` | `.../model/Conv1/Conv2D_weights` | RGB, -1 to 1 |

The first ten convolutions of VGG-19 and the layers of MobileNet up to conv5_5 are copied; layers after them, such as
the classifier, are not used. Kernels for BGR are turned to RGB, so that features equal those of the original network.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from cairn.errors import ModelError, RecipeError
from cairn.training.backbones.backbone import Backbone
from cairn.training.backbones.registry import NORMALIZED, build_backbone
from cairn.training.checkpoints.movenet import MOVENET, backbone_of, find_movenet, head_names, movenet_names
from cairn.training.checkpoints.reading import Checkpoint, few, read_weights

SUFFIXES = ".pth", ".pt", ".tar", ".caffemodel", ".npz", ".npy", ".bin", ".json"
"""Suffixes of files of weights that may be of a backbone."""

CONVOLUTIONS = (0, 2), (5, 7), (10, 12, 14, 16), (19, 21)
"""Numbers of VGG-19's first ten convolutions in torchvision, by block."""

MOBILENET_BLOCKS = (0, 1), (2, 3), (4, 5), (6, 7, 8, 9, 10, 11)
"""Numbers of MobileNet's layers by stage of the backbone."""

NORM_LEAVES = "weight", "bias", "running_mean", "running_var"


@dataclass(frozen=True)
class BackboneFile:
    """The weights of a backbone.

    Attributes:
        path: The file.
        backbone: Name of the backbone.
        normalization: Normalization of the images that it was trained on; None for the only one of the backbone.
        weights: Weights by their names in the backbone.
        heads: Weights of the published heads of MoveNet, as `cairn.methods.openpose.movenet` names them.
    """

    path: Path
    backbone: str
    normalization: str | None
    weights: dict[str, Tensor]
    heads: Mapping[str, Tensor] = field(default_factory=dict)

    def check(self, backbone: str) -> None:
        """Raises RecipeError where the backbone of that name does not take the weights."""
        if backbone != self.backbone and (backbone, self.backbone) != ("vgg19-hand", "vgg19"):
            raise RecipeError(
                f"{self.path} has the weights of {self.backbone}, and the recipe has backbone {backbone}: set "
                f'network.backbone = "{self.backbone}"'
            )

    def load(self, backbone: Backbone, normalization: str | None) -> None:
        """Copies the weights into a backbone.

        Args:
            backbone: The backbone.
            normalization: The normalization of the recipe; None for the backbone's own.

        Raises:
            RecipeError: The backbone is another one, or has another normalization by default.
        """
        self.check(backbone.name)
        if self.normalization and normalization is None and NORMALIZED[self.backbone] != self.normalization:
            raise RecipeError(
                f'{self.path} was trained on images normalized as "{self.normalization}": set '
                f'network.normalization = "{self.normalization}"'
            )
        backbone.load_state_dict(self.weights, strict=False)

    def load_heads(self, heads: nn.Module) -> None:
        """Copies the published heads.

        Raises:
            ModelError: The file lacks one, or it is of another shape.
        """
        for name, value in heads.state_dict().items():
            if name not in self.heads or self.heads[name].shape != value.shape:
                raise ModelError(f"{self.path} has no published head {name} of shape {tuple(value.shape)}")
        heads.load_state_dict(self.heads)


def is_backbone_file(source: str) -> bool:
    """Whether a source of pretrained weights is a file of weights, or MoveNet's, and not a model of Cairn."""
    return source == MOVENET or (Path(source).suffix.lower() in SUFFIXES and not Path(source).is_dir())


def read_backbone(source: str, backbone: str = "") -> BackboneFile:
    """Reads a file of pretrained weights.

    Args:
        source: The file; "movenet" for the published one of the backbone.
        backbone: Name of the backbone that needs them; for "movenet" only.

    Raises:
        ModelError: The file cannot be read, or is of no network of the table above.
        RecipeError: There is no MoveNet with that backbone.
    """
    checkpoint = read_weights(find_movenet(backbone) if source == MOVENET else source)
    names = {re.sub(r"^module\.", "", name): name for name in checkpoint.weights}
    if "features.0.weight" in names:
        return _file(checkpoint, "vgg19", "imagenet", _torchvision_names(), names)
    if "conv1_1.weight" in names and "conv4_3_CPM.weight" not in names:
        return _file(checkpoint, "vgg19", "caffe", _caffe_names(), names)
    if "model.0.0.weight" in names and "cpm.align.0.weight" not in names:
        return _file(checkpoint, "mobilenet-v1", "imagenet", _mobilenet_names(), names)
    if movenet := backbone_of({name: tuple(value.shape) for name, value in checkpoint.weights.items()}):
        return _of_movenet(checkpoint, movenet)
    raise ModelError(
        f"{source} has the weights of no backbone that training can start from (VGG-19 of torchvision or Caffe, "
        f"MobileNet v1, MoveNet): it has {few(checkpoint.weights, 3)}; "
        f"convert a pose network first: cairn import {source}"
    )


def _torchvision_names() -> dict[str, str]:
    return {
        f"features.{number}": f"stages.{stage}.{2 * i + (stage > 0)}"
        for stage, numbers in enumerate(CONVOLUTIONS)
        for i, number in enumerate(numbers)
    }


def _caffe_names() -> dict[str, str]:
    return {
        f"conv{stage + 1}_{i + 1}": f"stages.{stage}.{2 * i + (stage > 0)}"
        for stage, numbers in enumerate(CONVOLUTIONS)
        for i, _ in enumerate(numbers)
    }


def _mobilenet_names() -> dict[str, str]:
    """Every layer is a sequence of convolution, normalization and ReLU; from the second one on, of two of each."""
    return {
        f"model.{number}.{part}": f"stages.{stage}.{i}.{part}"
        for stage, numbers in enumerate(MOBILENET_BLOCKS)
        for i, number in enumerate(numbers)
        for part in ((0, 1, 3, 4) if number else (0, 1))
    }


def _of_movenet(checkpoint: Checkpoint, backbone: str) -> BackboneFile:
    """The kernels, and the biases, which may be absent."""
    published, places = {}, {}
    for layer, kernel, bias in movenet_names():
        places[layer] = layer
        for leaf, name in (("weight", kernel), ("bias", bias)):
            if name in checkpoint.weights:
                published[f"{layer}.{leaf}"] = _kernel(checkpoint.weights[name])
    heads = {place: _kernel(checkpoint.weights[name]).float() for place, name in head_names(checkpoint.weights).items()}
    file = _file(Checkpoint(checkpoint.path, published), backbone, None, places, {name: name for name in published})
    return replace(file, heads=heads)


def _kernel(value: Tensor) -> Tensor:
    """A weight of TensorFlow, whose kernels are (h, w, inputs, outputs), depthwise ones (h, w, channels, 1)."""
    if value.ndim == 4:
        value = value.permute(2, 3, 0, 1) if value.shape[3] == 1 else value.permute(3, 2, 0, 1)
    return value.contiguous()


def _file(
    checkpoint: Checkpoint,
    backbone: str,
    normalization: str | None,
    places: Mapping[str, str],
    names: Mapping[str, str],
) -> BackboneFile:
    with torch.device("meta"):
        expected = {key: value.shape for key, value in build_backbone(backbone).state_dict().items()}
    weights = {}
    for layer, place in places.items():
        for leaf in NORM_LEAVES:
            key = f"{place}.{leaf}"
            if key not in expected:
                continue
            if f"{layer}.{leaf}" not in names:
                raise ModelError(f"{checkpoint.path} is no complete {backbone}: it lacks {layer}.{leaf}")
            value = checkpoint.weights[names[f"{layer}.{leaf}"]]
            value = value.flatten() if len(expected[key]) == 1 else value
            if value.shape != expected[key]:
                shapes = ", expected ".join(" x ".join(map(str, shape)) for shape in (value.shape, expected[key]))
                raise ModelError(f"{checkpoint.path} is not {backbone}: {layer}.{leaf} has shape {shapes}")
            if not value.isfinite().all():
                raise ModelError(f"{checkpoint.path} is damaged: {layer}.{leaf} has values that are not finite")
            weights[key] = value.float()
    if normalization == "caffe":
        first = places["conv1_1"] + ".weight"
        weights[first] = weights[first].flip(1)  # BGR -> RGB
    return BackboneFile(checkpoint.path, backbone, normalization, weights)
