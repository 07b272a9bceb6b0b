"""From one crop's heatmaps to one object (section 3.4)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cairn.errors import ModelError
from cairn.ops.heatmaps import Refinement, argmax_keypoints
from cairn.structures.poses import Poses
from cairn.structures.skeleton import Skeleton


def decode(heatmaps: NDArray, skeleton: Skeleton, refinement: Refinement = "log-parabola") -> Poses:
    """Heatmaps (K, h, w) -> one object, in field cells.

    refinement  of the highest cell: "log-parabola", "quarter" as the paper, or "none"

    A joint's confidence is the height of its highest cell, within [0, 1]; one whose map is nowhere above 0
    is not found. The object's score is the mean of its K confidences.
    Raises ModelError where the maps are not the skeleton's, or the refinement is unknown.
    """
    if heatmaps.ndim != 3 or len(heatmaps) != len(skeleton):
        raise ModelError(f"heatmaps must be (K, h, w) with K={len(skeleton)} for {skeleton.name}, got {heatmaps.shape}")
    if refinement not in ("log-parabola", "quarter", "none"):
        raise ModelError(f"refinement must be log-parabola, quarter or none, got {refinement!r}")
    keypoints, confidence = argmax_keypoints(heatmaps, refinement)
    keypoints[confidence == 0] = np.nan
    return Poses(keypoints[None], confidence[None], confidence.mean(keepdims=True), skeleton)
