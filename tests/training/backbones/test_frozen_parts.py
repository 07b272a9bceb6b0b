"""Laws of backbones of which only a part is trained."""

import pytest
import torch
from torch import nn

from cairn.training.backbones.depthwise import DepthwiseConv2d
from cairn.training.backbones.layers import ConvNorm
from cairn.training.backbones.registry import build_backbone
from cairn.training.engine.training_module import make_optimizer
from cairn.training.recipe import Optimizer

IMAGES = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 255


@pytest.fixture
def backbone():
    """EfficientNet-Lite0 whose normalizations have statistics of their own, in double precision."""
    torch.manual_seed(0)
    network = build_backbone("efficientnet-lite0").double()
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.uniform_(-0.2, 0.2)
            layer.running_var.uniform_(0.5, 2)
            nn.init.uniform_(layer.bias, -0.2, 0.2)
    return network


def gradients(network):
    network.zero_grad()
    sum(maps.square().mean() for maps in network(IMAGES.double())).backward()
    return {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("stages", [0, 3])
def test_fixed_normalizations_compute_the_same_as_part_of_the_convolution(backbone, stages):
    backbone.freeze(stages, pointwise=True)
    expected = backbone.eval()(IMAGES.double())
    for maps, wanted in zip(backbone.train()(IMAGES.double()), expected, strict=True):
        torch.testing.assert_close(maps, wanted)
    fused = gradients(backbone)
    for layer in backbone.modules():
        if isinstance(layer, ConvNorm):
            assert layer.fixed
            layer.fixed = False
    plain = gradients(backbone)
    assert fused.keys() == plain.keys()
    for name, gradient in fused.items():
        torch.testing.assert_close(gradient, plain[name])


@pytest.mark.parametrize("pointwise", [False, True])
@pytest.mark.parametrize("stages", [0, 2])
def test_a_step_changes_only_what_is_trained(backbone, stages, pointwise):
    backbone.freeze(stages, pointwise)
    backbone.train()
    frozen = set()
    for number, stage in enumerate(backbone.stages):
        for name, layer in stage.named_modules():
            if number < stages or (pointwise and isinstance(layer, DepthwiseConv2d | nn.BatchNorm2d)):
                frozen |= {f"stages.{number}.{name}.{leaf}" for leaf in dict(layer.named_parameters(recurse=False))}
                frozen |= {f"stages.{number}.{name}.{leaf}" for leaf in dict(layer.named_buffers(recurse=False))}
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    optimizer = make_optimizer(backbone, Optimizer(learning_rate=0.1))
    gradients(backbone)
    optimizer.step()
    same = {name for name, value in backbone.state_dict().items() if torch.equal(value, before[name])}
    assert same == frozen


def test_evaluation_and_export_see_plain_layers(backbone):
    backbone.freeze(1, pointwise=True)
    backbone.train()
    backbone.eval()
    assert not any(layer.fixed for layer in backbone.modules() if isinstance(layer, ConvNorm))
