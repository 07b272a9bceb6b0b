"""Laws of thin-plate splines: points, images and an independent implementation agree."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import RBFInterpolator

from cairn.methods.landmarks.warp import (
    GRID,
    Spread,
    Warp,
    centers,
    control_grid,
    random_parameters,
    sample,
    through,
)

SEEDS = st.integers(0, 2**32 - 1)
FEW = settings(max_examples=15)
WIDE = Spread(rotation=10, scale=0.2, shift=0.2, bend=0.001, bend_half=0.01)  # the widest of the default recipe

GENTLE = Spread(bend_half=0.002)  # no folds among its control points, so it has an inverse there


def random_warp(rng: np.random.Generator, count: int = 1, spread: Spread = WIDE) -> Warp:
    parameters = np.stack([random_parameters(spread, rng) for _ in range(count)])
    return Warp(torch.from_numpy(parameters).double(), control_grid().double())


def random_points(rng: np.random.Generator, *shape: int, reach: float = 1.0) -> torch.Tensor:
    return torch.from_numpy(rng.uniform(-reach, reach, (*shape, 2)))


def test_a_warp_without_spline_weights_is_affine() -> None:
    control = control_grid().double()
    parameters = torch.zeros(1, 3 + len(control), 2, dtype=torch.double)
    parameters[0, :2] = torch.eye(2)
    points = random_points(np.random.default_rng(0), 1, 50, reach=3)
    assert torch.equal(Warp(parameters, control)(points), points)
    parameters[0, :3] = torch.tensor([[2.0, 3.0], [5.0, 7.0], [0.5, -0.5]])
    x, y = points[0].T
    expected = torch.stack([2 * x + 5 * y + 0.5, 3 * x + 7 * y - 0.5], dim=1)
    assert torch.allclose(Warp(parameters, control)(points)[0], expected)


@FEW
@given(seed=SEEDS, count=st.integers(3, 40))
def test_a_spline_interpolates_as_scipys_does(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    points, targets, elsewhere = (random_points(rng, *shape) for shape in ((count,), (2, count), (2, 30)))
    warp = through(points, targets)
    assert torch.allclose(warp(points), targets, atol=1e-6)
    for i in range(2):
        theirs = RBFInterpolator(points.numpy(), targets[i].numpy(), kernel="thin_plate_spline", degree=1)
        assert np.allclose(warp(elsewhere)[i].numpy(), theirs(elsewhere[i].numpy()), rtol=1e-5, atol=1e-6)


@FEW
@given(SEEDS)
def test_warp_and_inverse_cancel(seed: int) -> None:
    rng = np.random.default_rng(seed)
    warp, points = random_warp(rng, 3, GENTLE), random_points(rng, 3, 40)
    assert torch.allclose(warp.inverse(warp(points)), points, atol=1e-9)
    inner = points / 2  # far outside its control points a spline folds
    assert torch.allclose(warp(warp.inverse(inner)), inner, atol=1e-9)


def test_the_jacobian_matches_autograd() -> None:
    rng = np.random.default_rng(1)
    warp, points = random_warp(rng, 2), random_points(rng, 2, 5)
    ours = warp._jacobian(points)
    for b, n in np.ndindex(2, 5):
        theirs = torch.autograd.functional.jacobian(
            lambda v, b=b: Warp(warp.parameters[b : b + 1], warp.control)(v[None, None])[0, 0], points[b, n]
        )
        assert torch.allclose(ours[b, n], theirs, atol=1e-12)


def test_a_warp_is_differentiable_in_points_and_parameters() -> None:
    rng = np.random.default_rng(2)
    warp, points = random_warp(rng, 2), random_points(rng, 2, 4)
    parameters = warp.parameters.clone().requires_grad_()
    points.requires_grad_()
    assert torch.autograd.gradcheck(lambda p, v: Warp(p, warp.control)(v), (parameters, points))


def test_a_warp_has_a_slope_on_its_control_points_too() -> None:
    warp = random_warp(np.random.default_rng(3))
    points = warp.control[None].clone().requires_grad_()
    warp(points).sum().backward()
    assert torch.allclose(points.grad, warp._jacobian(points.detach()).sum(dim=-2))


@pytest.mark.parametrize(("height", "width"), [(48, 48), (30, 50)])
def test_images_and_points_agree_to_0_01_pixels(height: int, width: int) -> None:
    """A smooth blob in x lies where g takes the blob of x∘g; both are found by their centers of mass."""
    rng = np.random.default_rng(4)
    grid = centers(height, width).double()
    warp = random_warp(rng, 4, Spread(5, 0.1, 0.05, 0.0005, 0.001))
    pixels = torch.tensor([2 / width, 2 / height])
    mass = torch.exp(-((grid / pixels).square().sum(1)) / (2 * 2.5**2)).reshape(1, 1, height, width)
    warped = sample(mass.expand(4, -1, -1, -1), warp(grid).unflatten(1, (height, width)))
    jacobian = torch.linalg.det(warp._jacobian(grid.expand(4, -1, -1)))  # an image's mass changes with its area
    weights = warped.flatten(1) * jacobian
    found = (weights[..., None] * warp(grid)).sum(1) / weights.sum(1, keepdim=True)
    where = (mass.flatten()[:, None] * grid).sum(0) / mass.sum()
    assert ((found - where) / pixels).abs().max() < 0.01


def test_an_image_of_coordinates_is_warped_to_the_coordinates_of_points() -> None:
    """Bilinear sampling is exact on a ramp: x∘g at v equals g(v)."""
    rng = np.random.default_rng(5)
    warp, grid = random_warp(rng, 3), centers(40, 60).double()
    ramp = grid.T.reshape(1, 2, 40, 60).expand(3, -1, -1, -1)
    moved = warp(grid)
    shown = sample(ramp, moved.unflatten(1, (40, 60))).flatten(2).transpose(1, 2)
    edge = grid.abs().amax(0)  # beyond the last pixel's center, its color
    assert torch.allclose(shown, torch.maximum(torch.minimum(moved, edge), -edge), atol=1e-12)
    assert (moved.abs() > edge).any()


@pytest.mark.parametrize("side", [1.0, 0.75])
def test_centers_list_cells_row_by_row(side: float) -> None:
    expected = [[side * ((2 * j + 1) / 3 - 1), side * ((2 * i + 1) / 2 - 1)] for i in range(2) for j in range(3)]
    assert np.allclose(centers(2, 3, side), expected)


def test_random_warps_have_the_requested_spread() -> None:
    spread = Spread(rotation=7, scale=0.06, shift=0.3, bend=0.002, bend_half=0.02)
    rng = np.random.default_rng(6)
    drawn = np.stack([random_parameters(spread, rng) for _ in range(4000)]).astype(np.float64)
    a, shift, weights = drawn[:, :2], drawn[:, 2], drawn[:, 3:]
    assert drawn.shape[1:] == (3 + GRID**2, 2)
    assert np.allclose(a[:, 0], a[:, 1] @ [[0, -1], [1, 0]], atol=1e-6)  # a rotation with one scale for both axes
    assert np.degrees(np.arctan2(a[:, 0, 1], a[:, 0, 0])).std() == pytest.approx(7, rel=0.05)
    assert np.linalg.norm(a[:, 0], axis=1).std() == pytest.approx(0.06, rel=0.05)
    assert np.linalg.norm(a[:, 0], axis=1).mean() == pytest.approx(1, abs=0.01)
    assert shift.std(axis=0) == pytest.approx([0.3, 0.3], rel=0.05)
    assert weights.std() == pytest.approx(np.sqrt((0.002**2 + 0.02**2) / 2), rel=0.02)
    # Both coordinates of a weight are of one half: between three of the smaller deviations, nearly all are large.
    large = np.abs(weights) > 3 * 0.002
    share = 0.5 * (0.7642 + 0.0027)  # of normal numbers beyond 0.3 and beyond 3 standard deviations
    assert large.mean() == pytest.approx(share, rel=0.02)
    assert large.all(axis=2).mean() == pytest.approx(0.5 * (0.7642**2 + 0.0027**2), rel=0.02)


def test_zero_spread_gives_the_identity() -> None:
    parameters = random_parameters(Spread(0, 0, 0, 0, 0), np.random.default_rng(7))
    assert np.array_equal(parameters, np.concatenate([np.eye(2), np.zeros((1 + GRID**2, 2))]))
