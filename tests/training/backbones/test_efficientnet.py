"""EfficientNet-Lite against the released networks: the same features from the same weights."""

import numpy as np
import pytest
import torch
from efficientnet_lite_pytorch import EfficientNet

from cairn.datasets.labels import Labels
from cairn.errors import ModelError
from cairn.methods.hourglass.training import HourglassModule
from cairn.methods.hourglass.training import Recipe as HourglassRecipe
from cairn.methods.openpose.training import OpenPoseModule, Recipe
from cairn.training.backbones.efficientnet import EfficientNetBackbone, stages_of
from cairn.training.backbones.imagenet import imagenet_weights
from cairn.training.recipe_tables import check_recipe
from support.made_data import THING

NO_IMAGES = Labels(THING, (), np.ones(3, bool))


@pytest.mark.parametrize("lite", [0, 1, 2])
def test_stages_equal_another_implementation_with_the_released_weights(lite):
    weights = imagenet_weights(lite)
    backbone = EfficientNetBackbone(lite)
    backbone.load_pretrained()
    other = EfficientNet.from_name(f"efficientnet-lite{lite}", image_size=224)  # its padding is for one size
    other.load_state_dict(weights)
    backbone.eval(), other.eval()
    images = torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(0)) * 255
    with torch.no_grad():
        *_, ours = backbone(images)
        theirs = other._swish(other._bn0(other._conv_stem((images - 127) / 128)))
        for block in other._blocks[: sum(stage[0] for stage in stages_of(lite))]:
            theirs = block(theirs)
    assert theirs.abs().max() > 1
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_weights_of_another_network_raise_model_error():
    weights = imagenet_weights()
    names = list(weights)
    with pytest.raises(ModelError, match="not the weights of EfficientNet-Lite2"):
        EfficientNetBackbone(lite=2).load_imagenet(weights)
    with pytest.raises(ModelError, match="not the weights of EfficientNet-Lite0"):
        EfficientNetBackbone().load_imagenet({name: weights[name] for name in names[:50]})
    with pytest.raises(ModelError, match=r"expected 0\.0\.weight, got _bn0\.weight"):
        EfficientNetBackbone().load_imagenet({name: weights[name] for name in names[1:]})


def test_a_module_loads_the_pretrained_weights_of_its_backbone():
    recipe = check_recipe(Recipe, {"network": {"backbone": "efficientnet-lite0", "frozen_stages": 2, "features": 8}})
    module = OpenPoseModule(recipe, THING, NO_IMAGES)
    module.backbone.load_pretrained()
    assert torch.equal(module.network.backbone.stages[0][0].weight, imagenet_weights()["_conv_stem.weight"])


def test_an_hourglass_on_efficientnet_loads_the_pretrained_weights():
    tables = {"input": {"size": 32}, "network": {"backbone": "efficientnet-lite1", "features": 8, "depth": 1}}
    module = HourglassModule(check_recipe(HourglassRecipe, tables), THING, NO_IMAGES)
    module.backbone.load_pretrained()
    network = module.network
    assert torch.equal(network.backbone.stages[0][0].weight, imagenet_weights(1)["_conv_stem.weight"])
    images = torch.rand(2, 3, 32, 64) * 255
    assert [maps.shape for maps in network(images)] == [(2, 3, 8, 16)]
    with torch.no_grad():  # its input is the image from 0 to 255, which it normalizes
        module.eval()
        features, _ = network.stacks[0](network.neck(network.backbone(images)))
        torch.testing.assert_close(network.stacks[0].heatmaps(features), network(images)[0])
