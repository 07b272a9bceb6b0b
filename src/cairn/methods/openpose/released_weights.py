"""From the layers of a released network to the weights of the network that is trained: for fine-tuning imports.

| released | trained | difference |
|---|---|---|
| COCO, MPI | `model.TwoBranchOpenPose` on VGG-19 | names |
| BODY_25 | `model.OpenPose` of dense stages on VGG-19 with PReLU | the order of the inputs of later heatmap stages |
| hand, face | `model.HandNetwork` on VGG-19 | names |

Released networks take BGR, x / 256 - 0.5; the trained ones RGB, with the normalization that is saved among the weights.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from cairn.methods.openpose.released import BODY, CROP, VGG
from cairn.training.backbones.layers import NORMALIZATIONS

PREFIX = "layer."
"""Prefix of the weights of a released network in an imported file."""


def trainable(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns the weights of a released network under the names of the trained one; others unchanged.

    Args:
        weights: Weights by the name in the file, such as `layer.conv1_1.weight`; slopes of a PReLU as
            `layer.conv4_2.slopes`.
    """
    own = {name.removeprefix(PREFIX): value for name, value in weights.items() if name.startswith(PREFIX)}
    if "conv1_1.weight" not in own:
        return dict(weights)
    layers = {name.rsplit(".", 1)[0] for name in own}
    result = {}
    for name, value in own.items():
        layer, kind = name.rsplit(".", 1)
        place = _place(layer, layers)
        if place is not None:
            result[f"{place}.{kind}"] = value
    first = "backbone.stages.0.0.weight"
    result[first] = result[first].flip(1)  # BGR -> RGB
    _reorder(result)
    for part, values in zip(("mean", "std"), NORMALIZATIONS["centered"], strict=True):
        result[f"backbone.normalize.{part}"] = torch.tensor(values).view(1, 3, 1, 1)
    return result


def _place(layer: str, layers: set[str]) -> str | None:
    """The name of a layer in the trained network; None for a layer of no network."""
    if layer in VGG:
        block, index = int(layer[4]) - 1, int(layer[6]) - 1  # conv1_1
        return f"backbone.stages.{block}.{2 * index + (block > 0)}"  # a pooling comes first
    tail = [name for name in (CROP if "conv5_3_CPM" in layers else BODY) if name not in VGG]
    if layer in tail:
        return f"backbone.stages.4.{2 * tail.index(layer)}"
    match = re.fullmatch(r"conv5_(\d)_CPM_L(\d)", layer)
    if match:
        return f"{_branch(match[2])}.0.{2 * (int(match[1]) - 1)}"
    match = re.fullmatch(r"conv6_(\d)_CPM", layer)
    if match:
        return f"heatmap_stages.0.{2 * (int(match[1]) - 1)}"
    match = re.fullmatch(r"Mconv(\d)_stage(\d)_L(\d)(?:_(\d))?", layer)
    if match and "Mconv1_stage0_L2_0" in layers:
        number, stage, kind, part = match.groups()
        stages = "paf_stages" if kind == "2" else "heatmap_stages"
        if part is not None:
            return f"{stages}.{stage}.blocks.{int(number) - 1}.convolutions.{part}.0"
        return f"{stages}.{stage}.head.{2 * (int(number) - 6)}"
    if match:
        return f"{_branch(match[3])}.{int(match[2]) - 1}.{2 * (int(match[1]) - 1)}"
    match = re.fullmatch(r"Mconv(\d)_stage(\d)", layer)
    return f"heatmap_stages.{int(match[2]) - 1}.{2 * (int(match[1]) - 1)}" if match else None


def _branch(number: str) -> str:
    """Branch 1 of COCO's and MPI's networks predicts PAFs, branch 2 heatmaps."""
    return "paf_branches" if number == "1" else "heatmap_branches"


def _reorder(weights: dict[str, Tensor]) -> None:
    """Moves the inputs of BODY_25's later heatmap stages from [F, heatmaps, PAFs] to [F, PAFs, heatmaps]."""
    head = "heatmap_stages.0.head.2.weight"
    if head not in weights:
        return
    maps, fields = len(weights[head]), len(weights["paf_stages.0.head.2.weight"])
    for name in weights:
        if re.fullmatch(r"heatmap_stages\.[1-9]\d*\.blocks\.0\.convolutions\.0\.0\.weight", name):
            kernel = weights[name]
            rest = kernel.shape[1] - maps - fields
            features, heatmaps, pafs = kernel[:, :rest], kernel[:, rest : rest + maps], kernel[:, rest + maps :]
            weights[name] = torch.cat([features, pafs, heatmaps], dim=1)
