"""Losses by brute force, and their gradients."""

import math

import pytest
import torch
from torch import Tensor

from cairn.methods.usip.losses import chamfer, point_to_plane, point_to_point


def made(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def chamfer_by_brute_force(
    first: Tensor, second: Tensor, sigma: Tensor, other: Tensor, shared: Tensor, shared_other: Tensor
) -> float:
    total = 0.0
    for a, b, s, t, counted in ((first, second, sigma, other, shared), (second, first, other, sigma, shared_other)):
        terms = []
        for item in range(len(a)):
            for i in range(a.shape[1]):
                distances = [float((a[item, i] - b[item, j]).norm()) for j in range(b.shape[1])]
                j = distances.index(min(distances))
                mean = float(s[item, i] + t[item, j]) / 2
                if counted[item, i]:
                    terms.append(math.log(mean) + distances[j] / mean)
        total += sum(terms) / max(len(terms), 1)
    return total


@pytest.mark.parametrize("share", [1.1, 0.5, -1.0])
def test_chamfer(share: float) -> None:
    first, second = made(2, 5, 3), made(2, 7, 3, seed=1)
    sigma, other = made(2, 5, seed=2).abs() + 0.1, made(2, 7, seed=3).abs() + 0.1
    shared = torch.rand(2, 5, generator=torch.Generator().manual_seed(0)) < share
    shared_other = torch.rand(2, 7, generator=torch.Generator().manual_seed(1)) < share
    values = (first, second, sigma, other, shared, shared_other)
    assert float(chamfer(*values)) == pytest.approx(chamfer_by_brute_force(*values))


def test_both_directions_of_the_chamfer_loss_are_alike() -> None:
    first, second, sigma, other = made(1, 4, 3), made(1, 6, 3, seed=1), made(1, 4).exp(), made(1, 6).exp()
    ones = torch.ones(1, 4), torch.ones(1, 6)
    forth, back = chamfer(first, second, sigma, other, *ones), chamfer(second, first, other, sigma, *ones[::-1])
    assert float(forth) == pytest.approx(float(back))


def test_the_best_uncertainty_is_the_distance() -> None:
    first, second = torch.zeros(1, 1, 3), torch.tensor([[[0.3, 0.0, 0.4]]])
    ones = torch.ones(1, 1)
    losses = {s: float(chamfer(first, second, s * ones, s * ones, ones, ones)) for s in (0.4, 0.49, 0.5, 0.51, 0.6)}
    assert min(losses, key=lambda s: losses[s]) == 0.5


def test_gradients_of_the_chamfer_loss() -> None:
    inputs = [made(2, 4, 3), made(2, 5, 3, seed=1), made(2, 4).exp(), made(2, 5).exp()]
    for each in inputs:
        each.requires_grad_()
    ones = torch.ones(2, 4), torch.ones(2, 5)
    assert torch.autograd.gradcheck(lambda *values: chamfer(*values, *ones), inputs)


def test_distances_to_points_and_planes() -> None:
    offsets, points = made(2, 3, 3), made(2, 3, 6, 3, seed=1)
    normals = torch.nn.functional.normalize(made(2, 3, 6, 3, seed=2), dim=-1)
    to_points, to_planes = [], []
    for item in range(2):
        for i in range(3):
            distances = [float((offsets[item, i] - points[item, i, j]).norm()) for j in range(6)]
            j = distances.index(min(distances))
            to_points.append(distances[j])
            to_planes.append(abs(float((offsets[item, i] - points[item, i, j]) @ normals[item, i, j])))
    assert float(point_to_point(offsets, points)) == pytest.approx(sum(to_points) / 6)
    assert float(point_to_plane(offsets, points, normals)) == pytest.approx(sum(to_planes) / 6)


def test_gradients_of_the_distances() -> None:
    offsets, points = made(2, 3, 3).requires_grad_(), made(2, 3, 6, 3, seed=1)
    normals = torch.nn.functional.normalize(made(2, 3, 6, 3, seed=2), dim=-1)
    assert torch.autograd.gradcheck(lambda x: point_to_point(x, points), (offsets,))
    assert torch.autograd.gradcheck(lambda x: point_to_plane(x, points, normals), (offsets,))


def test_a_keypoint_on_a_point_has_a_finite_gradient() -> None:
    offsets = torch.zeros(1, 1, 3, requires_grad=True)
    loss = point_to_point(offsets, torch.zeros(1, 1, 2, 3))
    loss.backward()
    assert offsets.grad is not None
    assert offsets.grad.isfinite().all()
