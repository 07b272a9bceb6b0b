"""Fast Point Feature Histograms: how the normals around a point are arranged, whatever its position and rotation.

R. B. Rusu, N. Blodow, M. Beetz, Fast Point Feature Histograms (FPFH) for 3D Registration, ICRA 2009.

    section II, angles alpha, phi, theta of a pair    `_angles`
    section III, simplified histogram (SPFH)          `fpfh`, the first loop
    section III, eq. 4, weighted by distance          `fpfh`, the second
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cairn.pointclouds.neighbors import Index

BINS = 11
"""Bins of each of the three angles."""


def fpfh(points: NDArray[np.float64], normals: NDArray[np.float64], radius: float) -> NDArray[np.float64]:
    """Returns the features (N, 33) of points: three histograms, each of which sums to 100 or is 0.

    Args:
        points: (N, 3).
        normals: (N, 3), with consistent signs.
        radius: Radius of neighborhoods, in the coordinates of the points.
    """
    from scipy.sparse import coo_matrix, vstack

    index = Index.of(points)
    ordered = normals[index.order]
    simple = np.zeros((len(points), 3 * BINS))
    weights = []
    for block in index.blocks(radius):
        apart = block.distances > 0
        first, second, distances = block.first[apart], block.second[apart], block.distances[apart]
        count = block.rows.stop - block.rows.start
        own = first + block.rows.start
        for i, angle in enumerate(_angles(index.points[own], ordered[own], index.points[second], ordered[second])):
            bins = np.clip((angle * BINS).astype(np.int64), 0, BINS - 1)
            counts = np.bincount(first * BINS + bins, minlength=count * BINS).reshape(count, BINS)
            simple[block.rows, i * BINS : (i + 1) * BINS] = counts
        neighbors = np.maximum(np.bincount(first, minlength=count), 1)
        shares = 1 / (neighbors[first] * distances / radius)
        weights.append(coo_matrix((shares, (first, second)), shape=(count, len(points))))
    simple = _normalized(simple)
    features = np.empty_like(simple)
    features[index.order] = _normalized(simple + vstack(weights) @ simple)
    return features


def _angles(
    points: NDArray[np.float64], normals: NDArray[np.float64], others: NDArray[np.float64], theirs: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Returns the angles of pairs as shares of their range, from 0 to 1.

    The point whose normal is closer to the line between both is the source, so that both see the same pair.
    """
    line = others - points
    line /= np.linalg.norm(line, axis=1, keepdims=True)
    here, there = np.einsum("ij,ij->i", normals, line), np.einsum("ij,ij->i", theirs, line)
    turn = (np.abs(here) < np.abs(there))[:, None]
    source, target = np.where(turn, theirs, normals), np.where(turn, normals, theirs)
    line = np.where(turn, -line, line)
    phi = np.where(turn[:, 0], -there, here)
    across = np.cross(line, source)
    lengths = np.linalg.norm(across, axis=1, keepdims=True)
    across = np.divide(across, lengths, out=np.zeros_like(across), where=lengths > 1e-12)
    third = np.cross(source, across)
    alpha = np.einsum("ij,ij->i", across, target)
    theta = np.arctan2(np.einsum("ij,ij->i", third, target), np.einsum("ij,ij->i", source, target))
    return (alpha + 1) / 2, (phi + 1) / 2, (theta / np.pi + 1) / 2


def _normalized(histograms: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns histograms (N, 3 * BINS) that sum to 100 each."""
    parts = histograms.reshape(len(histograms), 3, BINS)
    sums = parts.sum(axis=2, keepdims=True)
    scaled = np.divide(100 * parts, sums, out=np.zeros_like(parts), where=sums > 0)
    flat: NDArray[np.float64] = scaled.reshape(histograms.shape)
    return flat
