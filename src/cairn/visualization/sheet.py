"""Contact sheets: square tiles in a grid, each an instance or an image of its own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cairn.structures.geometry import Affine, crop
from cairn.visualization.colors import BLACK, WHITE

TILE = 240
"""Side of a tile, pixels."""

COLUMNS = 4
"""Tiles per row."""

MARGIN = 1.4
"""Side of the square that a tile shows, over the longer side of the instance."""

MIN_SIDE = 16.0
"""Pixels of the image: minimum side of the square that a tile shows."""

FAR = 9999
"""Pixels: points further out are drawn there; OpenCV takes no numbers beyond 32 bits."""


def compose_sheet(tiles: Sequence[NDArray[np.uint8]], tile: int = TILE, columns: int = COLUMNS) -> NDArray[np.uint8]:
    """Returns tiles in rows on white.

    Args:
        tiles: Each (tile, tile, 3) uint8 RGB.
        tile: Side of a tile, pixels.
        columns: Tiles per row; the sheet has this width even with fewer tiles.

    Returns:
        (H, W, 3) uint8 RGB, with at least one row.
    """
    rows = max(1, -(-len(tiles) // columns))
    sheet = np.full((rows * tile, columns * tile, 3), 255, np.uint8)
    for i, image in enumerate(tiles):
        top, left = i // columns * tile, i % columns * tile
        sheet[top : top + tile, left : left + tile] = image
    return sheet


def tile_view(center: tuple[float, float], extent: float, tile: int = TILE) -> Affine:
    """Returns the map of a square around an instance onto a tile.

    Args:
        center: (x, y) in pixels of the image.
        extent: Longer side of the instance, pixels of the image.
        tile: Side of the tile, pixels.
    """
    return crop(center, max(MARGIN * extent, MIN_SIDE), (tile, tile))


def draw_caption(tile: NDArray[np.uint8], text: str) -> None:
    """Writes white, outlined text into the upper left corner of a tile."""
    import cv2

    for color, thickness in ((BLACK, 4), (WHITE, 1)):
        cv2.putText(tile, text, (8, 24), cv2.FONT_HERSHEY_SIMPLEX, 0.6, color, thickness, cv2.LINE_AA)


def draw_ring(tile: NDArray[np.uint8], point: NDArray[np.floating], radius: int, outline: int = 2) -> None:
    """Draws a white ring with a dark outline.

    Args:
        tile: Image to draw on.
        point: (2,) x, y in pixels of the tile.
        radius: Pixels.
        outline: Thickness of the dark ring below the white one, pixels.
    """
    import cv2

    center = pixel_of(point)
    cv2.circle(tile, center, radius, BLACK, outline, cv2.LINE_AA)
    cv2.circle(tile, center, radius, WHITE, 1, cv2.LINE_AA)


def pixel_of(point: NDArray[np.floating]) -> tuple[int, int]:
    """Returns the nearest pixel (x, y) of a point (2,), in numbers that OpenCV takes."""
    x, y = np.clip(np.round(point), -FAR, FAR).astype(int).tolist()
    return x, y
