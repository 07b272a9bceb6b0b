"""Neighbors of points: the resolution of a cloud, and all points within a radius, in blocks that fit into memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.errors import CloudError
from cairn.extras import require
from cairn.structures.cloud import Cloud

BLOCK_PAIRS = 2_000_000
"""Pairs of neighbors in memory at a time, about 24 bytes each."""

MAX_BLOCK = 20_000
"""Largest number of points of a block."""

MAX_MEAN_NEIGHBORS = 20_000
"""Mean number of neighbors at which a radius is taken for a mistake: the time grows with it."""

SAMPLE = 64


@dataclass(frozen=True, eq=False)
class Index:
    """Points in an order in which neighbors lie close to each other, and their k-d tree.

    Attributes:
        points: (N, 3) in that order.
        order: (N,) int64, the row in the cloud of each of them.
        tree: `scipy.spatial.cKDTree` of `points`.
        workers: Threads of searches; -1 for all cores.
    """

    points: NDArray[np.float64]
    order: NDArray[np.int64]
    tree: Any
    workers: int = 1

    @classmethod
    def of(cls, points: NDArray[np.float64], workers: int = 1) -> Index:
        """Returns the index of points (N, 3).

        Raises:
            MissingExtra: SciPy is not installed.
        """
        require("scipy", extra="clouds", purpose="a point cloud")
        from scipy.spatial import cKDTree

        order = np.asarray(cKDTree(points).indices, np.int64)
        ordered = np.ascontiguousarray(points[order])
        return cls(ordered, order, cKDTree(ordered), workers)

    def __len__(self) -> int:
        return len(self.points)

    def resolution(self) -> float:
        """Returns the mean distance of a point to its nearest neighbor."""
        distances, _ = self.tree.query(self.points, k=2, workers=self.workers)
        return float(distances[:, 1].mean())

    def counts(self, points: NDArray[np.float64], radius: float) -> NDArray[np.int64]:
        """Returns how many points of the cloud lie within a radius of each of some points (Q, 3)."""
        counts = self.tree.query_ball_point(points, radius, return_length=True, workers=self.workers)
        return np.asarray(counts, np.int64)

    def blocks(self, radius: float) -> Iterator[Block]:
        """Yields the neighborhoods of all points, in blocks of neighboring points.

        Raises:
            CloudError: The radius is so large that the search would not end.
        """
        from scipy.spatial import cKDTree

        rng = np.random.default_rng(0)
        sample = self.counts(self.points[rng.integers(0, len(self), 4 * SAMPLE)], radius)
        if sample.mean() > MAX_MEAN_NEIGHBORS:
            raise CloudError(
                f"a radius of {radius:.4g} has {int(sample.mean()):,} points on average, of {len(self):,}: "
                "expected a smaller radius, or a cloud that is thinned"
            )
        start = 0
        while start < len(self):
            ahead = self.points[start : start + MAX_BLOCK]
            mean = self.counts(ahead[:: max(1, len(ahead) // SAMPLE)], radius).mean()
            stop = min(len(self), start + max(1, min(MAX_BLOCK, int(BLOCK_PAIRS / max(mean, 1)))))
            rows = slice(start, stop)
            pairs = cKDTree(self.points[rows]).sparse_distance_matrix(self.tree, radius, output_type="ndarray")
            yield Block(rows, pairs["i"], pairs["j"], pairs["v"])
            start = stop


@dataclass(frozen=True, eq=False)
class Block:
    """Points of an index in a row, and their neighbors, each point itself among them.

    Attributes:
        rows: Which points of the index.
        first: (E,) int, the point of each pair, from 0 in this block.
        second: (E,) int, its neighbor, in the index.
        distances: (E,) float64.
    """

    rows: slice
    first: NDArray[np.int64]
    second: NDArray[np.int64]
    distances: NDArray[np.float64]

    def sums(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Returns the sums (B, C) over the neighbors of each point of values (N, C)."""
        from scipy.sparse import coo_matrix

        shape = (self.rows.stop - self.rows.start, len(values))
        pairs = coo_matrix((np.ones(len(self.first)), (self.first, self.second)), shape=shape)
        total: NDArray[np.float64] = pairs @ values
        return total


def check_extent(cloud: Cloud) -> None:
    """Checks that a cloud has different points.

    Raises:
        CloudError: It has one point, or all are at the same place.
    """
    if len(cloud) < 2:
        raise CloudError(f"{cloud.source}: expected several points, got one")
    if not np.ptp(cloud.points, axis=0).any():
        raise CloudError(f"{cloud.source}: all {len(cloud)} points are at the same place")


def resolution(cloud: Cloud, index: Index | None = None) -> float:
    """Returns the resolution of a cloud: the mean distance of a point to its nearest neighbor, in the cloud's unit.

    Of a cloud whose points mostly occur several times, it is that of the different points.

    Raises:
        CloudError: There is one point, or all are at the same place.
    """
    check_extent(cloud)
    found = (index or Index.of(cloud.points)).resolution()
    if found * 100 < cloud.diagonal / len(cloud):  # closer than points on one line
        distinct = np.unique(cloud.points, axis=0)
        found = Index.of(distinct).resolution()
    return found
