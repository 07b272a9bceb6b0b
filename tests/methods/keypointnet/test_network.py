"""The graph that is exported takes any number of images, with and without the orientation network."""

import pytest
import torch

from cairn.methods.keypointnet.features import features_of
from cairn.methods.keypointnet.losses import project
from cairn.methods.keypointnet.network import KeypointGraph, KeypointNetwork, OrientationNetwork
from cairn.methods.keypointnet.recipe import NetworkSettings


@pytest.mark.parametrize("oriented", [True, False])
def test_a_graph_of_any_number_of_images(oriented):
    torch.manual_seed(0)
    settings = NetworkSettings()
    orientation = OrientationNetwork(features_of(settings, 3, 8), 8) if oriented else None
    graph = KeypointGraph(orientation, KeypointNetwork(features_of(settings, 4, 8), 8, 5, 6.0)).eval()
    batch = torch.export.Dim("batch", min=1, max=8)
    image, intrinsics = 255 * torch.rand(3, 3, 32, 32), torch.tensor([[3.3, 3.1, 0.1, -0.1]] * 3)
    exported = torch.export.export(graph, (image[:2], intrinsics[:2]), dynamic_shapes=({0: batch}, {0: batch})).module()
    for count in (1, 3):
        points, uv, confidence = graph(image[:count], intrinsics[:count])
        assert (points.shape, uv.shape, confidence.shape) == ((count, 5, 3), (count, 5, 2), (count, 5))
        torch.testing.assert_close(project(points, intrinsics[:count]), uv)
        assert ((confidence >= 0) & (confidence <= 1.0001)).all()
        for given, expected in zip(exported(image[:count], intrinsics[:count]), (points, uv, confidence), strict=True):
            torch.testing.assert_close(given, expected, atol=1e-4, rtol=1e-4)
