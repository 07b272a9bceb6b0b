"""Intrinsic Shape Signatures: keypoints where the neighborhood varies most in its direction of least variation.

Yu Zhong, Intrinsic Shape Signatures: A Shape Descriptor for 3D Object Recognition, ICCV Workshops 2009.

    section 2.1, eq. 1, weights of points     `saliencies` with `weighted`
    section 2.1, eq. 2, scatter matrix        `cairn.pointclouds.covariance`
    section 3, ratios of eigenvalues          `saliencies`
    section 3, non-maximum suppression        `_maxima`

As released libraries (PCL, Open3D) do, points are unweighted and the covariance is about the mean of the neighbors by
default; `weighted` is the paper's form: each neighbor weighs 1 over the number of its own neighbors, and the
covariance is about the point. Neighbors of a point include itself. Of neighboring points with the same saliency,
within rounding, all are keypoints: where points share their neighbors, no order of the points decides.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cairn.errors import CloudError
from cairn.pointclouds.covariance import neighborhood_covariances
from cairn.pointclouds.lengths import Length, described
from cairn.pointclouds.neighbors import Index, resolution
from cairn.structures.cloud import Cloud, CloudKeypoints

SALIENT_RADIUS = Length(6)
"""Default radius of neighborhoods."""

NMS_RADIUS = Length(4)
"""Default radius of non-maximum suppression."""

TIE = 1e-9
"""Relative difference up to which two saliencies are the same."""

FLAT = 1e-12
"""Smallest eigenvalue over the largest that is not the rounding of a flat neighborhood."""

NEAREST = 4
"""Neighbors that are compared first: most points are no maximum among them."""


@dataclass(frozen=True)
class Iss:
    """The detector: called with a cloud, it returns `CloudKeypoints`, the most salient first.

    Attributes:
        salient_radius: Radius of the neighborhood whose shape is measured.
        nms_radius: Radius within which a keypoint has the highest saliency.
        gamma_21: Largest ratio of the second to the first eigenvalue.
        gamma_32: Largest ratio of the third to the second eigenvalue.
        min_neighbors: Smallest number of points within each radius, the point itself included.
        weighted: Whether neighbors are weighted as in the paper.
        threads: Number of threads of searches; 0 for all cores.

    Raises:
        CloudError: A value is impossible.
    """

    salient_radius: Length = SALIENT_RADIUS
    nms_radius: Length = NMS_RADIUS
    gamma_21: float = 0.975
    gamma_32: float = 0.975
    min_neighbors: int = 5
    weighted: bool = False
    threads: int = 0

    def __post_init__(self) -> None:
        for name, value in (("gamma-21", self.gamma_21), ("gamma-32", self.gamma_32)):
            if not 0 < value <= 1:
                raise CloudError(f"{name} must be a ratio above 0 and at most 1, got {value:g}")
        if self.min_neighbors < 1:
            raise CloudError(f"min-neighbors must be at least 1, got {self.min_neighbors}")

    def __call__(self, cloud: Cloud) -> CloudKeypoints:
        """Returns the keypoints of a cloud.

        Raises:
            CloudError: The cloud has fewer than two different points, or a radius covers far too many of them.
        """
        index = Index.of(cloud.points, self.threads or -1)
        spacing = resolution(cloud, index)
        salient = self.salient_radius.in_cloud(cloud, spacing)
        suppressed = self.nms_radius.in_cloud(cloud, spacing)
        values = saliencies(index, salient, self)
        rows = _maxima(index, values, suppressed, self.min_neighbors)
        found = index.order[rows]
        order = np.lexsort((found, -values[rows]))
        chosen = found[order]
        summary = (
            f"resolution {spacing:.4g} {cloud.unit or 'units'}, salient radius "
            f"{described(salient, spacing, cloud.unit)}, NMS radius {described(suppressed, spacing, cloud.unit)}"
        )
        return CloudKeypoints(cloud.points[chosen], values[rows][order], chosen, cloud, method="iss", summary=summary)


def saliencies(index: Index, radius: float, options: Iss) -> NDArray[np.float64]:
    """Returns the saliency (N,) of the points of an index: their third eigenvalue, or 0 where a ratio is too large."""
    weights = 1 / index.counts(index.points, radius) if options.weighted else None
    result = np.zeros(len(index))
    for block in index.blocks(radius):
        counts, covariances = neighborhood_covariances(block, index.points, weights, options.weighted)
        low, middle, high = np.linalg.eigvalsh(covariances).T
        passes = (counts >= options.min_neighbors) & (low > FLAT * high)
        passes &= (middle < options.gamma_21 * high) & (low < options.gamma_32 * middle)
        result[block.rows] = np.where(passes, low, 0)
    return result


def _maxima(index: Index, values: NDArray[np.float64], radius: float, min_neighbors: int) -> NDArray[np.int64]:
    """Returns the points whose saliency is the highest within a radius, and that have enough neighbors there."""
    from scipy.spatial import cKDTree

    salient = np.flatnonzero(values > 0)
    if not len(salient):
        return salient
    points, own = index.points[salient], values[salient]
    tree = cKDTree(points)
    _, near = tree.query(points, k=NEAREST + 1, distance_upper_bound=radius, workers=index.workers)
    padded = np.append(own, 0.0)  # a missing neighbor has the number len(points)
    candidates = np.flatnonzero(padded[near].max(axis=1) * (1 - TIE) <= own)
    kept = []
    for start in range(0, len(candidates), 1000):
        rows = candidates[start : start + 1000]
        pairs = cKDTree(points[rows]).sparse_distance_matrix(tree, radius, output_type="ndarray")
        highest = np.zeros(len(rows))
        np.maximum.at(highest, pairs["i"], own[pairs["j"]])
        kept.append(rows[highest * (1 - TIE) <= own[rows]])
    rows = salient[np.concatenate(kept)]
    chosen: NDArray[np.int64] = rows[index.counts(index.points[rows], radius) >= min_neighbors]
    return chosen
