"""VGG-19 and MobileNet v1 as starts: features equal those of the original network, with its own preprocessing."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import cairn.methods.hourglass.training as hourglass
import cairn.methods.openpose.training as openpose
from cairn.datasets.labels import Labels
from cairn.errors import ModelError, RecipeError
from cairn.methods.autoconfig import with_network
from cairn.methods.openpose.recipe import NetworkSettings
from cairn.training.autoconfig.choices import Choice
from cairn.training.backbones.registry import build_backbone
from cairn.training.checkpoints.backbone_file import read_backbone
from cairn.training.data.loading import TrainingSet
from cairn.training.engine.initial_weights import build_module
from cairn.training.recipe_tables import check_recipe
from support import caffe_files
from support.made_data import THING

Weights = dict[str, Tensor]

WIDTHS = ((64, 64), (128, 128), (256, 256, 256, 256), (512, 512, 512, 512))
NUMBERS = ((0, 2), (5, 7), (10, 12, 14, 16), (19, 21, 23, 25))
NORMS = "weight", "bias", "running_mean", "running_var"


def vgg() -> list[list[tuple[Tensor, Tensor]]]:
    rng, inputs, blocks = torch.Generator().manual_seed(1), 3, []
    for widths in WIDTHS:
        block = []
        for width in widths:
            kernel = torch.randn(width, inputs, 3, 3, generator=rng) * (2 / (9 * inputs)) ** 0.5
            block.append((kernel, 0.1 * torch.randn(width, generator=rng)))
            inputs = width
        blocks.append(block)
    return blocks


def features(x: Tensor) -> Tensor:
    """conv4_2 of images that are preprocessed already."""
    for number, block in enumerate(vgg()):
        x = F.max_pool2d(x, 2) if number else x
        for kernel, bias in block[: 2 if number == 3 else None]:
            x = F.conv2d(x, kernel, bias, padding=1).clamp(min=0)
    return x


def torchvision_file(path: Path) -> Path:
    weights: Weights = {}
    for numbers, block in zip(NUMBERS, vgg(), strict=True):
        for number, (kernel, bias) in zip(numbers, block, strict=True):
            weights |= {f"features.{number}.weight": kernel, f"features.{number}.bias": bias}
    torch.save(weights | {"classifier.0.weight": torch.zeros(4, 8)}, path)
    return path


def caffe_file(path: Path) -> Path:
    blobs = {
        f"conv{b}_{i}": [kernel.numpy(), bias.numpy()]
        for b, block in enumerate(vgg(), start=1)
        for i, (kernel, bias) in enumerate(block, start=1)
    }
    path.write_bytes(caffe_files.caffemodel(blobs | {"fc6": [np.zeros((4, 8), np.float32)]}, legacy=True))
    return path


def images() -> Tensor:
    return torch.from_numpy(np.random.default_rng(0).uniform(0, 255, (2, 3, 32, 48)).astype(np.float32))


def module_from(path: Path, method: str = "openpose", **tables: object) -> openpose.OpenPoseModule:
    """The module that `cairn train --from` begins with."""
    training = {"openpose": openpose, "hourglass": hourglass}[method].TRAINING
    chosen = with_network(Choice({"method": method, "pretrained": str(path), **tables}))
    recipe = check_recipe(training.recipe, chosen.tables)
    labels = Labels(THING, (), np.ones(3, bool))
    return build_module(training, recipe, THING, labels, TrainingSet([], None, 0, 0), resumed=False)


def conv4_2(module: openpose.OpenPoseModule, x: Tensor) -> Tensor:
    backbone = module.backbone
    x = backbone.normalize(x)
    for stage in backbone.stages[:4]:
        x = stage(x)
    return x


@torch.no_grad()
@pytest.mark.parametrize(
    ("write", "preprocess", "normalization"),
    [
        (
            torchvision_file,
            lambda x: (
                (x / 255 - torch.tensor([0.485, 0.456, 0.406])[:, None, None])
                / torch.tensor([0.229, 0.224, 0.225])[:, None, None]
            ),
            "imagenet",
        ),
        (caffe_file, lambda x: x.flip(1) - torch.tensor([103.939, 116.779, 123.68])[:, None, None], "caffe"),
    ],
    ids=["torchvision", "caffe"],
)
def test_features_of_vgg19_equal_those_of_the_original(tmp_path: Path, write, preprocess, normalization) -> None:
    path = write(tmp_path / ("vgg19.caffemodel" if normalization == "caffe" else "vgg19.pth"))
    expected = features(preprocess(images()))
    assert expected.abs().max() > 0.1
    for network in ({}, {"network": {"kind": "cvpr", "paf_stages": 1}}, {"network": {"kind": "hand"}}):
        module = module_from(path, **network)
        assert torch.allclose(conv4_2(module, images()), expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))
        assert module.recipe.network.normalization == normalization
        assert module.recipe.network.kind == network.get("network", {"kind": "paper"})["kind"]


@torch.no_grad()
def test_an_hourglass_starts_from_vgg19_too(tmp_path: Path) -> None:
    path = torchvision_file(tmp_path / "vgg19.pth")
    module = module_from(path, "hourglass")
    assert module.recipe.network.backbone == "vgg19"
    assert torch.equal(module.backbone.stages[0][0].weight, read_backbone(str(path)).weights["stages.0.0.weight"])


def test_the_network_of_a_run_keeps_its_normalization() -> None:
    settings = NetworkSettings.model_validate({"kind": "cvpr", "paf_stages": 1, "normalization": "caffe"})
    state = openpose.build_network(settings, THING).state_dict()
    assert NetworkSettings.model_validate(openpose.network_of(state, 3)) == settings


# ---- MobileNet v1


def mobilenet_file(path: Path) -> tuple[Path, Weights]:
    rng = torch.Generator().manual_seed(2)
    weights: Weights = {}

    def norm(name: str, width: int) -> None:
        for leaf in NORMS:
            weights[f"{name}.{leaf}"] = 0.5 + torch.rand(width, generator=rng)

    weights["model.0.0.weight"] = torch.randn(32, 3, 3, 3, generator=rng)
    norm("model.0.1", 32)
    widths = [32, 64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024]
    for i, (inputs, outputs) in enumerate(pairwise(widths), start=1):
        weights[f"model.{i}.0.weight"] = torch.randn(inputs, 1, 3, 3, generator=rng)
        norm(f"model.{i}.1", inputs)
        weights[f"model.{i}.3.weight"] = torch.randn(outputs, inputs, 1, 1, generator=rng) / inputs**0.5
        norm(f"model.{i}.4", outputs)
    weights["fc.weight"] = torch.zeros(4, 1024)
    torch.save({"epoch": 3, "state_dict": {f"module.{key}": value for key, value in weights.items()}}, path)
    return path, weights


@torch.no_grad()
def test_features_of_mobilenet_equal_those_of_the_original_up_to_its_third_stride(tmp_path: Path) -> None:
    path, w = mobilenet_file(tmp_path / "mobilenet.pth.tar")
    module = module_from(path)
    assert (module.recipe.network.kind, module.recipe.network.normalization) == ("lightweight", "imagenet")

    def norm(name: str, x: Tensor) -> Tensor:
        weight, bias, mean, var = (w[f"{name}.{leaf}"] for leaf in NORMS)
        return F.batch_norm(x, mean, var, weight, bias).clamp(min=0)

    x = (images() - torch.tensor([123.675, 116.28, 103.53])[:, None, None]) / torch.tensor([58.395, 57.12, 57.375])[
        :, None, None
    ]
    x = norm("model.0.1", F.conv2d(x, w["model.0.0.weight"], stride=2, padding=1))
    for i, stride in enumerate((1, 2, 1), start=1):
        kernel = w[f"model.{i}.0.weight"]
        x = norm(f"model.{i}.1", F.conv2d(x, kernel, stride=stride, padding=1, groups=len(kernel)))
        x = norm(f"model.{i}.4", F.conv2d(x, w[f"model.{i}.3.weight"]))
    got = module.backbone.eval()(images())[0]
    assert torch.allclose(got, x, rtol=1e-4, atol=1e-4 * float(x.abs().max()))
    assert torch.equal(module.backbone.stages[3][5][3].weight, w["model.11.3.weight"])


# ---- files that do not fit


def test_files_that_do_not_fit_are_one_line(tmp_path: Path) -> None:
    whole = torch.load(torchvision_file(tmp_path / "vgg19.pth"))
    cases: dict[str, tuple[object, str]] = {
        "half.pth": ({k: v for k, v in whole.items() if "features.21" not in k}, "it lacks features.21.weight"),
        "vgg16.pth": ({k: v for k, v in whole.items() if "features.16." not in k}, "it lacks features.16.weight"),
        "vgg_bn.pth": (
            whole | {"features.2.weight": torch.zeros(64)},
            "features.2.weight has shape 64, expected 64 x 64",
        ),
        "nan.pth": (whole | {"features.5.bias": torch.full((128,), torch.nan)}, "values that are not finite"),
        "resnet.pth": ({"conv1.weight": torch.zeros(1)}, "weights of no backbone that training can start from"),
        "pose.pth": (
            {"cpm.align.0.weight": torch.zeros(1), "model.0.0.weight": torch.zeros(1)},
            "convert a pose network first: cairn import",
        ),
        "empty.pth": ({}, "contains no named weights"),
    }
    for name, (content, message) in cases.items():
        torch.save(content, tmp_path / name)
        with pytest.raises(ModelError, match=message) as error:
            module_from(tmp_path / name)
        assert "\n" not in str(error.value)
    (tmp_path / "cut.pth").write_bytes((tmp_path / "vgg19.pth").read_bytes()[:70_000])
    with pytest.raises(ModelError, match=r"cut\.pth is truncated"):
        module_from(tmp_path / "cut.pth")
    with pytest.raises(ModelError, match="no checkpoint at"):
        module_from(tmp_path / "absent.pth")


def test_a_recipe_of_another_backbone_or_normalization_is_one_line(tmp_path: Path) -> None:
    path = torchvision_file(tmp_path / "vgg19.pth")
    with pytest.raises(RecipeError, match=r"vgg19\.pth has the weights of vgg19, and the recipe has backbone light"):
        module_from(path, network={"kind": "light"})
    with pytest.raises(RecipeError, match="landmarks has no backbone that takes"):
        with_network(Choice({"method": "landmarks", "pretrained": str(path)}))
    weights = read_backbone(str(caffe_file(tmp_path / "vgg19.caffemodel")))
    with pytest.raises(RecipeError, match=r'set network\.normalization = "caffe"'):
        weights.load(build_backbone("vgg19"), None)
    weights.load(build_backbone("vgg19", normalization="centered"), "centered")  # as in OpenPose's release
