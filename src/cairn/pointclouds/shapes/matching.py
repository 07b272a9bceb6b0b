"""Corresponding points of two surfaces: the nearest ones in position and in the direction of the normal."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from cairn.pointclouds.shapes.shape import Shape
from cairn.pointclouds.shapes.similarity import Points


@dataclass(frozen=True, eq=False)
class Matcher:
    """Finds the corresponding points of a surface.

    With normals, both sides of a thin wall are far from each other although they are close in space.

    Attributes:
        target: The surface.
        weight: Distance that opposite normals count as, over 2; 0 ignores normals.
        oriented: Whether the signs of normals count.
        tree: The points of the target, with their normals.
    """

    target: Shape
    weight: float
    oriented: bool
    tree: cKDTree

    @classmethod
    def of(cls, target: Shape, weight: float, oriented: bool) -> Matcher:
        """Returns the matcher of a target."""
        return cls(target, weight, oriented, cKDTree(_features(target.points, target.normals, weight, oriented)))

    def __call__(self, points: Points, normals: Points) -> tuple[Points, NDArray[np.int64]]:
        """Returns the distances (N,) of points (N, 3) with normals, and the rows (N,) of the nearest target points."""
        distances, rows = self.tree.query(_features(points, normals, self.weight, self.oriented))
        return np.asarray(distances), np.asarray(rows, np.int64)


def _features(points: Points, normals: Points, weight: float, oriented: bool) -> Points:
    if weight == 0:
        return points
    if oriented:
        return np.concatenate([points, weight * normals], axis=1)
    x, y, z = normals.T  # n n^T, which is the same for n and -n
    root = np.sqrt(2)
    products = np.stack([x * x, y * y, z * z, root * x * y, root * y * z, root * x * z], axis=1)
    return np.concatenate([points, weight * products], axis=1)
