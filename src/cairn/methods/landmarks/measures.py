"""Figures that need no labels, and tell whether landmarks were found (section 3.1: consistency)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

TOGETHER = 2.0
"""Percent of the image's side within which two landmarks are one."""

STILL = 0.5
"""A landmark whose error is more than this share of what a fixed point's would be does not follow the object."""

BLOCKS = 6
"""Coverage is counted over so many blocks along each side of what the network sees."""


def consistency(
    found: NDArray, moved: NDArray, still: NDArray, seen: NDArray[np.bool_], middle: float
) -> dict[str, float]:
    """Landmarks of M images under fresh warps; coordinates in [-1, 1] across the image.

    found   (M, K, 2) Φ(x)
    moved   (M, K, 2) g(Φ(x∘g)): where they should be again
    still   (M, K, 2) g(Φ(x)): where a point would be that does not follow
    seen    (M, K) whether x∘g shows the landmark at all: others cannot be followed
    middle  share of the image's side that the network sees

    equivariance  mean |Φ(x) - g(Φ(x∘g))|, percent of the image's side
    still         percentage of landmarks that do not follow (`STILL`)
    collapsed     percentage of landmarks that share their place with another (`TOGETHER`)
    spread        mean distance of landmarks from their center, percent of the side
    coverage      percentage of blocks of the view with a landmark in them, of those that K could reach
    """
    weights = np.where(seen, 1.0, 0.0)
    counts = np.maximum(weights.sum(axis=0), 1e-9)
    errors = (np.linalg.norm(found - moved, axis=-1) * weights).sum(axis=0) / counts  # (K,)
    reference = (np.linalg.norm(found - still, axis=-1) * weights).sum(axis=0) / counts
    apart = np.linalg.norm(found[:, :, None] - found[:, None], axis=-1) + 4 * np.eye(found.shape[1])
    nearest = np.median(apart.min(axis=2), axis=0)
    around = found - found.mean(axis=1, keepdims=True)
    return {
        "equivariance": float(50 * errors.mean()),
        "still": float(100 * (errors > STILL * reference).mean()),
        "collapsed": float(100 * (nearest < TOGETHER / 50).mean()),
        "spread": float(50 * np.linalg.norm(around, axis=-1).mean()),
        "coverage": coverage(found / middle),
    }


def coverage(points: NDArray) -> float:
    """(M, K, 2) in [-1, 1] -> percent of the blocks that K landmarks could occupy that they do occupy."""
    blocks = np.clip(((points + 1) / 2 * BLOCKS).astype(int), 0, BLOCKS - 1)
    numbers = np.sort(blocks[..., 0] + BLOCKS * blocks[..., 1], axis=1)
    occupied = 1 + (np.diff(numbers, axis=1) > 0).sum(axis=1)
    return float(100 * occupied.mean() / min(points.shape[1], BLOCKS**2))
