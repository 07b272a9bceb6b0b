"""Nodes of a cloud and their points: what the network takes. In NumPy, the same for training and inference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cairn.errors import CloudError

Array = NDArray[np.float64]

Frames = Literal["cloud", "node"]

MAX_NODES = 500_000
"""Maximum number of nodes of a cloud: their sampling and their groups take about 5 kB and 0.2 ms each."""

SUPPORT = 2.0
"""Radius of the neighborhood that the frame of a node is of, in multiples of the spacing."""

LOCAL = 10
"""Extent of a cloud, over the distance of a new node to those before it, from which only points near it are updated."""

SMALL = 5000
"""Number of points below which all are."""

BLOCK = 512
"""Neighboring points whose largest distance is kept."""


ROUNDING = 1e-12
"""Squared distance, over the largest squared distance from the mean, that is none."""


@dataclass(frozen=True)
class Grouping:
    """How a cloud is divided among nodes.

    Attributes:
        cells: Cells of the thinning grid along the spacing of nodes.
        points: P, the number of points of a node.
        neighbors: K, the number of nodes whose features are aggregated, the node itself included.
        with_normals: Whether points have their normals.
        frames: Frame that points are in: "cloud", that of the cloud, or "node", one of each node's neighborhood.
    """

    cells: float = 4.0
    points: int = 24
    neighbors: int = 16
    with_normals: bool = False
    frames: Frames = "cloud"


@dataclass(frozen=True)
class Groups:
    """The input of the network: a cloud of M nodes. Lengths are in multiples of the spacing.

    Attributes:
        nodes: (M, 3) float64, in the coordinates of the cloud: the mean of each node's points.
        points: (M, P, 3 or 6) float32, relative to the node, in its frame; with normals.
        relative: (M, K, 3 or 9) float32, the positions of the neighbors relative to the node, in its frame; where nodes
            have frames, with the first two axes of those of the neighbors.
        neighbors: (M, K) int64, the nearest nodes, the node itself first.
        frames: (M, 3, 3) float64, the axes of each node's frame as rows.
    """

    nodes: Array
    points: NDArray[np.float32]
    relative: NDArray[np.float32]
    neighbors: NDArray[np.int64]
    frames: Array

    def __len__(self) -> int:
        return len(self.nodes)

    def parts(self, size: int) -> list[NDArray[np.int64]]:
        """Returns the rows of all nodes, in parts of neighboring nodes."""
        from scipy.spatial import cKDTree

        order = np.asarray(cKDTree(self.nodes).indices, np.int64)
        return [order[start : start + size] for start in range(0, len(order), size)]

    def around(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]:
        """Returns the inputs of the network for some nodes, which are the first, and for their neighbors."""
        others = np.setdiff1d(self.neighbors[rows], rows)
        needed = np.concatenate([rows, others])
        place = np.zeros(len(self), np.int64)
        place[needed] = np.arange(len(needed))
        near = place[self.neighbors[needed]]  # 0 for a neighbor of a neighbor: what it leads to is not used
        return self.points[needed][None], self.relative[needed][None], near[None]


def group(
    points: Array, normals: Array | None, spacing: float, grouping: Grouping, max_nodes: int | None = None
) -> Groups:
    """Divides a cloud among nodes.

    Args:
        points: (N, 3).
        normals: (N, 3), or None.
        spacing: Distance between nodes, in the unit of the cloud: no point is farther from its node.
        grouping: The settings.
        max_nodes: Number of nodes at which sampling ends; points that are farther than the spacing from them are left
            out. None for no limit but `MAX_NODES`.

    Raises:
        CloudError: There are too many nodes.
    """
    from scipy.spatial import cKDTree

    points, normals = thin(points, normals, spacing / grouping.cells)
    chosen, reached = spaced_points(points, spacing, MAX_NODES + 1 if max_nodes is None else max_nodes)
    if max_nodes is None and len(chosen) > MAX_NODES:
        raise CloudError(
            f"nodes {spacing:.4g} apart are more than {MAX_NODES:,}: expected a larger spacing, or a smaller cloud"
        )
    distances, owners = cKDTree(points[chosen]).query(points)
    if reached > spacing:
        kept = distances <= spacing
        points, owners = points[kept], owners[kept]
        normals = None if normals is None else normals[kept]
    order = np.argsort(owners, kind="stable")
    counts = np.bincount(owners, minlength=len(chosen))
    nodes = np.stack([np.bincount(owners, points[:, i], len(chosen)) for i in range(3)], axis=1) / counts[:, None]
    rows = order[_spread(counts, grouping.points)]
    near = nearest_nodes(nodes, grouping.neighbors)
    places = (points[rows] - nodes[:, None]) / spacing
    relative = (nodes[near] - nodes[:, None]) / spacing
    frames = np.broadcast_to(np.eye(3), (len(nodes), 3, 3))
    if grouping.frames == "node":
        frames = node_frames((places[near] + relative[:, :, None]).reshape(len(nodes), -1, 3))
    parts = [places @ np.swapaxes(frames, 1, 2)]
    if grouping.with_normals:
        if normals is None:
            raise CloudError("the model takes normals, and the cloud has none")
        parts.append(normals[rows] @ np.swapaxes(frames, 1, 2))
    positions = [relative @ np.swapaxes(frames, 1, 2)]
    if grouping.frames == "node":
        axes = frames[near][:, :, :2] @ np.swapaxes(frames, 1, 2)[:, None]
        positions.append(axes.reshape(*near.shape, 6))
    return Groups(
        nodes,
        np.concatenate(parts, axis=-1).astype(np.float32),
        np.concatenate(positions, axis=-1).astype(np.float32),
        near,
        frames,
    )


def node_frames(around: Array) -> Array:
    """Returns a frame (M, 3, 3) for each neighborhood, with the axes as rows, which turns with the points.

    The axes are the principal directions of the points within `SUPPORT`, the near ones weighing most, as of intrinsic
    shape signatures and SHOT: the last one is the normal, away from the points, the first one that of most variance,
    toward the heavier side.

    Args:
        around: (M, S, 3) points relative to the node, in multiples of the spacing.
    """
    weights = np.maximum(0, 1 - (around**2).sum(axis=2) / SUPPORT**2)
    weights /= np.maximum(weights.sum(axis=1, keepdims=True), 1e-12)
    mean = np.einsum("ms,msi->mi", weights, around)
    away = around - mean[:, None]
    covariances = np.einsum("ms,msi,msj->mij", weights, away, away, optimize=True)
    directions = np.swapaxes(np.linalg.eigh(covariances)[1], 1, 2)  # rows, by ascending variance
    x, z = directions[:, 2], directions[:, 0]
    along = np.einsum("msi,mi->ms", around, x)
    x = x * np.where((weights * along * np.abs(along)).sum(axis=1) < 0, -1.0, 1.0)[:, None]
    z = z * np.where((mean * z).sum(axis=1) > 0, -1.0, 1.0)[:, None]
    return np.stack([x, np.cross(z, x), z], axis=1)


def thin(points: Array, normals: Array | None, cell: float) -> tuple[Array, Array | None]:
    """Returns the mean point, and the mean normal of unit length, in each cell of a grid."""
    keys = np.floor((points - points.min(axis=0)) / cell).astype(np.int64)
    spans = keys.max(axis=0) + 1
    flat = (keys[:, 0] * spans[1] + keys[:, 1]) * spans[2] + keys[:, 2]
    _, owners, counts = np.unique(flat, return_inverse=True, return_counts=True)
    means = [
        np.stack([np.bincount(owners, values[:, i]) for i in range(3)], axis=1) / counts[:, None]
        for values in ((points,) if normals is None else (points, normals))
    ]
    if normals is None:
        return means[0], None
    lengths = np.linalg.norm(means[1], axis=1, keepdims=True)
    return means[0], np.divide(means[1], lengths, out=np.zeros_like(means[1]), where=lengths > 1e-9)


def spaced_points(points: Array, spacing: float, count: int | None = None) -> tuple[NDArray[np.int64], float]:
    """Samples points, each the farthest from those before it. The first is the farthest from the mean.

    Args:
        points: (N, 3).
        spacing: Sampling ends where all points are within this distance of a sampled one.
        count: Maximum number of points.

    Returns:
        Their rows, and the largest distance of a point to the nearest of them.
    """
    from scipy.spatial import cKDTree

    count = len(points) if count is None else min(count, len(points))
    order = np.asarray(cKDTree(points).indices)  # neighbors lie close to each other
    points = points[order] - points.mean(axis=0)
    norms = (points**2).sum(axis=1)
    row = int(norms.argmax())
    rows, squares = [row], norms - 2 * (points @ points[row]) + norms[row]
    starts = np.arange(0, len(points), BLOCK)
    highest = np.maximum.reduceat(squares, starts)
    tree, near = cKDTree(points), norms.max() / LOCAL**2
    while True:
        start = BLOCK * int(highest.argmax())
        row = start + int(squares[start : start + BLOCK].argmax())
        farthest = squares[row]
        if len(rows) >= count or farthest <= max(spacing**2, ROUNDING * norms.max()):
            return order[rows], max(0.0, float(farthest)) ** 0.5
        rows.append(row)
        if farthest > near or len(points) < SMALL:
            np.minimum(squares, norms - 2 * (points @ points[row]) + norms[row], out=squares)
            highest = np.maximum.reduceat(squares, starts)
        else:  # a point that is farther than this from the new node is nearer to another
            around = np.array(tree.query_ball_point(points[row], farthest**0.5 * (1 + 1e-9)))
            squares[around] = np.minimum(squares[around], ((points[around] - points[row]) ** 2).sum(axis=1))
            for block in np.unique(around // BLOCK):
                highest[block] = squares[BLOCK * block : BLOCK * (block + 1)].max()


def nearest_nodes(nodes: Array, count: int) -> NDArray[np.int64]:
    """Returns the nearest nodes (M, K) of each, itself first; where there are fewer, they are repeated."""
    from scipy.spatial import cKDTree

    found = min(count, len(nodes))
    _, near = cKDTree(nodes).query(nodes, k=found)
    near = np.asarray(near, np.int64).reshape(len(nodes), found)
    return near[:, np.arange(count) % found]


def _spread(counts: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Returns places (M, size) in a list that holds `counts[m]` items of each m: evenly spaced, or repeated."""
    first = np.cumsum(counts) - counts
    place = np.arange(size)[None]
    many = counts[:, None]
    return np.asarray(first[:, None] + np.where(many > size, place * many // size, place % many))
