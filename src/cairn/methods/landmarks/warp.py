"""Thin-plate splines: random smooth deformations of the plane, applied to images and points (section 3.4).

    g(v) = A v + t + Σ_i w_i φ(|v - c_i|),   φ(r) = r² log r²

with control points c_i. Coordinates are (x, y) in [-1, 1] from edge to edge of an image: the center of pixel i of n is
at (2 i + 1) / n - 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

GRID = 10
"""Control points along each axis (section 4)."""

NEWTON_STEPS = 12
"""Enough to converge from an image's edge to a millionth of its side, for warps without folds."""


@dataclass(frozen=True)
class Warp:
    """B thin-plate splines with the same C control points.

    Attributes:
        parameters: (B, 3 + C, 2): the columns of A, then t, then the weights w_i.
        control: (C, 2).
    """

    parameters: Tensor
    control: Tensor

    def __call__(self, points: Tensor) -> Tensor:
        """Applies g: (N, 2) or (B, N, 2) -> (B, N, 2); differentiable."""
        return basis(points, self.control) @ self.parameters

    def inverse(self, points: Tensor) -> Tensor:
        """Applies g⁻¹: (B, N, 2) -> (B, N, 2), by Newton's method; valid where g does not fold."""
        guess = points
        for _ in range(NEWTON_STEPS):
            guess = guess - torch.linalg.solve(self._jacobian(guess), (self(guess) - points)[..., None])[..., 0]
        return guess

    def _jacobian(self, points: Tensor) -> Tensor:
        """∂g / ∂v: (B, N, 2) -> (B, N, 2, 2)."""
        away = points[:, :, None] - self.control  # (B, N, C, 2)
        squared = away.square().sum(-1, keepdim=True)
        slope = 2 * away * (1 + squared.clamp_min(torch.finfo(squared.dtype).tiny).log())  # ∇φ
        linear = self.parameters[:, None, :2].transpose(-1, -2)  # (B, 1, 2, 2)
        return linear + torch.einsum("bci,bncj->bnij", self.parameters[:, 3:], slope)


def basis(points: Tensor, control: Tensor) -> Tensor:
    """Basis functions of a spline: x, y, 1 and φ of the distance to each control point.

    Args:
        points: (..., N, 2).
        control: (C, 2).

    Returns:
        (..., N, 3 + C).
    """
    squared = (points[..., :, None, :] - control).square().sum(-1)
    bends = (
        squared * squared.clamp_min(torch.finfo(squared.dtype).tiny).log()
    )  # defined, with its slope, on control points too
    return torch.cat([points, torch.ones_like(points[..., :1]), bends], dim=-1)


def through(points: Tensor, targets: Tensor) -> Warp:
    """The spline of minimum bending energy that maps points to targets.

    Args:
        points: (N, 2), not all on one line.
        targets: (B, N, 2).
    """
    n = len(points)
    system = points.new_zeros(n + 3, n + 3)
    system[:n] = basis(points, points)
    system[n:, 3:] = system[:n, :3].T
    return Warp(torch.linalg.solve(system, torch.cat([targets, targets.new_zeros(len(targets), 3, 2)], dim=1)), points)


@dataclass(frozen=True)
class Spread:
    """Standard deviations of random warps; the defaults are those of the authors' code.

    Attributes:
        rotation: Rotation in degrees.
        scale: Factor on the size, around 1.
        shift: Shift in half image sides.
        bend: Spline weights, half image sides.
        bend_half: A random half of the spline weights, instead of `bend`.
    """

    rotation: float = 5.0
    scale: float = 0.1
    shift: float = 0.1
    bend: float = 0.001
    bend_half: float = 0.005


def random_parameters(spread: Spread, rng: np.random.Generator) -> NDArray[np.float32]:
    """Parameters (3 + GRID², 2) of a random warp over `control_grid`."""
    angle = np.radians(rng.normal(0, spread.rotation))
    scale = 1 + rng.normal(0, spread.scale)
    cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
    deviation = np.where(rng.random((GRID**2, 1)) < 0.5, spread.bend_half, spread.bend)
    affine = [[cosine, sine], [-sine, cosine], rng.normal(0, spread.shift, 2)]
    return np.concatenate([affine, rng.normal(0, deviation, (GRID**2, 2))]).astype(np.float32)


def control_grid() -> Tensor:
    """Control points (GRID², 2), from corner to corner of [-1, 1]²."""
    line = torch.linspace(-1, 1, GRID)
    return torch.stack(torch.meshgrid(line, line, indexing="xy"), dim=-1).reshape(-1, 2)


def centers(height: int, width: int, side: float = 1.0) -> Tensor:
    """Cell centers (height·width, 2) of a map that spans the middle `side` of [-1, 1]², row by row."""
    x = (2 * torch.arange(width) + 1) / width - 1
    y = (2 * torch.arange(height) + 1) / height - 1
    return side * torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1).reshape(-1, 2)


def sample(images: Tensor, points: Tensor) -> Tensor:
    """Samples images bilinearly; points beyond the edge take the edge's value.

    Args:
        images: (B, C, H, W).
        points: (B, h, w, 2).

    Returns:
        (B, C, h, w).
    """
    return functional.grid_sample(images, points, padding_mode="border", align_corners=False)
