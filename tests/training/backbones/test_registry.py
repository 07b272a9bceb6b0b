"""Laws of every registered backbone, and of the neck; a new one is a class and a line in the table."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import cairn.methods.hourglass.training as hourglass
import cairn.methods.openpose.training as openpose
from cairn.datasets.labels import Labels
from cairn.errors import RecipeError
from cairn.inference.network import OnnxNetwork
from cairn.training.backbones.backbone import Backbone, Neck
from cairn.training.backbones.registry import (
    BACKBONES,
    build_backbone,
    describe_backbone,
    has_backbone,
    recognize_backbone,
)
from cairn.training.data.loading import stack
from cairn.training.engine.training_module import make_optimizer
from cairn.training.exporting.onnx_file import export
from cairn.training.recipe import LabelSource, Optimizer
from cairn.training.recipe_tables import check_recipe
from support.made_data import THING, made_labels

METHODS = {"openpose": openpose, "hourglass": hourglass}


class Toy(Backbone):
    """Two convolutions: one feature map of stride 4."""

    def __init__(self) -> None:
        super().__init__()
        self.stages = nn.ModuleList([nn.Conv2d(3, 6, 3, 2, 1), nn.Conv2d(6, 10, 3, 2, 1)])
        self.strides, self.channels = (4,), (10,)

    def forward(self, image):
        return [self.stages[1](torch.relu(self.stages[0](image / 255)))]


@pytest.mark.parametrize("name", BACKBONES)
def test_feature_maps_have_the_strides_and_channels_of_the_backbone(name):
    backbone, side = build_backbone(name), 64
    maps = backbone(torch.rand(2, 3, side, 2 * side) * 255)
    expected = [(2, c, side // s, 2 * side // s) for c, s in zip(backbone.channels, backbone.strides, strict=True)]
    assert [tuple(each.shape) for each in maps] == expected
    assert list(backbone.strides) == sorted(backbone.strides)


@pytest.mark.parametrize("name", BACKBONES)
def test_a_description_is_of_the_backbone_and_draws_no_random_numbers(name):
    before = torch.get_rng_state()
    describe_backbone.__globals__["_describe"].cache_clear()
    facts = describe_backbone(name)
    assert torch.equal(torch.get_rng_state(), before)
    backbone = build_backbone(name)
    assert (facts.strides, facts.stages) == (backbone.strides, len(backbone.stages))
    assert facts.has_pretrained == name.startswith("efficientnet")


@pytest.mark.parametrize("name", BACKBONES)
def test_a_backbone_is_recognized_by_its_weights(name):
    weights = {f"backbone.{key}": value for key, value in build_backbone(name).state_dict().items()}
    assert recognize_backbone(weights) == name
    assert [other for other in BACKBONES if has_backbone(weights, other)] == [name]
    assert recognize_backbone({key: value for key, value in weights.items() if "stages.0" not in key}) is None


@pytest.mark.parametrize("name", BACKBONES)
def test_frozen_stages_keep_their_weights_and_statistics_and_the_others_train(name):
    backbone = build_backbone(name)
    backbone.freeze(2)
    backbone.train()
    before = {key: value.clone() for key, value in backbone.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in backbone.parameters() if p.requires_grad], lr=0.1)
    sum(each.square().mean() for each in backbone(torch.rand(2, 3, 64, 64) * 255)).backward()
    optimizer.step()
    changed = {key.split(".")[1] for key, value in backbone.state_dict().items() if not torch.equal(value, before[key])}
    assert changed == {str(stage) for stage in range(2, len(backbone.stages))}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", BACKBONES)
def test_every_backbone_fits_every_method_with_a_learning_rate_of_its_own(method, name):
    module_ = METHODS[method]
    tables = {"network": {"backbone": name, "frozen_stages": 2, "backbone_lr_factor": 0.1, "features": 8}}
    recipe = check_recipe(module_.Recipe, tables)
    module = module_.module(recipe, THING, Labels(THING, (), np.ones(3, bool)))
    optimizer = make_optimizer(module.network, Optimizer(learning_rate=1e-2, weight_decay=0.5), module.backbone)
    stages = {id(p) for p in module.backbone.stages.parameters()}
    trained = []
    for group in optimizer.param_groups:
        for p in group["params"]:
            assert group["lr"] == pytest.approx(1e-3 if id(p) in stages else 1e-2)
            assert group["weight_decay"] == (0.5 if p.ndim > 1 else 0)
            trained.append(id(p))
    assert len(trained) == len(set(trained))
    assert set(trained) == {id(p) for p in module.network.parameters() if p.requires_grad}
    assert len(optimizer.param_groups) == 4
    outputs = module.export_module().eval()(torch.rand(1, 3, 64, 128) * 255)
    cells = 8 if method == "openpose" else 4
    assert {tuple(each.shape[2:]) for each in outputs} == {(64 // cells, 128 // cells)}


@pytest.mark.parametrize("method", METHODS)
def test_a_new_backbone_is_a_class_and_a_line(method, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(BACKBONES, "toy", Toy)
    module_ = METHODS[method]
    labels = made_labels(tmp_path / "set", 4)
    sizes = {"size": 64, "inference_size": 96} if method == "openpose" else {"size": 64}
    tables = {"input": sizes, "network": {"backbone": "toy", "frozen_stages": 1, "features": 8}}
    recipe = check_recipe(module_.Recipe, tables)
    module = module_.module(recipe, THING, labels)
    data = module_.training_set(recipe, THING, [(labels, LabelSource(labels="x"))])
    optimizer = make_optimizer(module.network, recipe.optimizer, module.backbone)
    before = {key: value.clone() for key, value in module.network.state_dict().items()}
    sum(module.losses(stack([data[i] for i in range(4)])).values()).backward()
    optimizer.step()
    same = {key for key, value in module.network.state_dict().items() if torch.equal(value, before[key])}
    assert {"backbone.stages.0.weight", "backbone.stages.0.bias"} <= same
    assert "backbone.stages.1.weight" not in same
    export(module.export_module(), module.spec(), tmp_path / "toy.onnx")
    assert OnnxNetwork(tmp_path / "toy.onnx").spec.method == method
    table = module_.network_of(module.network.state_dict(), len(THING))
    assert (table["backbone"], table["features"]) == ("toy", 8)


@pytest.mark.parametrize(("features", "laterals"), [(10, 0), (7, 1)])
def test_a_neck_pools_a_finer_map_and_keeps_one_that_fits(features, laterals):
    toy = Toy()
    image = torch.rand(1, 3, 32, 64)
    neck = Neck(toy, features, 8)
    assert neck(toy(image)).shape == (1, features, 4, 8)
    assert len(neck.laterals) == laterals
    if not laterals:
        assert torch.equal(Neck(toy, features, 4)(toy(image)), toy(image)[0])
        torch.testing.assert_close(neck(toy(image)), nn.functional.avg_pool2d(toy(image)[0], 2))


def test_a_neck_adds_coarser_maps_to_the_requested_one():
    backbone = build_backbone("light", widths=(4, 5, 6, 7), depths=(1, 1, 1))
    neck = Neck(backbone, 3, 8)
    maps = backbone(torch.rand(1, 3, 64, 32) * 255)
    expected = neck.laterals[0](maps[1])  # the finer map of stride 4 is not used
    for level, factor in ((1, 2), (2, 4)):
        lateral = neck.laterals[level](maps[level + 1])
        expected = expected + lateral.repeat_interleave(factor, 2).repeat_interleave(factor, 3)
    torch.testing.assert_close(neck(maps), expected)


def test_a_backbone_without_a_map_that_is_fine_enough_raises_recipe_error():
    with pytest.raises(RecipeError, match="has feature maps of stride 4; this method needs one of stride 2"):
        Neck(Toy(), 8, 2)


def test_a_backbone_without_pretrained_weights_raises_recipe_error():
    with pytest.raises(RecipeError, match=r'vgg19 has no pretrained weights: set network\.backbone = "eff'):
        build_backbone("vgg19").load_pretrained()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("network", "message"),
    [
        ({"backbone": "resnet50"}, "network.backbone: there is no backbone 'resnet50': expected one of efficientnet-"),
        ({"backbone": "vgg19", "frozen_stages": 6}, "frozen_stages must be at most 5, .* backbone vgg19; got 6"),
        ({"backbone_lr_factor": 0}, "network.backbone_lr_factor"),
    ],
)
def test_an_impossible_backbone_setting_is_one_line(method, network, message):
    with pytest.raises(RecipeError, match=message) as error:
        check_recipe(METHODS[method].Recipe, {"network": network})
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ({"backbone": "vgg19", "widths": [8, 8, 8, 8]}, 'widths apply to backbone = "light" only'),
        ({"kind": "paper", "depthwise": True}, 'depthwise applies to kind = "light" only'),
    ],
)
def test_settings_that_another_network_would_ignore_raise_recipe_error(network, message):
    with pytest.raises(RecipeError, match=message):
        check_recipe(openpose.Recipe, {"network": network})
