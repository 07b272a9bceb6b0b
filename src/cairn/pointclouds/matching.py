"""Coarse alignment: motions that many matches of features agree on. Deterministic, where RANSAC draws at random.

Z. Chen, K. Sun, F. Yang, W. Tao, SC2-PCR: A Second Order Spatial Compatibility for Efficient and Robust Point Cloud
Registration, CVPR 2022.

    section 3.2, eq. 2-4, compatible matches, and how many matches two of them share    `_consistency`
    section 3.3, seeds                                                                  `_seeds`
    section 3.4, consensus of a seed                                                    `rigid_hypotheses`
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cairn.pointclouds.rigid import fit_rigid
from cairn.structures.cloud import move

MAX_MATCHES = 2000
"""Matches that are compared with one another: the time grows with the cube of their number."""

NUM_SEEDS = 150
CONSENSUS = 20
"""Matches of a seed that its motion is fitted to."""

REFITS = 4


@dataclass(frozen=True, eq=False)
class Hypothesis:
    """A motion, and how many matches agree with it.

    Attributes:
        transform: (4, 4), from the source to the target.
        inliers: Number of matches that are within the tolerance after the motion.
    """

    transform: NDArray[np.float64]
    inliers: int


def mutual_matches(
    source: NDArray[np.float64], target: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Returns the rows of features that are each other's nearest neighbor, the most distinctive pairs first.

    Args:
        source: (N, F) features.
        target: (M, F) features.
    """
    from scipy.spatial import cKDTree

    two = min(2, len(target))
    distances, nearest = cKDTree(target).query(source, k=[*range(1, two + 1)])
    back = cKDTree(source).query(target)[1]
    rows = np.flatnonzero(back[nearest[:, 0]] == np.arange(len(source)))
    ratio = distances[rows, 0] / np.maximum(distances[rows, -1], 1e-12)
    rows = rows[np.argsort(ratio, kind="stable")]
    return rows, nearest[rows, 0]


def rigid_hypotheses(
    source: NDArray[np.float64], target: NDArray[np.float64], tolerance: float, count: int = 10
) -> list[Hypothesis]:
    """Returns different motions that matches agree on, the one with the most inliers first.

    Args:
        source: (M, 3) points of the matches, the best first.
        target: (M, 3) their matches.
        tolerance: Distance within which a match agrees.
        count: Maximum number of motions.
    """
    source, target = source[:MAX_MATCHES], target[:MAX_MATCHES]
    if len(source) < 3:
        return []
    shared = _consistency(source, target, tolerance)
    seeds = _seeds(shared, source, tolerance)
    size = min(CONSENSUS, len(source))
    chosen = np.argsort(-shared[seeds], axis=1, kind="stable")[:, :size]
    chosen[:, -1] = seeds  # the seed itself is one of them
    weights = np.maximum(np.take_along_axis(shared[seeds], chosen, axis=1), 1e-6)
    transforms = fit_rigid(source[chosen], target[chosen], weights.astype(np.float64))
    for _ in range(REFITS):
        inliers = _inliers(transforms, source, target, tolerance)
        for row in np.flatnonzero(inliers.sum(axis=1) >= 3):
            transforms[row] = fit_rigid(source[inliers[row]], target[inliers[row]])
    totals = _inliers(transforms, source, target, tolerance).sum(axis=1)
    extent = float(np.linalg.norm(np.ptp(source, axis=0)))
    corners = source.mean(axis=0) + np.concatenate([np.eye(3), -np.eye(3)]) * extent / 2
    kept: list[Hypothesis] = []
    for row in np.argsort(-totals, kind="stable"):
        new = all(
            np.linalg.norm(move(each.transform, corners) - move(transforms[row], corners), axis=1).max() > 4 * tolerance
            for each in kept
        )
        if new:
            kept.append(Hypothesis(transforms[row], int(totals[row])))
        if len(kept) == count:
            break
    return kept


def _consistency(source: NDArray[np.float64], target: NDArray[np.float64], tolerance: float) -> NDArray[np.float32]:
    """Returns (M, M): of two matches that keep their distance, the number of matches that keep theirs to both."""
    here, there = _distances(source), _distances(target)
    compatible = ((np.abs(here - there) < tolerance) & (np.minimum(here, there) > tolerance)).astype(np.float32)
    return compatible * (compatible @ compatible)


def _distances(points: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy.spatial.distance import cdist

    return np.asarray(cdist(points, points))


def _seeds(shared: NDArray[np.float32], source: NDArray[np.float64], tolerance: float) -> NDArray[np.int64]:
    """Returns the rows of matches that most others support, not next to each other."""
    support = np.sort(shared, axis=1)[:, -CONSENSUS:].sum(axis=1)
    kept: list[int] = []
    for row in np.argsort(-support, kind="stable").tolist():
        if not kept or np.linalg.norm(source[kept] - source[row], axis=1).min() > 2 * tolerance:
            kept.append(row)
        if len(kept) == NUM_SEEDS:
            break
    return np.array(kept, np.int64)


def _inliers(
    transforms: NDArray[np.float64], source: NDArray[np.float64], target: NDArray[np.float64], tolerance: float
) -> NDArray[np.bool_]:
    """Returns (H, M): which matches each motion brings within the tolerance."""
    moved = source @ np.swapaxes(transforms[:, :3, :3], 1, 2) + transforms[:, None, :3, 3]
    return np.asarray(((moved - target) ** 2).sum(axis=2) < tolerance**2)
