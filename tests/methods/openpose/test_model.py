"""The networks against the papers and the released files."""

import pytest
import torch
from torch import nn

from cairn.methods.openpose.model import cvpr_openpose, light_openpose, paper_openpose
from cairn.methods.openpose.released import Released, body_25, one_branch, two_branches
from cairn.training.backbones.light import LightBackbone


def multiply_adds(network: nn.Module, height: int, width: int) -> float:
    """Of all convolutions, in 10⁹, counted on tensors without data."""
    total = 0

    def count(layer: nn.Module, _: object, output: torch.Tensor) -> None:
        nonlocal total
        total += output.numel() * layer.weight[0].numel()

    network = network.to("meta")
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(count)
    network(torch.zeros(1, 3, height, width, device="meta"))
    return total / 1e9


def parameters(network: nn.Module) -> float:
    return sum(p.numel() for p in network.parameters()) / 1e6


def test_the_cvpr_network_is_as_large_as_the_released_coco_model():
    network = cvpr_openpose(maps=19, fields=38)
    assert parameters(network) == pytest.approx(52.31, abs=0.005)
    assert multiply_adds(network, 368, 656) == pytest.approx(242.3, abs=0.05)


def test_the_tpami_network_is_as_large_as_the_released_body_25_model():
    network = paper_openpose(maps=26, fields=52)
    assert parameters(network) == pytest.approx(26.17, abs=0.005)
    # As released and in equations 2 and 3: the first heatmap stage takes [F, L], the second [F, S, L].
    assert multiply_adds(network, 368, 656) == pytest.approx(143.6, abs=0.05)


def test_the_imported_networks_are_as_large_as_the_released_ones():
    coco, body25 = Released(two_branches(maps=19, fields=38)), Released(body_25(maps=26, fields=52))
    assert parameters(coco) == parameters(cvpr_openpose(maps=19, fields=38))
    assert multiply_adds(coco, 368, 656) == pytest.approx(242.3, abs=0.05)
    assert parameters(body25) == pytest.approx(26.17, abs=0.005)
    assert multiply_adds(body25, 368, 656) == pytest.approx(143.6, abs=0.05)
    hand, face = Released(one_branch(maps=22)), Released(one_branch(maps=71))
    # Their released files have 4 bytes per parameter, and a little more: 147.3 and 153.7 MB.
    assert 4 * parameters(hand) == pytest.approx(147.3, abs=0.1)
    assert 4 * parameters(face) == pytest.approx(153.7, abs=0.1)


@pytest.mark.parametrize(
    ("network", "stages"),
    [
        (paper_openpose(18, 38, paf_stages=3, heatmap_stages=2), (2, 3)),
        (cvpr_openpose(18, 38, stages=2), (2, 2)),
        (light_openpose(18, 38, 2, 3, LightBackbone(widths=(8, 8, 8, 8)), features=8), (3, 2)),
        (light_openpose(18, 38, 1, 1, LightBackbone((8,) * 4, depthwise=True), features=8, depthwise=True), (1, 1)),
    ],
    ids=["paper", "cvpr", "light", "depthwise"],
)
def test_every_stage_predicts_at_an_eighth_of_the_image(network, stages):
    with torch.inference_mode():
        output = network.eval()(torch.rand(1, 3, 64, 96) * 255)
    assert (len(output.heatmaps), len(output.pafs)) == stages
    assert {tuple(maps.shape) for maps in output.heatmaps} == {(1, 18, 8, 12)}
    assert {tuple(maps.shape) for maps in output.pafs} == {(1, 38, 8, 12)}


@pytest.mark.parametrize("build", [paper_openpose, light_openpose])
def test_the_loss_of_every_stage_reaches_the_backbone_and_no_later_stage(build):
    network = build(5, 8, paf_stages=2, heatmap_stages=2)
    stages = network(torch.rand(2, 3, 64, 64) * 255)
    stages.pafs[0].sum().backward()
    assert all(p.grad is not None for p in network.backbone.parameters())
    assert all(p.grad is not None for p in network.paf_stages[0].parameters())
    assert all(p.grad is None for p in network.paf_stages[1].parameters())
    assert all(p.grad is None for p in network.heatmap_stages.parameters())
