"""OpenPose on MoveNet: heatmaps as published, PAFs that are learned beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import ValidationError

from cairn.errors import ModelError, RecipeError, SkeletonError
from cairn.methods.openpose.movenet import MoveNetOpenPose
from cairn.methods.openpose.network import build_network, channels_of, network_of
from cairn.methods.openpose.recipe import NetworkSettings, Recipe
from cairn.structures.skeleton import load_skeleton
from cairn.training.backbones.movenet import SIZES
from cairn.training.checkpoints.backbone_file import read_backbone
from cairn.training.exporting.precision import kept_in_float
from support.tfjs_files import movenet_weights, write_tfjs

COCO = load_skeleton("coco17")
DENSE = load_skeleton(str(Path(__file__).parents[3] / "recipes" / "skeletons" / "coco17-dense.toml"))
NUMBERS = {"kpt_heatmap": (1, 7, 17), "kpt_regress": (2, 8, 34)}
"""Published head -> numbers of its two layers in their names, and its channels."""


def published() -> dict[str, NDArray[np.float32]]:
    """Random weights of backbone and heads."""
    rng = np.random.default_rng(1)
    weights = movenet_weights("multipose")
    for head, (separable, last, channels) in NUMBERS.items():
        first, second = (
            f"StatefulPartitionedCall/{head}_0/{name}" for name in (f"separable_conv2d_{separable}", f"conv2d_{last}")
        )
        shapes = {
            f"{first}/separable_conv2d/ReadVariableOp": (3, 3, 24, 1),
            f"{first}/separable_conv2d/ReadVariableOp_1": (1, 1, 24, 96),
            f"{first}/BiasAdd/ReadVariableOp": (96,),
            f"{second}/Conv2D/ReadVariableOp": (1, 1, 96, channels),
            f"{second}/BiasAdd/ReadVariableOp": (channels,),
        }
        weights |= {name: rng.normal(0, 0.2, shape).astype(np.float32) for name, shape in shapes.items()}
    return weights


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tfjs(tmp_path_factory.mktemp("movenet") / "movenet-multipose.json", published(), "float32")


def started(file: Path, skeleton: Any = DENSE) -> MoveNetOpenPose:
    network = build_network(NetworkSettings(kind="movenet", features=16), skeleton)
    assert isinstance(network, MoveNetOpenPose)
    weights = read_backbone(str(file))
    weights.load(network.backbone, None)
    weights.load_heads(network.heads)
    return network


IMAGE = torch.randint(0, 256, (2, 3, 64, 96), generator=torch.Generator().manual_seed(0)).float()


def test_heatmaps_are_those_of_the_published_head(file: Path) -> None:
    network, weights = started(file).eval(), {name: torch.from_numpy(value) for name, value in published().items()}
    with torch.no_grad():
        stages = network(IMAGE)
        x = network.backbone(IMAGE)[0] * SIZES[0]
    head = "StatefulPartitionedCall/kpt_heatmap_0/"
    depthwise = weights[f"{head}separable_conv2d_1/separable_conv2d/ReadVariableOp"].permute(2, 3, 0, 1)
    x = F.conv2d(x, depthwise, padding=1, groups=24)
    pointwise = weights[f"{head}separable_conv2d_1/separable_conv2d/ReadVariableOp_1"].permute(3, 2, 0, 1)
    x = F.conv2d(x, pointwise, weights[f"{head}separable_conv2d_1/BiasAdd/ReadVariableOp"]).relu()
    last = weights[f"{head}conv2d_7/Conv2D/ReadVariableOp"].permute(3, 2, 0, 1)
    x = F.conv2d(x, last, weights[f"{head}conv2d_7/BiasAdd/ReadVariableOp"])
    assert stages.heatmaps[0].shape == (2, 17, 16, 24)
    assert stages.pafs[0].shape == (2, 2 * len(DENSE.limbs), 16, 24)
    assert torch.allclose(stages.heatmaps[0], x, rtol=1e-4, atol=1e-4 * float(x.abs().max()))


def test_training_changes_the_pafs_alone(file: Path) -> None:
    network = started(file).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], 1e-3)
    network(IMAGE).pafs[0].square().mean().backward()
    optimizer.step()
    changed = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    assert changed
    assert all(name.startswith("paf_stages.") for name in changed)


def test_the_network_is_recognized_by_its_weights(file: Path) -> None:
    network = started(file)
    settings = network_of(network.state_dict(), 17)
    assert NetworkSettings(**settings) == NetworkSettings(kind="movenet", features=16)
    channels = channels_of(network, DENSE, background=False)
    assert {name: len(meanings) for name, (_, meanings) in channels.items()} == {
        "paf_stages.0.head.weight": 2 * len(DENSE.limbs),
        "paf_stages.0.head.bias": 2 * len(DENSE.limbs),
    }


def test_other_keypoints_and_several_classes_are_refused() -> None:
    settings = NetworkSettings(kind="movenet")
    with pytest.raises(SkeletonError, match="17 keypoints of coco17, and the labels have those of lsp14"):
        build_network(settings, load_skeleton("lsp14"))
    with pytest.raises(RecipeError, match='"movenet" predicts no classes'):
        build_network(settings, COCO, classes=2)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"stride": 8}, "has stride = 4, got 8"),
        ({"backbone": "movenet-thunder"}, "has backbone = 'movenet', got 'movenet-thunder'"),
        ({"visibility": True}, "has visibility = False, got True"),
        ({"heatmap_stages": 2}, "has heatmap_stages = 1, got 2"),
    ],
)
def test_settings_that_would_change_the_published_part_are_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        NetworkSettings(kind="movenet", **changed)


def test_a_recipe_without_the_published_weights_is_refused() -> None:
    values: dict[str, Any] = {"data": {"train": [{"labels": "a.json"}]}, "network": {"kind": "movenet"}}
    with pytest.raises(ValidationError, match='set pretrained = "movenet"'):
        Recipe.model_validate(values)
    assert Recipe.model_validate({**values, "pretrained": "movenet"}).targets.width == 2  # of stride 4


@pytest.mark.parametrize("layer", ["separable_conv2d_1/BiasAdd", "conv2d_7/Conv2D"])
def test_a_file_without_a_head_is_one_line(layer: str, tmp_path: Path) -> None:
    weights = {name: value for name, value in published().items() if layer not in name}
    network = build_network(NetworkSettings(kind="movenet", features=16), COCO)
    assert isinstance(network, MoveNetOpenPose)
    with pytest.raises(ModelError, match="has no published head heatmaps") as caught:
        read_backbone(str(write_tfjs(tmp_path / "a.json", weights))).load_heads(network.heads)
    assert "\n" not in str(caught.value)


def test_int8_keeps_the_published_heads_and_the_pyramid_in_float() -> None:
    """In 8 bits the heads lose half of the AP."""
    network = "network."
    weights = [
        f"{network}backbone.stages.{name}.weight" for name in ("0.0.0", "1.0", "5.laterals.0", "5.merges.0.0")
    ] + [f"{network}heads.heatmaps.0.weight", f"{network}paf_stages.0.fine.0.weight"]
    nodes = [
        onnx.helper.make_node("Conv", [f"x{i}", name], [f"x{i + 1}"], f"conv{i}") for i, name in enumerate(weights)
    ]
    nodes.insert(3, onnx.helper.make_node("Resize", ["x3"], ["y"], "resize"))
    small = [onnx.numpy_helper.from_array(np.zeros((4, 4, 1, 1), np.float32), name) for name in weights]
    graph = onnx.helper.make_graph(nodes, "graph", [], [], small)
    assert kept_in_float(graph) == ["conv0", "conv2", "resize", "conv3", "conv4"]
    del graph.node[5]  # without a published head the pyramid is in int8
    assert kept_in_float(graph) == ["conv0"]
