"""Contact sheets: tiles in reading order, each instance in the center of its tile."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.visualization.sheet import MARGIN, MIN_SIDE, compose_sheet, draw_caption, draw_ring, pixel_of, tile_view


@given(st.integers(0, 11), st.integers(1, 5), st.integers(1, 6))
def test_tiles_are_in_reading_order_on_white(count: int, columns: int, side: int) -> None:
    tiles = [np.full((side, side, 3), i, np.uint8) for i in range(count)]
    sheet = compose_sheet(tiles, side, columns)
    rows = max(1, -(-count // columns))
    assert sheet.shape == (rows * side, columns * side, 3)
    for i in range(rows * columns):
        row, column = divmod(i, columns)
        part = sheet[row * side : (row + 1) * side, column * side : (column + 1) * side]
        assert (part == (i if i < count else 255)).all()


@given(st.floats(-100, 100), st.floats(-100, 100), st.floats(0, 500), st.integers(16, 300))
def test_a_view_centers_the_instance_with_a_margin(x: float, y: float, extent: float, side: int) -> None:
    view = tile_view((x, y), extent, side)
    np.testing.assert_allclose(view.apply(np.array([x, y])), [(side - 1) / 2] * 2, atol=1e-6)
    assert view.scale == pytest.approx(side / max(MARGIN * extent, MIN_SIDE))


def test_captions_and_rings_are_white_with_a_dark_outline() -> None:
    tile = np.full((60, 60, 3), 128, np.uint8)
    draw_ring(tile, np.array([30.4, 29.6]), 8)
    assert (tile[28:33, 36:41] > 200).all(axis=2).any()
    assert tile[30, 30].tolist() == [128, 128, 128]
    assert (tile < 60).any()
    before = tile.copy()
    draw_caption(tile, "1")
    ink = (tile != before).any(axis=2)
    assert ink[:30, :30].any()
    assert not ink[40:].any()


def test_far_points_are_clipped() -> None:
    assert pixel_of(np.array([1e30, -np.inf])) == (9999, -9999)
    draw_ring(np.zeros((8, 8, 3), np.uint8), np.array([1e30, 0]), 4)
