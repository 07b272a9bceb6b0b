"""Covariances of neighborhoods, from sums over all neighbors at once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cairn.pointclouds.neighbors import Block


def neighborhood_covariances(
    block: Block, points: NDArray[np.float64], weights: NDArray[np.float64] | None = None, about_point: bool = False
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Returns the number of neighbors (B,) and their covariance (B, 3, 3), of each point of a block.

    Args:
        block: The neighborhoods.
        points: (N, 3), the points of the index.
        weights: (N,), the weight of each point as a neighbor. Default: 1.
        about_point: Whether the covariance is about the point itself, and not about the mean of its neighbors.
    """
    nearby = slice(int(block.second.min()), int(block.second.max()) + 1)
    origin = points[block.rows].mean(axis=0)  # near all points, so that squares lose no digits
    moments = _moments(points[nearby] - origin)
    if weights is not None:
        moments *= weights[nearby, None]
    sums = replace(block, second=block.second - nearby.start).sums(moments)
    mean = sums[:, 1:4] / sums[:, :1]
    second = np.empty((len(sums), 3, 3))
    for i, (row, column) in enumerate(((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)), start=4):
        second[:, row, column] = second[:, column, row] = sums[:, i] / sums[:, 0]
    covariances = second - mean[:, :, None] * mean[:, None, :]
    if about_point:
        offset = mean - (points[block.rows] - origin)
        covariances += offset[:, :, None] * offset[:, None, :]
    return np.bincount(block.first, minlength=len(sums)), covariances


def _moments(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns (N, 10): 1, x, y, z, xx, xy, xz, yy, yz, zz."""
    x, y, z = points.T
    return np.stack((np.ones(len(points)), x, y, z, x * x, x * y, x * z, y * y, y * z, z * z), axis=1)
