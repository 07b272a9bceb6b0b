"""Every network of features gives maps at its stride, and trains."""

import pytest
import torch

from cairn.methods.keypointnet.features import features_of
from cairn.methods.keypointnet.network import KeypointNetwork, OrientationNetwork, expected, grid_of, spatial_softmax
from cairn.methods.keypointnet.recipe import NetworkSettings


@pytest.mark.parametrize(("name", "stride"), [("pyramid", 4), ("dilated", 1), ("light", 4)])
def test_maps_of_each_kind_of_network(name, stride):
    network = features_of(NetworkSettings(backbone=name, stride=4), 4, 8).train()
    maps = network(torch.cat([255 * torch.rand(2, 3, 64, 64), torch.zeros(2, 1, 64, 64)], dim=1))
    assert maps.shape == (2, 8, 64 // stride, 64 // stride)
    side = network(
        torch.cat(
            [127 * torch.ones(2, 3, 64, 64), torch.tensor([0.0, 1.0])[:, None, None, None].expand(2, 1, 64, 64)], dim=1
        )
    )
    assert not torch.allclose(side[0], side[1])  # the side is seen


def test_sizes_that_are_no_multiple_of_the_stride():
    assert features_of(NetworkSettings(), 3, 8)(torch.rand(2, 3, 50, 50)).shape == (2, 8, 13, 13)


def test_the_mean_of_a_peaked_map_is_its_place():
    scores = torch.zeros(1, 2, 6, 8)
    scores[0, 0, 1, 7] = scores[0, 1, 5, 0] = 50
    maps = spatial_softmax(scores)
    places = expected(maps, grid_of(maps))
    torch.testing.assert_close(places[0], torch.tensor([[7 / 8, -0.5], [-7 / 8, 5 / 6]]))


def test_an_untrained_network_puts_keypoints_at_the_distance_of_the_object():
    torch.manual_seed(0)
    network = KeypointNetwork(features_of(NetworkSettings(), 4, 8), 8, 5, 6.5).eval()
    found = network(255 * torch.rand(2, 3, 32, 32), torch.zeros(2))
    assert found.uv.shape == (2, 5, 2)
    torch.testing.assert_close(found.probabilities.sum(dim=(2, 3)), torch.ones(2, 5))
    assert ((found.depth - 6.5).abs() < 1.5).all()
    ends = OrientationNetwork(features_of(NetworkSettings(), 3, 8), 8).eval()(torch.rand(2, 3, 32, 32))
    assert ends.shape == (2, 2, 2)
