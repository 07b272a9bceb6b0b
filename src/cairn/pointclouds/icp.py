"""Iterative closest points, point to plane: Chen and Medioni 1992, with Tukey's weights against outliers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.structures.cloud import Cloud, move

ITERATIONS = 40
MIN_PAIRS = 10
AGREE = 0.5
"""Smallest cosine between the normals of a pair."""

CONVERGED = 1e-7
"""Motion, in shares of the size of the cloud, below which iterations end."""


@dataclass(frozen=True, eq=False)
class Alignment:
    """The result of `icp`.

    Attributes:
        transform: (4, 4), from the source to the target.
        error: Root mean square distance of the pairs to the planes.
        stability: How well the pairs fix the motion, from 0: one direction or rotation is free, as on a plane, a
            sphere or a cylinder.
    """

    transform: NDArray[np.float64]
    error: float
    stability: float


def icp(
    source: Cloud, target: Cloud, tree: Any, start: NDArray[np.float64], distance: float, iterations: int = ITERATIONS
) -> Alignment:
    """Refines a motion.

    Args:
        source: The cloud that moves, with normals.
        target: The cloud that stays, with normals.
        tree: `scipy.spatial.cKDTree` of the target's points.
        start: (4, 4), the motion to begin with.
        distance: Largest distance of a pair.
        iterations: Maximum number of iterations.
    """
    transform = start.copy()
    size = source.diagonal / 2
    error, stability = np.inf, 0.0
    for _ in range(iterations):
        rows, near = overlapping(source, target, tree, transform, distance)
        if len(rows) < MIN_PAIRS:
            return Alignment(transform, np.inf, 0.0)
        assert target.normals is not None
        points, normals = move(transform, source.points[rows]), target.normals[near]
        center = points.mean(axis=0)
        residuals = np.einsum("ij,ij->i", target.points[near] - points, normals)
        scale = max(1.4826 * float(np.median(np.abs(residuals))) * 4.7, 1e-12)
        weights = np.clip(1 - (residuals / scale) ** 2, 0, None) ** 2
        if weights.sum() < MIN_PAIRS / 2:
            weights = np.ones(len(rows))
        system = np.concatenate([np.cross((points - center) / size, normals), normals], axis=1)
        hessian = (system * weights[:, None]).T @ system / weights.sum()
        error = float(np.sqrt((weights * residuals**2).sum() / weights.sum()))
        stability = float(np.sqrt(max(np.linalg.eigvalsh(hessian)[0], 0)))
        right = (system * weights[:, None]).T @ residuals / weights.sum()
        step = np.linalg.lstsq(hessian, right, rcond=1e-9)[0]
        transform = _motion(step[:3] / size, step[3:], center) @ transform
        if np.abs(step).max() < CONVERGED * size:
            break
    return Alignment(transform, error, stability)


def overlapping(
    source: Cloud, target: Cloud, tree: Any, transform: NDArray[np.float64], distance: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Returns the points of the source that have a point of the target near with a similar normal, and these points."""
    assert source.normals is not None
    assert target.normals is not None
    distances, near = tree.query(move(transform, source.points), distance_upper_bound=distance)
    rows = np.flatnonzero(np.isfinite(distances))
    normals = source.normals[rows] @ transform[:3, :3].T
    agree = np.einsum("ij,ij->i", normals, target.normals[near[rows]]) > AGREE
    return rows[agree], near[rows[agree]]


def _motion(rotation: NDArray[np.float64], translation: NDArray[np.float64], center: NDArray[np.float64]) -> Any:
    """Returns the motion (4, 4) of a Rodrigues vector about a center, and a translation."""
    import cv2

    result = np.eye(4)
    result[:3, :3] = cv2.Rodrigues(rotation)[0]
    result[:3, 3] = center - result[:3, :3] @ center + translation
    return result
