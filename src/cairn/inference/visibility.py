"""The visibility of keypoints: the value of the output `visibility` at each of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cairn.errors import ModelError
from cairn.inference.model_spec import VISIBILITY
from cairn.inference.network import Maps
from cairn.ops.heatmaps import values_at
from cairn.structures.poses import Poses


def with_visibility(poses: Poses, maps: Maps) -> Poses:
    """Returns the poses with the probability that each detected keypoint is visible; unchanged without such an output.

    Args:
        poses: The instances, in cells of the maps.
        maps: The outputs of the network for one image or crop.

    Raises:
        ModelError: The output does not fit the skeleton.
    """
    if VISIBILITY not in maps:
        return poses
    visibility, count = maps[VISIBILITY], len(poses.skeleton)
    if visibility.ndim != 3 or len(visibility) != count:
        raise ModelError(
            f"the output {VISIBILITY} must be ({count}, h, w) for skeleton {poses.skeleton.name}, "
            f"got {visibility.shape}"
        )
    points = np.where(poses.detected[..., None], poses.keypoints, np.nan)
    each = [values_at(visibility[k : k + 1], points[:, k])[:, 0] for k in range(count)]  # K times (P,)
    values = np.stack(each, axis=1).clip(0, 1)
    return replace(poses, visibility=np.where(poses.detected, values, np.nan).astype(np.float32))
