"""Laws of the backbone that starts from ImageNet: it computes what the released network does, and keeps what is frozen."""

import numpy as np
import pytest
import torch
from efficientnet_lite_pytorch import EfficientNet

from cairn.datasets.labels import Labels
from cairn.errors import ModelError, RecipeError
from cairn.methods.hourglass.training import HourglassModule
from cairn.methods.hourglass.training import Recipe as HourglassRecipe
from cairn.methods.openpose.training import OpenPoseModule, Recipe
from cairn.training.backbones.efficientnet import EfficientNetBackbone, stages_of
from cairn.training.backbones.imagenet import imagenet_weights
from cairn.training.engine.module import make_optimizer
from cairn.training.recipe import Optimizer, check_recipe
from support.made_data import THING


@pytest.mark.parametrize("lite", [0, 1, 2])
def test_its_stages_compute_what_another_implementation_does_with_the_released_weights(lite):
    weights = imagenet_weights(lite)
    backbone = EfficientNetBackbone(8, lite)
    backbone.load_imagenet(weights)
    other = EfficientNet.from_name(f"efficientnet-lite{lite}", image_size=224)  # it pads for one size
    other.load_state_dict(weights)
    backbone.eval(), other.eval()
    images = torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(0)) * 255
    with torch.no_grad():
        ours = backbone.normalize(images)
        for stage in backbone.stages:
            ours = stage(ours)
        theirs = other._swish(other._bn0(other._conv_stem((images - 127) / 128)))
        for block in other._blocks[: sum(stage[0] for stage in stages_of(lite))]:
            theirs = block(theirs)
    assert theirs.abs().max() > 1
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_weights_of_another_network_are_refused():
    weights = imagenet_weights()
    names = list(weights)
    with pytest.raises(ModelError, match="no weights of EfficientNet-Lite2"):
        EfficientNetBackbone(8, lite=2).load_imagenet(weights)
    with pytest.raises(ModelError, match="no weights of EfficientNet-Lite0"):
        EfficientNetBackbone(8).load_imagenet({name: weights[name] for name in names[:50]})
    with pytest.raises(ModelError, match="stands in the place of"):
        EfficientNetBackbone(8).load_imagenet({name: weights[name] for name in names[1:]})


@pytest.mark.parametrize("size", [(64, 96), (32, 32)])
@pytest.mark.parametrize("stride", [4, 8])
def test_it_gives_features_at_its_stride(size, stride):
    shape = EfficientNetBackbone(12, stride=stride)(torch.rand(2, 3, *size)).shape
    assert shape == (2, 12, size[0] // stride, size[1] // stride)


def test_what_is_frozen_stays_and_the_rest_learns():
    backbone = EfficientNetBackbone(8, frozen=3).train()
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in backbone.parameters() if p.requires_grad], lr=0.1)
    backbone(torch.rand(2, 3, 64, 64) * 255).square().sum().backward()
    optimizer.step()
    changed = {name for name, value in backbone.state_dict().items() if not torch.equal(value, before[name])}
    frozen = {name for name in before if name.startswith(("stages.0.", "stages.1.", "stages.2."))}
    assert not changed & frozen
    assert {"stages.3.0.layers.1.0.weight", "stages.6.3.layers.1.0.weight", "laterals.0.weight"} <= changed
    assert any("running_mean" in name for name in changed)


def module_of(network):
    recipe = check_recipe(Recipe, {"pretrained": "imagenet", "network": network})
    return OpenPoseModule(recipe, THING, Labels(THING, (), np.ones(3, bool)))


def test_a_module_starts_from_imagenet_where_its_network_can():
    module = module_of({"kind": "efficientnet", "frozen": 2, "features": 8})
    module.load_imagenet()
    assert torch.equal(module.network.backbone.stages[0][0].weight, imagenet_weights()["_conv_stem.weight"])
    with pytest.raises(RecipeError, match="efficientnet"):
        module_of({"kind": "light"}).load_imagenet()


def test_an_hourglass_stands_on_it_and_starts_from_imagenet_too():
    tables = {"input": {"size": 32}, "network": {"backbone": "efficientnet", "lite": 1, "features": 8, "depth": 1}}
    module = HourglassModule(check_recipe(HourglassRecipe, tables), THING, Labels(THING, (), np.ones(3, bool)))
    module.load_imagenet()
    assert torch.equal(module.network.stem.stages[0][0].weight, imagenet_weights(1)["_conv_stem.weight"])
    images = torch.rand(2, 3, 32, 64) * 255
    assert [maps.shape for maps in module.network(images)] == [(2, 3, 8, 16)]
    with torch.no_grad():  # it is shown the image from 0 to 255, as it wants it
        module.eval()
        features, _ = module.network.stacks[0](module.network.stem(images))
        torch.testing.assert_close(module.network.stacks[0].heatmaps(features), module.network(images)[0])
    plain = check_recipe(HourglassRecipe, {"network": {"features": 8}})
    with pytest.raises(RecipeError, match="efficientnet"):
        HourglassModule(plain, THING, Labels(THING, (), np.ones(3, bool))).load_imagenet()


@pytest.mark.parametrize("kind", [Recipe, HourglassRecipe])
@pytest.mark.parametrize(("setting", "value"), [("frozen", 1), ("lite", 1), ("backbone_lr_factor", 0.1)])
def test_what_is_its_own_is_not_ignored_by_other_networks(kind, setting, value):
    with pytest.raises(RecipeError, match="lite, frozen and backbone_lr_factor are settings of"):
        check_recipe(kind, {"network": {setting: value}})


def test_its_stages_learn_at_their_own_rate_and_all_else_at_the_recipe_s():
    network = module_of({"kind": "efficientnet", "frozen": 2, "backbone_lr_factor": 0.1, "features": 8}).network
    optimizer = make_optimizer(network, Optimizer(learning_rate=1e-2, weight_decay=0.5))
    stages = {id(p) for p in network.backbone.stages.parameters()}
    learning = {id(p) for p in network.parameters() if p.requires_grad}
    seen = []
    for group in optimizer.param_groups:
        for p in group["params"]:
            assert group["lr"] == pytest.approx(1e-3 if id(p) in stages else 1e-2)
            assert group["weight_decay"] == (0.5 if p.ndim > 1 else 0)
            seen.append(id(p))
    assert len(seen) == len(set(seen))
    assert set(seen) == learning
    assert len(optimizer.param_groups) == 4
