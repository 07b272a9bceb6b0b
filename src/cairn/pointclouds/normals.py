"""Normals of points: of meshes from their faces, of clouds from the shape of each neighborhood."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cairn.pointclouds.covariance import neighborhood_covariances
from cairn.pointclouds.neighbors import Index, resolution
from cairn.structures.cloud import Cloud

NORMAL_RADIUS = 4.0
"""Default radius of neighborhoods, in multiples of the resolution."""

GRAPH_NEIGHBORS = 10
"""Neighbors between which orientations are compared."""

ONE_SIDE = 0.4
"""Length of the mean normal above which a cloud is a scan from one side; of a closed surface it is 0."""


def with_normals(cloud: Cloud, radius: float | None = None, viewpoint: ArrayLike | None = None) -> Cloud:
    """Returns the cloud with consistently oriented normals; those that it has are kept.

    Args:
        cloud: The cloud. The normals of a mesh are those of its faces, weighted by their areas.
        radius: Radius of neighborhoods, in the coordinates of the cloud. Default: 4 times the resolution.
        viewpoint: (3,), where a scanner was: normals point toward it. Default: they point away from the center.

    Raises:
        CloudError: The cloud has fewer than two different points.
    """
    if cloud.normals is not None:
        return cloud
    if cloud.faces is not None:
        return replace(cloud, normals=face_normals(cloud.points, cloud.faces))
    index = Index.of(cloud.points)
    normals = pca_normals(cloud.points, radius or NORMAL_RADIUS * resolution(cloud, index), index)
    if viewpoint is None:
        return replace(cloud, normals=oriented(cloud.points, normals))
    toward = np.einsum("ij,ij->i", normals, np.asarray(viewpoint, np.float64) - cloud.points) < 0
    return replace(cloud, normals=np.where(toward[:, None], -normals, normals))


def face_normals(points: NDArray[np.float64], faces: NDArray[np.int64]) -> NDArray[np.float64]:
    """Returns the normals (N, 3) of vertices: the mean of their faces, weighted by area; 0 without a face."""
    a, b, c = (points[faces[:, i]] for i in range(3))
    areas = np.cross(b - a, c - a)
    sums = np.zeros((len(points), 3))
    for i in range(3):
        sums[:, i] = np.bincount(faces.ravel(), np.repeat(areas[:, i], 3), minlength=len(points))
    return _unit(sums)


def pca_normals(points: NDArray[np.float64], radius: float, index: Index | None = None) -> NDArray[np.float64]:
    """Returns the direction (N, 3) of least variance within a radius of each point; its sign is arbitrary."""
    index = index or Index.of(points)
    normals = np.empty((len(points), 3))
    for block in index.blocks(radius):
        _, covariances = neighborhood_covariances(block, index.points)
        normals[index.order[block.rows]] = np.linalg.eigh(covariances)[1][:, :, 0]
    return normals


def oriented(points: NDArray[np.float64], normals: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns normals with signs that agree between neighbors, and that point away from the center overall.

    Signs spread over a minimum spanning tree, between points with similar normals first (Hoppe 1992). Pieces that are
    not connected point away from the center each, or, in a scan from one side, to the side of the largest piece.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import breadth_first_order, connected_components, minimum_spanning_tree
    from scipy.spatial import cKDTree

    count = len(points)
    if count < 3:
        return normals
    neighbors = min(GRAPH_NEIGHBORS, count - 1)
    _, near = cKDTree(points).query(points, k=neighbors + 1)
    first, second = np.repeat(np.arange(count), neighbors), near[:, 1:].ravel()
    costs = 1.0 + 1e-6 - np.abs(np.einsum("ij,ij->i", normals[first], normals[second]))
    low, high = np.minimum(first, second), np.maximum(first, second)
    _, once = np.unique(low * count + high, return_index=True)  # each edge once: equal entries would be added
    graph = coo_matrix((costs[once], (low[once], high[once])), shape=(count, count)).tocsr()
    tree = minimum_spanning_tree(graph)
    parts, part = connected_components(tree, directed=False)
    signs = np.ones(count)
    for root in np.unique(part, return_index=True)[1]:
        order, parents = breadth_first_order(tree, root, directed=False)
        agree = np.einsum("ij,ij->i", normals[order[1:]], normals[parents[order[1:]]]) >= 0
        for point, parent, same in zip(order[1:].tolist(), parents[order[1:]].tolist(), agree.tolist(), strict=True):
            signs[point] = signs[parent] if same else -signs[parent]
    turned = normals * signs[:, None]
    outward = np.bincount(part, np.einsum("ij,ij->i", turned, points - points.mean(axis=0)), minlength=parts)
    largest = part == np.bincount(part).argmax()
    facing = turned[largest].mean(axis=0) * (-1 if outward[part[largest][0]] < 0 else 1)
    if np.linalg.norm(facing) > ONE_SIDE:  # a scan from one side: pieces face the scanner, as the largest does
        outward = np.bincount(part, turned @ facing, minlength=parts)
    return np.asarray(turned * np.where(outward[part] < 0, -1.0, 1.0)[:, None])


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    unit: NDArray[np.float64] = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    return unit
