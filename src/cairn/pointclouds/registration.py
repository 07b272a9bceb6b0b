"""Registration of two clouds that overlap: keypoints, features, a coarse alignment and its refinement."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.errors import CloudError
from cairn.pointclouds.fpfh import fpfh
from cairn.pointclouds.icp import Alignment, icp, overlapping
from cairn.pointclouds.iss import Iss
from cairn.pointclouds.lengths import Length
from cairn.pointclouds.matching import mutual_matches, rigid_hypotheses
from cairn.pointclouds.neighbors import resolution
from cairn.pointclouds.normals import NORMAL_RADIUS, with_normals
from cairn.pointclouds.rigid import inverse, rotation_angle
from cairn.pointclouds.sampling import voxel_points
from cairn.structures.cloud import Cloud, CloudKeypoints, move
from cairn.wording import counted

COARSE_POINTS = 10_000
FINE_POINTS = 60_000
"""Points of each cloud that the coarse alignment and the refinement use."""

NORMALS, FEATURES, TOLERANCE, PAIRS = 2.5, 5.0, 3.0, 2.0
"""Radii of normals and features, and distances of matches and of overlapping points, in voxels."""

KEYPOINTS = Iss(Length(6), Length(2))
"""Default detector: on the thinned cloud, with more keypoints than the default of `cairn keypoints`."""

HYPOTHESES = 6
COARSE_ITERATIONS = 12

MIN_OVERLAP = 0.2
"""Smallest overlap, as a share of the smaller cloud, that is taken for a registration."""

MIN_STABILITY = 0.02
MIN_POINTS = 30

MAX_RATIO = 50
"""Ratio of diagonals at which clouds are taken to have different units."""
MIN_INLIERS = 8
MIN_INLIER_SHARE = 0.03
"""Smallest number of matches that agree, and their smallest share; wrong motions have up to 5 of 25, or 13 of 1,844."""


@dataclass(frozen=True, eq=False, repr=False)
class Registration:
    """The motion of one cloud onto another: p_target = R p_source + t.

    Attributes:
        transform: (4, 4) float64, [R | t].
        overlap: Share of the points of the smaller cloud that lie on the other after the motion, with similar normals.
        error: Root mean square distance of the overlapping points to the other surface, in `unit`.
        stability: How well the overlap fixes the motion; near 0 where the surface can slide, as a plane can.
        inliers: Number of matches of keypoints that agree with the coarse alignment.
        matches: Number of matches.
        spacing: Distance within which points overlap, in `unit`.
        unit: Unit of the clouds; None where it is not known.
    """

    transform: NDArray[np.float64]
    overlap: float
    error: float
    stability: float
    inliers: int
    matches: int
    spacing: float
    unit: str | None = None

    def __repr__(self) -> str:
        return f"Registration({self.summary})"

    @property
    def summary(self) -> str:
        """The motion and its quality in words."""
        unit = self.unit or "units"
        return (
            f"rotation {rotation_angle(self.transform):.2f} degrees, overlap {self.overlap:.0%} of the smaller cloud, "
            f"error {self.error:.3g} {unit}, {self.inliers} of {self.matches} matches agree"
        )

    @property
    def rotation(self) -> NDArray[np.float64]:
        """(3, 3): R."""
        return self.transform[:3, :3]

    @property
    def translation(self) -> NDArray[np.float64]:
        """(3,): t."""
        return self.transform[:3, 3]

    def weakness(self, min_overlap: float = MIN_OVERLAP) -> str | None:
        """Returns why the registration is not to be trusted; None where nothing speaks against it."""
        if self.overlap < min_overlap:
            return f"the overlap is {self.overlap:.0%} of the smaller cloud, expected at least {min_overlap:.0%}"
        if self.stability < MIN_STABILITY:
            return f"the overlap is flat, round or straight and can slide (stability {self.stability:.3f})"
        expected = max(MIN_INLIERS, round(MIN_INLIER_SHARE * self.matches))
        if self.inliers < expected:
            return f"{self.inliers} of {self.matches} matches of keypoints agree, expected at least {expected}"
        return None


def register(
    source: Cloud, target: Cloud, detect: Callable[[Cloud], CloudKeypoints] = KEYPOINTS, voxel: float | None = None
) -> Registration:
    """Returns the motion of one cloud onto another.

    Keypoints are matched by their FPFH; the matches vote for motions; the best ones are refined point to plane, and
    the one with the largest overlap is refined on more points. Where the keypoints lead to a weak result, all points
    of the thinned clouds are matched.

    Args:
        source: The cloud that moves.
        target: The cloud that stays.
        detect: Detector of keypoints.
        voxel: Edge of the voxels that clouds are thinned to, in their coordinates. Default: 2.5 times the coarser
            resolution, more for large clouds.

    Raises:
        CloudError: The clouds have different units or sizes, or too few different points.
    """
    if source.unit and target.unit and source.unit != target.unit:
        raise CloudError(
            f"{source.source} is in {source.unit} and {target.source} in {target.unit}: convert one, or state its unit"
        )
    spacing = max(resolution(source), resolution(target))
    ratio = source.diagonal / target.diagonal
    if not 1 / MAX_RATIO < ratio < MAX_RATIO:
        raise CloudError(
            f"{source.source} and {target.source} cannot be registered: their diagonals, {source.diagonal:.4g} and "
            f"{target.diagonal:.4g}, differ too much: check their units"
        )
    edge = _edge((source, target), voxel or 2.5 * spacing, COARSE_POINTS)
    moving, fixed = _thinned(source, edge, NORMALS * edge), _thinned(target, edge, NORMALS * edge)
    best = _coarse(moving, fixed, detect(moving).indices, detect(fixed).indices, edge)
    if best is None or best.weakness():
        rows = np.arange(len(moving)), np.arange(len(fixed))
        dense = _coarse(moving, fixed, *rows, edge)
        best = max((each for each in (best, dense) if each), key=lambda each: each.overlap, default=None)
    if best is None:
        raise CloudError(
            f"{source.source} and {target.source} cannot be registered: their features do not match; do they overlap?"
        )
    return replace(_refined(source, target, best, spacing), unit=target.unit or source.unit)


def _edge(clouds: Sequence[Cloud], edge: float, most: int) -> float:
    """Returns the edge of voxels, from a given one, of which each cloud occupies no more than `most`."""
    for cloud in clouds:
        while (count := len(voxel_points(cloud.points, edge))) > most:
            edge *= max(1.05, (count / most) ** 0.5)
    return edge


def _thinned(cloud: Cloud, edge: float, radius: float) -> Cloud:
    """Returns one point in each voxel, with normals of neighborhoods of a radius, or of the faces of a mesh."""
    if cloud.faces is not None:
        cloud = with_normals(cloud)
    rows = voxel_points(cloud.points, edge)
    if len(rows) < MIN_POINTS:
        raise CloudError(
            f"{cloud.source}: {counted(len(rows), 'point')} after thinning to voxels of {edge:.3g} "
            f"{cloud.unit or 'units'}, expected at least {MIN_POINTS} to register it: "
            "give a denser cloud or smaller voxels"
        )
    return with_normals(cloud.select(rows), radius)


def _coarse(
    moving: Cloud, fixed: Cloud, first: NDArray[np.int64], second: NDArray[np.int64], edge: float
) -> Registration | None:
    """Returns the best registration of thinned clouds by matches between some of their points."""
    from scipy.spatial import cKDTree

    if len(first) < 3 or len(second) < 3:
        return None
    features = [fpfh(each.points, _normals(each), FEATURES * edge) for each in (moving, fixed)]
    rows, matched = mutual_matches(features[0][first], features[1][second])
    ends = moving.points[first[rows]], fixed.points[second[matched]]
    trees = cKDTree(fixed.points), cKDTree(moving.points)
    found = []
    for each in rigid_hypotheses(*ends, TOLERANCE * edge, HYPOTHESES):
        alignment = icp(moving, fixed, trees[0], each.transform, PAIRS * edge, COARSE_ITERATIONS)
        overlap = _overlap(moving, fixed, trees, alignment.transform, PAIRS * edge)
        apart = np.linalg.norm(move(alignment.transform, ends[0]) - ends[1], axis=1)
        inliers = int((apart < TOLERANCE * edge).sum())
        found.append(_registration(alignment, overlap, inliers, len(rows), PAIRS * edge))
    return max(found, key=lambda each: (each.overlap, each.inliers), default=None)


def _refined(source: Cloud, target: Cloud, coarse: Registration, spacing: float) -> Registration:
    """Returns a registration refined on more points."""
    from scipy.spatial import cKDTree

    edge = _edge((source, target), spacing / 2, FINE_POINTS)
    spacing = max(spacing, edge)
    moving, fixed = (_thinned(cloud, edge, NORMAL_RADIUS * spacing) for cloud in (source, target))
    trees = cKDTree(fixed.points), cKDTree(moving.points)
    transform = coarse.transform
    for distance in (4 * spacing, 2 * spacing):
        alignment = icp(moving, fixed, trees[0], transform, distance)
        transform = alignment.transform
    overlap = _overlap(moving, fixed, trees, transform, 2 * spacing)
    return _registration(alignment, overlap, coarse.inliers, coarse.matches, 2 * spacing)


def _overlap(
    moving: Cloud, fixed: Cloud, trees: tuple[Any, Any], transform: NDArray[np.float64], distance: float
) -> float:
    """Returns the larger share of the points of a cloud that lie on the other."""
    here = len(overlapping(moving, fixed, trees[0], transform, distance)[0]) / len(moving)
    there = len(overlapping(fixed, moving, trees[1], inverse(transform), distance)[0]) / len(fixed)
    return max(here, there)


def _registration(alignment: Alignment, overlap: float, inliers: int, matches: int, spacing: float) -> Registration:
    return Registration(alignment.transform, overlap, alignment.error, alignment.stability, inliers, matches, spacing)


def _normals(cloud: Cloud) -> NDArray[np.float64]:
    assert cloud.normals is not None
    return cloud.normals
