"""Random poses."""

from __future__ import annotations

import numpy as np

from cairn.structures.poses import Poses
from cairn.structures.skeleton import Skeleton
from support.fake_network import TOTEM


def random_poses(seed: int, people: int, skeleton: Skeleton = TOTEM) -> Poses:
    """About two thirds of the joints are detected, anywhere in an image of 100 × 100 pixels."""
    rng = np.random.default_rng(seed)
    confidence = rng.uniform(0.01, 1, (people, len(skeleton))) * (rng.random((people, len(skeleton))) < 0.7)
    keypoints = np.where(confidence[..., None] > 0, rng.uniform(0, 100, (people, len(skeleton), 2)), np.nan)
    return Poses(
        keypoints.astype(np.float32), confidence.astype(np.float32), rng.random(people).astype(np.float32), skeleton
    )
