"""Rigid motions between matched points, as 4x4 matrices: p -> R p + t."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def fit_rigid(
    source: NDArray[np.float64], target: NDArray[np.float64], weights: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """Returns the motions (..., 4, 4) that bring matched points closest to each other (Kabsch 1976).

    Args:
        source: (..., N, 3), at least three points that are not on a line.
        target: (..., N, 3).
        weights: (..., N), not negative. Default: 1.
    """
    weights = np.ones(source.shape[:-1]) if weights is None else weights
    shares = (weights / weights.sum(axis=-1, keepdims=True))[..., None]
    centers = (source * shares).sum(axis=-2), (target * shares).sum(axis=-2)
    a, b = source - centers[0][..., None, :], target - centers[1][..., None, :]
    u, _, vt = np.linalg.svd(np.swapaxes(a * shares, -1, -2) @ b)
    mirrored = np.linalg.det(u) * np.linalg.det(vt) < 0
    vt[..., 2, :] *= np.where(mirrored, -1.0, 1.0)[..., None]
    rotation = np.swapaxes(u @ vt, -1, -2)
    result = np.broadcast_to(np.eye(4), (*rotation.shape[:-2], 4, 4)).copy()
    result[..., :3, :3] = rotation
    result[..., :3, 3] = centers[1] - (rotation @ centers[0][..., None])[..., 0]
    return result


def rotation_angle(transform: NDArray[np.float64]) -> float:
    """Returns the angle of the rotation of a motion (4, 4), or of a matrix (3, 3), in degrees."""
    rotation = transform[:3, :3]
    axis = np.array([rotation[2, 1] - rotation[1, 2], rotation[0, 2] - rotation[2, 0], rotation[1, 0] - rotation[0, 1]])
    return float(np.degrees(np.arctan2(np.linalg.norm(axis), np.trace(rotation) - 1)))


def inverse(transform: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the inverse of a rigid motion (4, 4)."""
    result = np.eye(4)
    result[:3, :3] = transform[:3, :3].T
    result[:3, 3] = -transform[:3, :3].T @ transform[:3, 3]
    return result
