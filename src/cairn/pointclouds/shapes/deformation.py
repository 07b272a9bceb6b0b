"""Non-rigid registration: a smooth deformation of one surface onto another.

The displacement is a sum of Gaussians around control points, u(p) = sum_j k(p, c_j) w_j, as in coherent point drift
(Myronenko & Song 2010, eq. 20 and its low-rank form), with the same penalty w' K w. Correspondences differ: they are
the nearest points in position and normal, not all points with probabilities, and points slide along the target's
tangent plane. So each iteration solves one small linear system, and detail comes in stages from wide to narrow kernels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from cairn.pointclouds.sampling import farthest_points
from cairn.pointclouds.shapes.matching import Matcher
from cairn.pointclouds.shapes.shape import Shape
from cairn.pointclouds.shapes.similarity import Points


@dataclass(frozen=True)
class Stage:
    """One stage of the registration.

    Attributes:
        width: Standard deviation of the kernel, in radii of the shape.
        num_controls: Number of control points.
        stiffness: Weight of the penalty against the distances.
        iterations: Number of iterations.
    """

    width: float
    num_controls: int
    stiffness: float
    iterations: int


STAGES = (Stage(0.85, 50, 20.0, 8), Stage(0.42, 120, 7.0, 10), Stage(0.21, 320, 2.0, 10))

NORMAL_WEIGHT = 0.15
"""Weight of normals in correspondences, in radii."""

TANGENT = 0.1
"""Share of the tangential distance to the corresponding point that a point moves."""

NEGLIGIBLE = 1e-12
"""Smallest value of the kernel; smaller ones, and their products with weights, would be slow denormal numbers."""

FLOOR = 0.007
"""Distance in radii below which all correspondences have about the same weight."""


def deform(template: Shape, landmarks: Points, target: Shape) -> Points:
    """Deforms an aligned template onto a target, and takes its landmarks along.

    Args:
        template: Aligned to the target; both have a radius of about 1.
        landmarks: (L, 3) in the frame of the template; NaN stays NaN.
        target: The target.

    Returns:
        The landmarks (L, 3) on the target, before they are snapped to it.
    """
    match = Matcher.of(target, NORMAL_WEIGHT, template.oriented and target.oriented)
    points, moved = template.points, landmarks
    for stage in STAGES:
        start, start_landmarks = points, moved
        controls = start[farthest_points(start, stage.num_controls)]
        kernel = _kernel(start, controls, stage.width)
        landmark_kernel = _kernel(start_landmarks, controls, stage.width)
        penalty = stage.stiffness * (_kernel(controls, controls, stage.width) + 1e-6 * np.eye(len(controls)))
        for _ in range(stage.iterations):
            distances, rows = match(points, template.normals)
            to_match, normals = target.points[rows] - points, target.normals[rows]
            offsets = np.einsum("ij,ij->i", to_match, normals)
            step = (1 - TANGENT) * offsets[:, None] * normals + TANGENT * to_match
            spread = 3 * max(float(np.median(distances)), FLOOR)
            shares = np.exp(-0.5 * (distances / spread) ** 2)
            weighted = kernel * np.where(shares < NEGLIGIBLE, 0, shares).astype(np.float32)[:, None]
            goal = (points + step - start).astype(np.float32)
            weights = cho_solve(cho_factor(weighted.T @ kernel + penalty), weighted.T @ goal)
            points, moved = start + kernel @ weights, start_landmarks + landmark_kernel @ weights
    return moved


def _kernel(points: Points, controls: Points, width: float) -> NDArray[np.float32]:
    """Returns the Gaussian kernel of points (N, 3) and control points (C, 3): (N, C); float32 for speed."""
    squares = (points**2).sum(axis=1)[:, None] + (controls**2).sum(axis=1) - 2 * points @ controls.T
    values = np.exp(-np.maximum(squares, 0) / (2 * width**2))
    values[values < NEGLIGIBLE] = 0
    return np.asarray(values, np.float32)
