"""Two views of one image, and where each point of the one is in the other (section 3.4)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from cairn.methods.landmarks.warp import Warp, basis, centers, control_grid, sample

REACH = 1.75
"""Half side of the square over which first warps are tabulated: second warps look beyond the image's edge."""

TABLE = 112  # entries along a side of it


@dataclass(frozen=True)
class Pair:
    """Images x and x' = x∘g.

    x, warped  (B, 3, h, w) from 0 to 255
    moved      (B, N, 2): g of the cells of x' maps, positions in x
    g          the warp itself
    """

    x: Tensor
    warped: Tensor
    moved: Tensor
    g: Warp


class PairMaker(nn.Module):
    """x = image∘first and x' = x∘second, each sampled once, from the middle of an image.

    size    pixels along a side of x
    cells   of its maps along a side
    middle  share of the image's side that x shows

    The first warp is tabulated and read linearly: x' is then x∘second exactly, whatever the table leaves out of
    the first, and no spline is evaluated at a point that changes from pair to pair.
    """

    def __init__(self, size: int, cells: int, middle: float) -> None:
        super().__init__()
        self.size = size
        control = control_grid()
        for name, points in (
            ("table", centers(TABLE, TABLE, REACH)),
            ("pixels", centers(size, size, middle)),
            ("cells", centers(cells, cells, middle)),
        ):
            self.register_buffer(f"{name}_basis", basis(points, control), persistent=False)
        self.register_buffer("straight", centers(size, size, middle)[None], persistent=False)
        self.register_buffer("control", control, persistent=False)

    @torch.no_grad()
    def forward(self, images: Tensor, first: Tensor, second: Tensor) -> Pair:
        """images (B, 3, H, W); first, second (B, 3 + C, 2): parameters of warps over `control_grid`."""
        table = (self.table_basis @ first).unflatten(1, (TABLE, TABLE)).permute(0, 3, 1, 2)  # (B, 2, T, T)

        def seen(points: Tensor) -> Tensor:
            grid = points.expand(len(images), -1, -1).unflatten(1, (self.size, self.size))
            return sample(images, sample(table, grid / REACH).permute(0, 2, 3, 1))

        return Pair(
            x=seen(self.straight),
            warped=seen(self.pixels_basis @ second),
            moved=self.cells_basis @ second,
            g=Warp(second, self.control),
        )
