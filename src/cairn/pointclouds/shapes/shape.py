"""A shape: evenly spaced points of its surface with normals, and its triangles."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cairn.errors import CloudError
from cairn.pointclouds.shapes.similarity import Points, Similarity
from cairn.structures.cloud import Cloud

MIN_POINTS = 50
"""Fewest points of a shape."""

MAX_SAMPLES = 60_000
"""Largest number of points that stand for a surface."""

NORMAL_NEIGHBORS = 12


@dataclass(frozen=True, eq=False)
class Shape:
    """Points of a surface, with normals.

    Attributes:
        points: (N, 3).
        normals: (N, 3), unit length.
        oriented: Whether normals point outward; those of clouds without faces have arbitrary signs.
        triangles: (M, 3, 3) corners; None for a cloud without faces.
        inward: Whether the faces of the mesh point inward; the normals are turned outward.
    """

    points: Points
    normals: Points
    oriented: bool
    triangles: Points | None = None
    inward: bool = False

    @classmethod
    def of(cls, cloud: Cloud) -> Shape:
        """Returns the surface of a mesh, or of a cloud without faces.

        Raises:
            CloudError: There are too few points, or all are at one place.
        """
        if len(cloud) < MIN_POINTS:
            raise CloudError(f"{cloud.source}: expected a shape of at least {MIN_POINTS} points, got {len(cloud)}")
        if not cloud.diagonal > 1e-9 * float(np.abs(cloud.points).max()):
            raise CloudError(f"{cloud.source}: all {len(cloud)} points are at one place, so there is no shape")
        if cloud.faces is None:
            points = cloud.points[_spaced(cloud.points, MAX_SAMPLES)]
            return cls(points, _estimated_normals(points), oriented=False)
        triangles = cloud.points[cloud.faces]
        triangles = triangles[_doubled_areas(triangles) > 0]
        if not len(triangles):
            raise CloudError(f"{cloud.source}: all faces have no area: export the mesh again, or without faces")
        points, normals, inward = _samples(cloud.points, cloud.faces)
        kept = _spaced(points, MAX_SAMPLES)
        return cls(points[kept], normals[kept], True, triangles, inward)

    def __len__(self) -> int:
        return len(self.points)

    @property
    def radius(self) -> float:
        """Root mean square distance of the points from their center: a size that no rotation changes."""
        return float(np.sqrt(((self.points - self.points.mean(axis=0)) ** 2).sum(axis=1).mean()))

    def moved(self, transform: Similarity) -> Shape:
        """Returns the shape after a similarity transform. Normals of a reflected shape point outward as before."""
        triangles = None if self.triangles is None else transform(self.triangles)
        return Shape(transform(self.points), self.normals @ transform.rotation.T, self.oriented, triangles, self.inward)

    def thinned(self, limit: int) -> Shape:
        """Returns the shape with about `limit` points, evenly spaced."""
        kept = _spaced(self.points, limit)
        return replace(self, points=self.points[kept], normals=self.normals[kept])

    def without_triangles(self) -> Shape:
        """Returns the points and normals alone, which move faster."""
        return replace(self, triangles=None)

    def closest(self, points: Points) -> Points:
        """Returns the points of the surface that are closest to points (L, 3); NaN for NaN."""
        found = np.full_like(points, np.nan)
        known = np.isfinite(points).all(axis=1)
        if self.triangles is None:
            from scipy.spatial import cKDTree

            found[known] = self.points[cKDTree(self.points).query(points[known])[1]]
            return found
        centers = self.triangles.mean(axis=1)
        radii = np.linalg.norm(self.triangles - centers[:, None], axis=2).max(axis=1)
        for row in np.flatnonzero(known):
            distances = np.linalg.norm(centers - points[row], axis=1)
            near = distances - radii <= distances.min()  # no other triangle is closer than that center
            candidates = _closest_of_triangles(points[row], self.triangles[near])
            found[row] = candidates[((candidates - points[row]) ** 2).sum(axis=1).argmin()]
        return found


def _samples(points: Points, faces: NDArray[np.int64]) -> tuple[Points, Points, bool]:
    """Returns the vertices and the centers of the triangles, normals, and whether faces point inward."""
    corners = points[faces]
    crosses = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    center = corners.mean(axis=(0, 1))
    inward = bool(np.einsum("ij,ij->", corners.mean(axis=1) - center, crosses) < 0)  # a negative volume
    crosses = -crosses if inward else crosses
    sums = np.zeros_like(points)
    for corner in range(3):
        for axis in range(3):
            sums[:, axis] += np.bincount(faces[:, corner], crosses[:, axis], len(points))
    all_normals = np.concatenate([sums, crosses])
    lengths = np.linalg.norm(all_normals, axis=1)
    kept = lengths > 0  # no unused vertices, and no triangles without an area
    samples = np.concatenate([points, corners.mean(axis=1)])[kept]
    return samples, all_normals[kept] / lengths[kept, None], inward


def _doubled_areas(triangles: Points) -> Points:
    sides = triangles[:, 1:] - triangles[:, :1]
    return np.asarray(np.linalg.norm(np.cross(sides[:, 0], sides[:, 1]), axis=1))


def _estimated_normals(points: Points) -> Points:
    """Returns the direction of least variance among the neighbors of each point."""
    from scipy.spatial import cKDTree

    neighbors = cKDTree(points).query(points, min(NORMAL_NEIGHBORS, len(points)))[1]
    local = points[neighbors] - points[neighbors].mean(axis=1, keepdims=True)
    return np.asarray(np.linalg.eigh(local.transpose(0, 2, 1) @ local)[1][:, :, 0])


def _spaced(points: Points, limit: int) -> NDArray[np.int64]:
    """Returns the rows of about `limit` points: of each occupied cell of a grid, the point nearest to its center.

    The grid lies in the frame of the points, and the choice does not depend on their order.
    """
    if len(points) <= limit:
        return np.arange(len(points))
    low = points.min(axis=0)
    extent = float(np.ptp(points, axis=0).max())
    smallest, largest = extent / limit, extent  # sides of the cells
    for _ in range(20):
        side = float(np.sqrt(smallest * largest))
        if len(np.unique(_cells(points, low, side))) > limit:
            smallest = side
        else:
            largest = side
    cells = _cells(points, low, largest)
    places = (points - low) / largest
    offsets = ((places - np.floor(places) - 0.5) ** 2).sum(axis=1)
    order = np.lexsort((points[:, 2], points[:, 1], points[:, 0], offsets, cells))
    first = np.flatnonzero(np.diff(cells[order], prepend=-1))
    return np.sort(order[first])


def _cells(points: Points, low: Points, side: float) -> NDArray[np.int64]:
    """Returns the number of each point's cell."""
    cells = np.floor((points - low) / side).astype(np.int64)
    width = cells.max(axis=0) + 1
    return np.asarray((cells[:, 0] * width[1] + cells[:, 1]) * width[2] + cells[:, 2])


def _closest_of_triangles(point: Points, triangles: Points) -> Points:
    """Returns the point of each triangle (M, 3, 3) that is closest to a point: (M, 3)."""
    a, b, c = triangles[:, 0], triangles[:, 1], triangles[:, 2]
    normals = np.cross(b - a, c - a)
    squares = (normals**2).sum(axis=1)
    v = np.einsum("ij,ij->i", np.cross(point - a, c - a), normals) / squares
    w = np.einsum("ij,ij->i", np.cross(b - a, point - a), normals) / squares
    closest = a + v[:, None] * (b - a) + w[:, None] * (c - a)
    inside = (v >= 0) & (w >= 0) & (v + w <= 1)
    nearest = np.where(inside, ((closest - point) ** 2).sum(axis=1), np.inf)
    for start, end in ((a, b), (b, c), (c, a)):
        along = np.einsum("ij,ij->i", point - start, end - start) / ((end - start) ** 2).sum(axis=1)
        candidate = start + np.clip(along, 0, 1)[:, None] * (end - start)
        squared = ((candidate - point) ** 2).sum(axis=1)
        closer = squared < nearest
        closest[closer], nearest[closer] = candidate[closer], squared[closer]
    return np.asarray(closest)
