"""Network outputs of one image to one instance."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.errors import ModelError
from cairn.structures.poses import Poses
from cairn.structures.skeleton import Skeleton


def decode(keypoints: NDArray[Any], confidence: NDArray[Any], skeleton: Skeleton) -> Poses:
    """Decodes the outputs of a landmark network.

    Softmax and soft-argmax (equation 4) are part of the network's graph, because taught points are linear in the
    landmarks.

    Args:
        keypoints: (K, 2) in map cells.
        confidence: (K,).
        skeleton: Names of the K landmarks.

    Returns:
        One instance in map cells. Its score is the mean confidence.

    Raises:
        ModelError: The outputs do not fit the skeleton.
    """
    joints = len(skeleton)
    if keypoints.shape != (joints, 2) or confidence.shape != (joints,):
        raise ModelError(
            f"keypoints must be ({joints}, 2) and confidence ({joints},) for {skeleton.name}, "
            f"got {keypoints.shape} and {confidence.shape}"
        )
    detected = confidence > 0
    points = np.where(detected[:, None], keypoints, np.nan).astype(np.float32)
    clipped = np.clip(confidence, 0, 1).astype(np.float32)
    return Poses(points[None], clipped[None], clipped.mean(keepdims=True), skeleton)
