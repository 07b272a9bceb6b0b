"""Laws of a pair: x' at v equals x at g(v), whatever the first warp is."""

import numpy as np
import pytest
import torch
from torch import Tensor

from cairn.methods.landmarks.losses import align_points
from cairn.methods.landmarks.pairs import REACH, Pair, PairMaker, random_pair
from cairn.methods.landmarks.recipe import Warps
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


def pairs_of(warps: Warps, count: int) -> tuple[Tensor, Tensor]:
    drawn = [random_pair(warps, np.random.default_rng(seed)) for seed in range(count)]
    first, second = (torch.from_numpy(np.stack(each)) for each in zip(*drawn, strict=True))
    return first, second


def test_g_includes_the_shifts_that_move_the_views_apart() -> None:
    """x' at v is x at g(v) with them, too: values are coordinates."""
    first, second = pairs_of(Warps(scale=0.05, shift=0.02, apart=0.2), 8)
    pair = pair_of(ramps(8), first, second)
    moved = pair.g(centers(SIZE, SIZE, MIDDLE))
    again = sample(pair.x, (moved / MIDDLE).unflatten(1, (SIZE, SIZE)))
    inside = (moved.abs() < MIDDLE * (1 - 1 / SIZE)).all(-1) & (pair.warped.flatten(2)[:, :2].abs() < 0.9).all(1)
    pixels = (again - pair.warped).flatten(2)[:, :2].abs().amax(1)[inside] * FRAME / 2
    assert inside.float().mean() > 0.5
    assert pixels.max() < 0.02


def test_views_move_apart_in_opposite_directions() -> None:
    still = Warps(rotation=0, scale=0, shift=0, bend=0, first=0, second=0, apart=0.2)
    first, second = pairs_of(still, 8)
    pair = pair_of(ramps(8), first, second)
    x, warped = (view.flatten(2)[:, :2].mean(2) for view in (pair.x, pair.warped))  # positions of the views' middles
    assert torch.allclose(x, -warped, atol=1e-5)
    assert torch.allclose(warped - x, second[:, 2], atol=1e-5)
    assert 0.1 < x.abs().max() < 0.2


@pytest.mark.parametrize("apart", [0.05, 0.2])
def test_a_fixed_grid_pays_the_square_of_the_shift(apart: float) -> None:
    """At least 8/3 of the square of `apart`: the mean of the square of a shift of up to twice `apart` in x and y."""
    grid = centers(4, 4, 0.5)
    without, alone, both = (
        Warp(pairs_of(warps, 2000)[1], control_grid())
        for warps in (
            Warps(apart=0),
            Warps(rotation=0, scale=0, shift=0, bend=0, second=0, apart=apart),
            Warps(apart=apart),
        )
    )
    paid = [align_points(grid, g(grid)).mean().item() for g in (without, alone, both)]
    assert paid[1] == pytest.approx(8 / 3 * apart**2, rel=0.05)
    assert paid[2] == pytest.approx(paid[0] + paid[1], rel=0.1)


def test_without_a_shift_apart_warps_are_two_independent_draws() -> None:
    warps = Warps(apart=0)
    first, second = random_pair(warps, np.random.default_rng(7))
    rng = np.random.default_rng(7)
    assert np.array_equal(first, random_parameters(warps.spread(warps.first), rng))
    assert np.array_equal(second, random_parameters(warps.spread(warps.second), rng))


def test_context_extends_both_views_and_changes_nothing_in_the_middle() -> None:
    images, first, second = torch.rand(3, 3, FRAME, FRAME) * 255, drawn(FIRST, 8, 3), drawn(SECOND, 9, 3)
    narrow = PairMaker(SIZE, CELLS, MIDDLE)(images, first, second)
    wide = PairMaker(SIZE, CELLS, MIDDLE, context=8)(images, first, second)
    assert wide.x.shape == wide.warped.shape == (3, 3, SIZE + 16, SIZE + 16)
    assert torch.allclose(wide.x[..., 8:-8, 8:-8], narrow.x, atol=0.02)
    assert torch.allclose(wide.warped[..., 8:-8, 8:-8], narrow.warped, atol=0.02)
    assert torch.equal(wide.moved, narrow.moved)


def test_a_landmark_is_visible_where_both_middles_contain_it() -> None:
    g = Warp(pairs_of(Warps(second=0.003, apart=0.3), 50)[1], control_grid())
    in_x = (2 * torch.rand(50, 40, 2, generator=torch.Generator().manual_seed(0)) - 1) * 0.9 * MIDDLE
    in_warped = g.inverse(in_x)
    expected = (in_warped.abs() < MIDDLE).all(-1)
    clear = ((in_warped.abs().amax(-1) - MIDDLE).abs() > 0.02) & ((g(in_warped) - in_x).abs().amax(-1) < 1e-4)
    assert clear.float().mean() > 0.9
    assert 0.1 < expected.float().mean() < 0.9
    assert torch.equal(PairMaker(SIZE, CELLS, MIDDLE).visible(in_x, in_x, g)[clear], expected[clear])
    outside = torch.full_like(in_x, 0.1)
    assert not PairMaker(SIZE, CELLS, MIDDLE).visible(outside, outside + MIDDLE, g).any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_pair_maker_has_no_parameters_or_persistent_buffers(dtype: torch.dtype) -> None:
    maker = PairMaker(SIZE, CELLS, MIDDLE).to(dtype)
    assert not maker.state_dict()
    assert not list(maker.parameters())
    pair = maker(ramps(1).to(dtype), drawn(FIRST, 0, 1).to(dtype), drawn(SECOND, 0, 1).to(dtype))
    assert pair.x.dtype == pair.moved.dtype == dtype
