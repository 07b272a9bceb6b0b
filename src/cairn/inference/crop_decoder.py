"""Decoder of one instance in a crop: the maximum of each keypoint's heatmap."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.errors import ModelError
from cairn.ops.heatmaps import Refinement, argmax_keypoints
from cairn.structures.poses import Poses
from cairn.structures.skeleton import Skeleton


def decode_crop(
    heatmaps: NDArray[Any], skeleton: Skeleton, refinement: Refinement = "log-parabola", background: bool = False
) -> Poses:
    """Returns the one instance of a crop, in map cells.

    The confidence of a keypoint is the height of its highest cell, within [0, 1]; a keypoint whose heatmap is nowhere
    above 0 is not detected. The score of the instance is the mean of the K confidences.

    Args:
        heatmaps: (K, h, w).
        skeleton: The K keypoints.
        refinement: Refinement of the highest cell: "log-parabola", "quarter" or "none".
        background: Whether a heatmap of the background may follow the K others; it is ignored.

    Raises:
        ModelError: The heatmaps do not match the skeleton, or the refinement is unknown.
    """
    joints = len(skeleton)
    counts = (joints, joints + 1) if background else (joints,)
    if heatmaps.ndim != 3 or len(heatmaps) not in counts:
        expected = " or ".join(map(str, counts))
        raise ModelError(f"heatmaps must be ({expected}, h, w) for skeleton {skeleton.name}, got {heatmaps.shape}")
    if refinement not in ("log-parabola", "quarter", "none"):
        raise ModelError(f"refinement must be log-parabola, quarter or none, got {refinement!r}")
    keypoints, confidence = argmax_keypoints(heatmaps[:joints], refinement)
    keypoints[confidence == 0] = np.nan
    return Poses(keypoints[None], confidence[None], confidence.mean(keepdims=True), skeleton)
