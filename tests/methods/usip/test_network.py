"""The network: what its output depends on."""

import pytest
import torch
from torch import Tensor

from cairn.methods.usip.network import Usip


@pytest.fixture
def network() -> Usip:
    torch.manual_seed(0)
    made = Usip(3, width=8, fusion=12, head=(10,)).eval()
    torch.nn.init.normal_(made.head[-1].weight)
    return made


def inputs(nodes: int = 6) -> tuple[Tensor, Tensor, Tensor]:
    rng = torch.Generator().manual_seed(1)
    near = torch.stack([(torch.arange(4) + i) % nodes for i in range(nodes)])[None]
    return torch.randn(1, nodes, 5, 3, generator=rng), torch.randn(1, nodes, 4, 3, generator=rng), near


def test_keypoints_start_at_their_nodes() -> None:
    offsets, sigma = Usip()(*inputs())
    assert offsets.shape == (1, 6, 3)
    assert sigma.shape == (1, 6)
    assert float(offsets.abs().max()) < 0.05
    assert float(sigma.min()) > 0


def test_the_order_of_points_and_repeated_points_do_not_matter(network: Usip) -> None:
    points, relative, near = inputs()
    expected = network(points, relative, near)
    mixed = points[:, :, [3, 0, 4, 2, 1, 1, 3]]
    for one, other in zip(expected, network(mixed, relative, near), strict=True):
        torch.testing.assert_close(one, other)


def test_the_order_of_neighbors_does_not_matter(network: Usip) -> None:
    points, relative, near = inputs()
    order = [2, 0, 3, 1, 1]
    for one, other in zip(
        network(points, relative, near), network(points, relative[:, :, order], near[:, :, order]), strict=True
    ):
        torch.testing.assert_close(one, other)


def test_a_node_depends_on_the_points_of_its_neighbors_alone(network: Usip) -> None:
    points, relative, near = inputs()
    changed = points.clone()
    changed[0, 5] += 1  # nodes 2 to 5 have node 5 among their neighbors
    _, sigma = network(points, relative, near)
    _, other = network(changed, relative, near)
    assert (sigma != other)[0].tolist() == [False, False, True, True, True, True]


def test_clouds_of_a_batch_do_not_mix(network: Usip) -> None:
    points, relative, near = inputs()
    both = network(torch.cat([points, 2 * points]), relative.repeat(2, 1, 1, 1), near.repeat(2, 1, 1))
    alone = network(2 * points, relative, near)
    torch.testing.assert_close(both[0][1:], alone[0])
    torch.testing.assert_close(both[1][1:], alone[1])
