"""Training pairs: two views of one image, and where each point of one view lies in the other (section 3.4)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cairn.methods.landmarks.recipe import Warps
from cairn.methods.landmarks.warp import Warp, basis, centers, control_grid, random_parameters, sample

REACH = 1.75
"""Half side of the square over which first warps are tabulated: second warps reach beyond the image's edge."""

TABLE = 112
"""Entries along a side of the table."""

INVERSION_STEPS = 6
"""Steps that invert a warp closely enough to tell what is in view; each inverts its affine part."""


@dataclass(frozen=True)
class Pair:
    """Images x and x' = x∘g.

    Attributes:
        x: (B, 3, h, w) from 0 to 255.
        warped: x', likewise.
        moved: (B, N, 2) g of the cells of the maps of x': positions in x.
        g: The warp.
    """

    x: Tensor
    warped: Tensor
    moved: Tensor
    g: Warp


class PairMaker(nn.Module):
    """Makes x = image∘first and x' = x∘second, each sampled once, from the middle of an image.

    The first warp is tabulated and interpolated linearly. So x' is exactly x∘second, whatever the interpolation loses
    of the first warp, and no spline is evaluated at points that change from pair to pair.

    Attributes:
        size: Pixels along a side of x.
    """

    table_basis: Tensor
    pixels_basis: Tensor
    cells_basis: Tensor
    straight: Tensor
    control: Tensor

    def __init__(self, size: int, cells: int, middle: float, context: int = 0) -> None:
        """Tabulates what does not change from pair to pair.

        Args:
            size: Pixels along a side of the middle of x, in which the landmarks are.
            cells: Cells of its maps along a side.
            middle: Side of the middle of x over the side of the image.
            context: Pixels of x on each side of its middle.
        """
        super().__init__()
        self.middle = middle
        self.size = size + 2 * context
        side = middle * self.size / size
        control = control_grid()
        for name, points in (
            ("table", centers(TABLE, TABLE, REACH)),
            ("pixels", centers(self.size, self.size, side)),
            ("cells", centers(cells, cells, middle)),
        ):
            self.register_buffer(f"{name}_basis", basis(points, control), persistent=False)
        self.register_buffer("straight", centers(self.size, self.size, side)[None], persistent=False)
        self.register_buffer("control", control, persistent=False)

    @torch.no_grad()
    def forward(self, images: Tensor, first: Tensor, second: Tensor) -> Pair:
        """Makes a pair of each image.

        Args:
            images: (B, 3, H, W).
            first: (B, 3 + C, 2) parameters of warps over `control_grid`.
            second: Likewise.
        """
        table = (self.table_basis @ first).view(-1, TABLE, TABLE, 2).permute(0, 3, 1, 2)  # (B, 2, T, T)

        def view(points: Tensor) -> Tensor:
            grid = points.expand(len(images), -1, -1).reshape(-1, self.size, self.size, 2)
            return sample(images, sample(table, grid / REACH).permute(0, 2, 3, 1))

        return Pair(
            x=view(self.straight),
            warped=view(self.pixels_basis @ second),
            moved=self.cells_basis @ second,
            g=Warp(second, self.control),
        )

    @torch.no_grad()
    def visible(self, predicted: Tensor, moved: Tensor, g: Warp) -> Tensor:
        """Whether both middles contain a landmark: no prediction can be right where one of them does not.

        Args:
            predicted: (B, K, 2) Φ(x).
            moved: (B, K, 2) g(Φ(x∘g)).
            g: The warp.

        Returns:
            (B, K) bool.
        """
        back, straight = predicted, torch.linalg.inv(g.parameters[:, :2])
        for _ in range(INVERSION_STEPS):
            back = back + (predicted - g(back)) @ straight
        return ((moved.abs() < self.middle) & (back.abs() < self.middle)).all(-1)


def random_pair(warps: Warps, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Parameters (3 + C, 2) of the first and the second warp of a pair.

    With `warps.apart`, a random shift e moves x by -e and x' by +e. It is part of both warps, so g includes all of it.
    """
    first, second = (random_parameters(warps.spread(half), rng) for half in (warps.first, warps.second))
    if warps.apart:
        shift = rng.uniform(-warps.apart, warps.apart, 2).astype(np.float32)
        first[2] -= shift @ first[:2]
        second[2] += 2 * shift
    return first, second
