import numpy as np
import pytest
import torch
from scipy.ndimage import convolve, gaussian_filter
from torch import Tensor, nn

from cairn.methods.hourglass.losses import squared_error
from cairn.methods.hourglass.model import Hourglass, LastStack, Outputs, smoothed
from cairn.methods.hourglass.network import grow
from cairn.methods.hourglass.recipe import NetworkSettings
from cairn.training.backbones.hourglass_stem import HourglassStem


def small(stacks: int = 2, mean: tuple[float, ...] = (0.0,)) -> Hourglass:
    torch.manual_seed(0)
    return Hourglass(joints=3, stacks=stacks, features=16, depth=2, backbone=HourglassStem(16, mean=mean))


@pytest.mark.parametrize(
    ("stacks", "millions", "gmac"), [(1, 3.43, 5.15), (2, 6.57, 8.33), (4, 12.86, 14.70), (8, 25.43, 27.44)]
)
def test_parameters_and_multiply_adds_are_the_papers(stacks: int, millions: float, gmac: float) -> None:
    with torch.device("meta"):  # shapes are enough to count
        network = Hourglass(joints=16, stacks=stacks)
        counted = multiply_adds(network, torch.zeros(1, 3, 256, 256))
    assert round(sum(weight.numel() for weight in network.parameters()) / 1e6, 2) == millions
    assert round(counted / 1e9, 2) == gmac


def test_every_stack_predicts_a_heatmap_per_joint_at_a_quarter_of_the_size() -> None:
    maps = small(stacks=3)(torch.zeros(2, 3, 32, 48))
    assert [tuple(each.shape) for each in maps] == [(2, 3, 8, 12)] * 3


@pytest.mark.parametrize("residuals", [1, 2])
@pytest.mark.parametrize("depth", [1, 3])
def test_the_bottom_of_an_hourglass_is_depth_halvings_down(depth: int, residuals: int) -> None:
    network = Hourglass(joints=2, stacks=1, features=8, depth=depth, residuals=residuals).eval()
    heights: list[int] = []
    for module in network.stacks[0].hourglass.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda _, inputs, output: heights.append(output.shape[2]))
    network(torch.zeros(1, 3, 64, 64))
    assert min(heights) == 16 // 2**depth
    # up, low1 and low3 at each level, and low2 at the bottom; three convolutions per module.
    assert len(heights) == (3 * depth + 1) * 3 * residuals


def test_a_stack_does_not_depend_on_later_ones() -> None:
    network = small(stacks=3).eval()
    images = torch.rand(2, 3, 32, 32) * 255
    before = network(images)
    with torch.no_grad():
        for weight in [*network.stacks[2].parameters(), *network.merges[1].parameters()]:
            weight.add_(1.0)
    after = network(images)
    assert torch.equal(before[0], after[0])
    assert torch.equal(before[1], after[1])
    assert not torch.equal(before[2], after[2])


def test_grown_stacks_predict_what_the_last_stack_does() -> None:
    two, four = small(stacks=2).eval(), small(stacks=4).eval()
    four.load_state_dict(grow(two.state_dict(), NetworkSettings(stacks=4)))
    images = torch.rand(2, 3, 32, 32) * 255
    first, last, *further = (maps.detach() for maps in (*two(images), *four(images)[2:]))
    assert not torch.allclose(first, last)
    for maps in further:
        torch.testing.assert_close(maps, last)


def test_weights_with_all_stacks_do_not_grow() -> None:
    weights = small(stacks=2).state_dict()
    assert grow(weights, NetworkSettings(stacks=1)) == grow(weights, NetworkSettings(stacks=2)) == weights


def test_weights_are_not_shared_between_stacks() -> None:
    network = small(stacks=2)
    first, second = ({id(weight) for weight in stack.parameters()} for stack in network.stacks)
    assert first
    assert not first & second


