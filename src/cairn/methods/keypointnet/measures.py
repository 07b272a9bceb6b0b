"""Measures of 3D keypoints that need no labels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cairn.inference.keypoints3d import ANGLE_CALIBRATION
from cairn.methods.keypointnet.views import Views
from cairn.ops.procrustes import procrustes
from cairn.ops.rigid import rigid

Array = NDArray[np.float64]


class Predicted(NamedTuple):
    """Keypoints of N views.

    Attributes:
        points: (N, K, 3) in object units, in the frame of each camera.
        uv: (N, K, 2) in [-1, 1] across the image.
        confidence: (N, K).
    """

    points: Array
    uv: Array
    confidence: Array


def measures(predicted: Predicted, views: Views, pairs: NDArray[np.int64]) -> dict[str, float]:
    """Returns the measures by name.

    - angle mean, angle median: error in degrees of the relative pose of pairs, by Procrustes.
    - angle calibration: factor on the standard error of that pose, below which 68% of the errors are.
    - consistency: median distance in pixels of keypoints from those of the other view, projected.
    - separation: median distance of each keypoint from its nearest neighbor, in object units.
    - inside: percentage of keypoints within the mask.
    - spread: median distance of each keypoint from its mean over the views of an object, in percent of its diameter.
    """
    angles = angular_errors(predicted.points, views, pairs)
    stated = np.degrees(rigid(predicted.points[pairs[:, 0]], predicted.points[pairs[:, 1]]).angle_error)
    size = views.images.shape[1]
    distances = np.linalg.norm(projected(predicted.points, views, pairs) - predicted.uv[pairs[:, 1]], axis=-1)
    gaps = np.linalg.norm(predicted.points[:, :, None] - predicted.points[:, None], axis=-1)
    gaps += np.where(np.eye(gaps.shape[1], dtype=bool), np.inf, 0)
    cells = np.clip(((predicted.uv + 1) * size / 2).astype(int), 0, size - 1)
    inside = views.masks[np.arange(len(views))[:, None], cells[..., 1], cells[..., 0]]
    return {
        "angle mean": float(angles.mean()),
        "angle median": float(np.median(angles)),
        ANGLE_CALIBRATION: float(np.quantile(angles / np.maximum(stated, 1e-9), 0.68)),
        "consistency": float(np.median(distances) * size / 2),
        "separation": float(np.median(gaps.min(axis=-1))),
        "inside": 100 * float(inside.mean()),
        "spread": 50 * float(np.median(spread(predicted.points, views))),
    }


def angular_errors(points: Array, views: Views, pairs: NDArray[np.int64]) -> Array:
    """Returns the errors (M,) in degrees of the relative rotation of pairs of views.

    Args:
        points: (N, K, 3) in the frame of each camera.
        views: The views with their true rotations.
        pairs: (M, 2) rows of views.
    """
    first, second = pairs.T
    found = procrustes(points[first], points[second], scaled=False).rotation
    true = views.rotations[second] @ np.swapaxes(views.rotations[first], 1, 2)
    cosine = (np.einsum("mij,mij->m", found, true) - 1) / 2
    return np.asarray(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def projected(points: Array, views: Views, pairs: NDArray[np.int64]) -> Array:
    """Returns the keypoints of the first views of pairs, projected into the second ones, (M, K, 2) in [-1, 1]."""
    first, second = pairs.T
    seen = in_world(points, views)[first] @ np.swapaxes(views.rotations[second], 1, 2)
    seen += views.translations[second, None]
    focal, center = views.intrinsics[second, None, :2], views.intrinsics[second, None, 2:]
    result: Array = focal * seen[..., :2] / np.maximum(seen[..., 2:], 1e-3) + center
    return result


def in_world(points: Array, views: Views) -> Array:
    """Returns keypoints (N, K, 3) of the frames of cameras in that of the objects."""
    world: Array = (points - views.translations[:, None]) @ views.rotations
    return world


def spread(points: Array, views: Views) -> Array:
    """Returns the distances (N, K) of keypoints from their means over the views of their objects, in object units."""
    world = in_world(points, views)
    means = np.stack([world[views.objects == number].mean(axis=0) for number in range(len(views.names))])
    return np.asarray(np.linalg.norm(world - means[views.objects], axis=-1))
