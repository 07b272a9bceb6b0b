"""Metrics that need no labels: whether landmarks follow the object (consistency, section 3.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

COLLAPSE_DISTANCE = 2.0
"""Percent of the image's side: two landmarks that are closer coincide."""

STILL_RATIO = 0.5
"""A landmark does not follow the object if its error exceeds this share of the error of a fixed point."""

BLOCKS = 6
"""Blocks along each side of the view over which coverage is counted."""


@dataclass(frozen=True, eq=False)
class WarpedLandmarks:
    """Landmarks of M images and of their random warps; coordinates in [-1, 1] across the image.

    Attributes:
        predicted: (M, K, 2) Φ(x).
        moved: (M, K, 2) g(Φ(x∘g)): where the landmarks of the warped image lie in x.
        still: (M, K, 2) g(Φ(x)): where a point that does not follow the object would lie.
        in_view: (M, K) whether the warped image contains the landmark.
    """

    predicted: NDArray[Any]
    moved: NDArray[Any]
    still: NDArray[Any]
    in_view: NDArray[np.bool_]


def consistency(landmarks: WarpedLandmarks, middle: float) -> dict[str, float]:
    """Measures landmarks under random warps.

    Args:
        landmarks: Landmarks of M images and of their warps.
        middle: Side of the network's view over the side of the image.

    Returns:
        `equivariance`: mean |Φ(x) - g(Φ(x∘g))| in percent of the image's side. `still`: percentage of landmarks that
        do not follow the object. `collapsed`: percentage of landmarks that coincide with another. `spread`: mean
        distance of the landmarks from their center in percent of the side. `coverage`: percentage of blocks of the
        view that hold a landmark, of those that K landmarks could occupy.
    """
    predicted = landmarks.predicted
    weights = np.where(landmarks.in_view, 1.0, 0.0)
    counts = np.maximum(weights.sum(axis=0), 1e-9)
    errors = (np.linalg.norm(predicted - landmarks.moved, axis=-1) * weights).sum(axis=0) / counts  # (K,)
    reference = (np.linalg.norm(predicted - landmarks.still, axis=-1) * weights).sum(axis=0) / counts
    distances = np.linalg.norm(predicted[:, :, None] - predicted[:, None], axis=-1) + 4 * np.eye(predicted.shape[1])
    nearest = np.median(distances.min(axis=2), axis=0)
    from_center = predicted - predicted.mean(axis=1, keepdims=True)
    return {
        "equivariance": float(50 * errors.mean()),
        "still": float(100 * (errors > STILL_RATIO * reference).mean()),
        "collapsed": float(100 * (nearest < COLLAPSE_DISTANCE / 50).mean()),
        "spread": float(50 * np.linalg.norm(from_center, axis=-1).mean()),
        "coverage": coverage(predicted / middle),
    }


def coverage(points: NDArray[Any]) -> float:
    """Returns the percentage of occupied blocks, of those that K landmarks could occupy.

    Args:
        points: (M, K, 2) in [-1, 1].
    """
    blocks = np.clip(((points + 1) / 2 * BLOCKS).astype(int), 0, BLOCKS - 1)
    numbers = np.sort(blocks[..., 0] + BLOCKS * blocks[..., 1], axis=1)
    occupied = 1 + (np.diff(numbers, axis=1) > 0).sum(axis=1)
    return float(100 * occupied.mean() / min(points.shape[1], BLOCKS**2))
