"""Choosing some points of a cloud: farthest points, random points, one point in each voxel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def farthest_points(points: NDArray[np.float64], count: int, start: int | None = None) -> NDArray[np.int64]:
    """Returns indices (S,) of points, each as far as possible from those before it.

    Args:
        points: (N, 3).
        count: Number of points; all where there are fewer.
        start: Index of the first. Default: the point farthest from the center.
    """
    count = min(count, len(points))
    chosen = np.empty(count, np.int64)
    if not count:
        return chosen
    if start is None:
        start = int(((points - points.mean(axis=0)) ** 2).sum(axis=1).argmax())
    squares = np.full(len(points), np.inf)
    for i in range(count):
        chosen[i] = start
        np.minimum(squares, ((points - points[start]) ** 2).sum(axis=1), out=squares)
        start = int(squares.argmax())
    return chosen


def random_points(points: NDArray[np.float64], count: int, seed: int = 0) -> NDArray[np.int64]:
    """Returns indices (S,) of different points, drawn at random."""
    drawn: NDArray[np.int64] = np.random.default_rng(seed).permutation(len(points))[:count]
    return drawn


def voxel_points(points: NDArray[np.float64], size: float) -> NDArray[np.int64]:
    """Returns indices (S,), ascending, of one point in each occupied voxel: the one nearest to the voxel's mean.

    Args:
        points: (N, 3).
        size: Edge of a voxel, in the coordinates of the points.
    """
    cells = np.floor((points - points.min(axis=0)) / size).astype(np.int64)
    _, voxel, counts = np.unique(cells, axis=0, return_inverse=True, return_counts=True)
    voxel = voxel.reshape(-1)
    means = np.stack([np.bincount(voxel, column) for column in points.T], axis=1) / counts[:, None]
    distances = ((points - means[voxel]) ** 2).sum(axis=1)
    order = np.lexsort((distances, voxel))
    first = np.concatenate([[0], np.cumsum(counts)[:-1]])
    chosen: NDArray[np.int64] = np.sort(order[first])
    return chosen
