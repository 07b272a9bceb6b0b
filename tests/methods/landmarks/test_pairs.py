"""Laws of a pair: x' at v equals x at g(v), whatever the first warp is."""

import numpy as np
import pytest
import torch
from torch import Tensor

from cairn.methods.landmarks.pairs import REACH, Pair, PairMaker
from cairn.methods.landmarks.warp import GRID, Spread, Warp, centers, control_grid, random_parameters, sample

SIZE, CELLS, MIDDLE, FRAME = 48, 12, 0.75, 64
FIRST = Spread(10, 0.2, 0.2, 0.001, 0.005)
SECOND = Spread(10, 0.2, 0.2, 0.001, 0.01)
STILL = np.concatenate([np.eye(2), np.zeros((1 + GRID**2, 2))]).astype(np.float32)


def drawn(spread: Spread, seed: int, count: int) -> Tensor:
    rng = np.random.default_rng(seed)
    return torch.from_numpy(np.stack([random_parameters(spread, rng) for _ in range(count)]))


def ramps(count: int, size: int = FRAME) -> Tensor:
    """(B, 3, size, size): an image whose colors are x, y, and their sum."""
    grid = centers(size, size).T.reshape(2, size, size)
    return torch.cat([grid, grid.sum(0, keepdim=True)])[None].expand(count, -1, -1, -1)


def pair_of(images: Tensor, first: Tensor, second: Tensor) -> Pair:
    return PairMaker(SIZE, CELLS, MIDDLE)(images, first, second)


def test_without_warps_both_views_are_the_middle_of_the_image() -> None:
    images = torch.rand(2, 3, FRAME, FRAME) * 255
    still = torch.from_numpy(STILL).expand(2, -1, -1)
    pair = pair_of(images, still, still)
    edge = (FRAME - SIZE) // 2
    middle = images[..., edge : edge + SIZE, edge : edge + SIZE]
    assert torch.allclose(pair.x, middle, atol=0.02)
    assert torch.allclose(pair.warped, middle, atol=0.02)
    assert torch.allclose(pair.moved[0], centers(CELLS, CELLS, MIDDLE), atol=1e-6)


def test_the_second_warp_is_exact() -> None:
    """Without a first warp x is a ramp, so x' must equal g itself."""
    second = drawn(SECOND, 0, 4)
    pair = pair_of(ramps(4), torch.from_numpy(STILL).expand(4, -1, -1), second)
    moved = Warp(second, control_grid())(centers(SIZE, SIZE, MIDDLE))
    shown = pair.warped.flatten(2).transpose(1, 2)[..., :2]
    inside = (moved.abs() < 1 - 1 / FRAME).all(-1)
    assert inside.float().mean() > 0.9
    assert (shown - moved)[inside].abs().max() < 1e-5


def test_the_warped_view_at_v_equals_the_view_at_g_of_v() -> None:
    """To a hundredth of a pixel, though the first warp is tabulated: values are coordinates."""
    first, second = drawn(FIRST, 1, 8), drawn(SECOND, 2, 8)
    pair = pair_of(ramps(8), first, second)
    moved = pair.g(centers(SIZE, SIZE, MIDDLE))
    again = sample(pair.x, (moved / MIDDLE).unflatten(1, (SIZE, SIZE)))
    inside = (moved.abs() < MIDDLE * (1 - 1 / SIZE)).all(-1)
    # where the first warp leaves the image, the edge is repeated, and the kink is not linear between pixels
    inside &= (pair.warped.flatten(2)[:, :2].abs() < 0.9).all(1)
    pixels = (again - pair.warped).flatten(2)[:, :2].abs().amax(1)[inside] * FRAME / 2
    assert inside.float().mean() > 0.5
    assert pixels.max() < 0.01


def test_the_first_warp_is_the_spline_that_it_tabulates() -> None:
    first = drawn(FIRST, 3, 4)
    pair = pair_of(ramps(4), first, torch.from_numpy(STILL).expand(4, -1, -1))
    exact = Warp(first, control_grid())(centers(SIZE, SIZE, MIDDLE))
    inside = (exact.abs() < 1 - 1 / FRAME).all(-1)
    shown = pair.x.flatten(2).transpose(1, 2)[..., :2]
    assert (shown - exact)[inside].abs().max() * FRAME / 2 < 0.05
    assert torch.equal(pair.x, pair.warped)


def test_moved_positions_are_the_cells_mapped_by_g() -> None:
    second = drawn(SECOND, 4, 3)
    pair = pair_of(torch.zeros(3, 3, FRAME, FRAME), drawn(FIRST, 5, 3), second)
    cells = centers(CELLS, CELLS, MIDDLE)
    assert torch.allclose(pair.moved, pair.g(cells), atol=1e-6)
    assert torch.allclose(pair.moved, Warp(second, control_grid())(cells), atol=1e-6)


def test_second_warps_of_the_default_recipe_stay_within_the_table() -> None:
    moved = Warp(drawn(SECOND, 6, 300), control_grid())(centers(8, 8, MIDDLE))
    assert (moved.abs() < REACH).all(-1).float().mean() > 0.98


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_pair_maker_has_no_parameters_or_persistent_buffers(dtype: torch.dtype) -> None:
    maker = PairMaker(SIZE, CELLS, MIDDLE).to(dtype)
    assert not maker.state_dict()
    assert not list(maker.parameters())
    pair = maker(ramps(1).to(dtype), drawn(FIRST, 0, 1).to(dtype), drawn(SECOND, 0, 1).to(dtype))
    assert pair.x.dtype == pair.moved.dtype == dtype
