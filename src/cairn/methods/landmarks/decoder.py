"""From what the network says of one image to one object."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cairn.errors import ModelError
from cairn.structures.poses import Poses
from cairn.structures.skeleton import Skeleton


def decode(keypoints: NDArray, confidence: NDArray, skeleton: Skeleton) -> Poses:
    """keypoints (K, 2) in field cells and confidence (K,) -> one object, in field cells; its score is the mean.

    Softmax and soft-argmax (equation 4) are in the network's graph, since points that were taught are linear in them.
    Raises ModelError where these are not the skeleton's.
    """
    joints = len(skeleton)
    if keypoints.shape != (joints, 2) or confidence.shape != (joints,):
        raise ModelError(
            f"keypoints must be ({joints}, 2) and confidence ({joints},) for {skeleton.name}, "
            f"got {keypoints.shape} and {confidence.shape}"
        )
    found = confidence > 0
    points = np.where(found[:, None], keypoints, np.nan).astype(np.float32)
    sure = np.clip(confidence, 0, 1).astype(np.float32)
    return Poses(points[None], sure[None], sure.mean(keepdims=True), skeleton)