def test_every_stacks_loss_reaches_its_own_weights_and_all_before() -> None:
    images, targets, weights = torch.rand(2, 3, 32, 32) * 255, torch.rand(2, 3, 8, 8), torch.ones(2, 3)
    for i in range(3):
        network = small(stacks=3)
        squared_error([network(images)[i]], targets, weights).backward()
        for s, stack in enumerate(network.stacks):
            # The gradient reaches the heatmap head of an earlier stack through the merge.
            assert all(has_gradient(weight) for weight in stack.parameters()) == (s <= i)
            assert any(has_gradient(weight) for weight in stack.parameters()) == (s <= i)
    network = small(stacks=3)
    squared_error(network(images), targets, weights).backward()
    assert all(has_gradient(weight) for weight in network.parameters())


def test_a_later_stack_takes_the_features_and_heatmaps_of_the_previous_one() -> None:
    network = small(stacks=2).eval()
    seen: list[Tensor] = []
    network.stacks[1].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        network(torch.rand(1, 3, 32, 32) * 255)
        network.merges[0].heatmaps.weight.add_(1.0)
        network(torch.rand(1, 3, 32, 32) * 255)
        network.merges[0].features.weight.zero_()
        network.merges[0].heatmaps.weight.zero_()
        images = torch.rand(1, 3, 32, 32) * 255
        network(images)
        bias = network.merges[0].features.bias + network.merges[0].heatmaps.bias
        assert torch.allclose(seen[2], network.neck(network.backbone(images)) + bias[:, None, None], atol=1e-5)


def test_the_mean_is_of_images_in_unit_range() -> None:
    plain, shifted = small().eval(), small(mean=(0.5, 0.25, 0.125)).eval()
    images = torch.rand(1, 3, 32, 32) * 255
    moved = images - 255 * torch.tensor([0.5, 0.25, 0.125])[:, None, None]
    assert torch.allclose(shifted(images)[-1], plain(moved)[-1], atol=1e-4)


def test_the_last_stack_is_exported_alone() -> None:
    network = small(stacks=3).eval()
    images = torch.rand(2, 3, 32, 32) * 255
    (maps,) = LastStack(network)(images)
    assert torch.equal(maps, network(images)[2])


def test_a_perfect_heatmap_under_cross_entropy_is_exported_as_a_gaussian_of_height_one() -> None:
    sigma, center = 1.3, 12.0
    cells = torch.arange(25.0)
    squares = (cells[:, None] - center) ** 2 + (cells[None, :] - center) ** 2
    logits = (7.0 - squares / (2 * sigma**2)).expand(1, 2, 25, 25)  # any constant may be added to logits

    class Perfect(nn.Module):
        def outputs(self, images: Tensor) -> Outputs:
            return Outputs([logits], None, None)

    for smoothing in (0.0, 1.0):
        (maps,) = LastStack(Perfect(), sigma, smoothing)(torch.zeros(1, 3, 100, 100))
        variance = sigma**2 + smoothing**2  # of a Gaussian convolved with a Gaussian
        expected = torch.exp(-squares / (2 * variance)).expand(1, 2, 25, 25)
        assert torch.allclose(maps, expected, atol=1e-4)


def test_smoothing_is_a_convolution_with_nothing_beyond_the_border() -> None:
    maps = torch.rand(2, 3, 9, 14)
    kernel = gaussian_filter(np.pad([[1.0]], 8), 0.8, truncate=9)
    expected = [[convolve(each, kernel, mode="constant") for each in image] for image in maps.double().numpy()]
    assert np.allclose(smoothed(maps, 0.8), expected, atol=1e-3)
    assert smoothed(maps, 0) is maps


def multiply_adds(network: nn.Module, images: Tensor) -> int:
    """Of all convolutions: output cells times the weights that each one needs."""
    total = 0

    def count(module: nn.Conv2d, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        total += output[0].numel() * module.weight[0].numel()

    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(count)
    network.eval()(images)
    return total


def has_gradient(weight: Tensor) -> bool:
    return weight.grad is not None
