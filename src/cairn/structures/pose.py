"""One detected instance: the item of `Poses`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.structures import conversions
from cairn.structures.skeleton import Skeleton


@dataclass(frozen=True, eq=False, repr=False)
class Pose:
    """One detected instance.

    `pose["left_wrist"]` is x, y and confidence of one keypoint; iteration yields (name, (x, y, confidence)).

    Attributes:
        keypoints: (K, 2) float32, (x, y) in pixels; NaN where not detected.
        confidence: (K,) float32 in [0, 1]; 0 where not detected.
        score: Overall score of the instance; higher is more confident.
        skeleton: Names and limbs of the K keypoints.
        id: Track ID, from 1; None without tracking and where no ID is assigned (yet).
        class_name: Name of the class; None where the model has one class.
        visibility: (K,) float32, probability that a keypoint is visible and not occluded; NaN where it is not detected,
            None where the model does not predict it.
    """

    keypoints: NDArray[np.float32]
    confidence: NDArray[np.float32]
    score: float
    skeleton: Skeleton
    id: int | None = None
    class_name: str | None = None
    visibility: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.skeleton)

    def __getitem__(self, joint: str) -> NDArray[np.float32]:
        """Returns x, y and confidence (3,) of a keypoint.

        Raises:
            SkeletonError: If the skeleton has no joint of this name.
        """
        return named_keypoint(self.keypoints, self.confidence, self.skeleton, joint)

    def __iter__(self) -> Iterator[tuple[str, tuple[float, float, float]]]:
        for joint, (x, y), confidence in zip(
            self.skeleton.joints, self.keypoints.tolist(), self.confidence.tolist(), strict=True
        ):
            yield joint, (x, y, confidence)

    def __repr__(self) -> str:
        identity = "" if self.id is None else f"id {self.id}, "
        identity += "" if self.class_name is None else f"{self.class_name}, "
        keypoints = f"{int(self.detected.sum())} of {len(self)} keypoints of {self.skeleton.name}"
        return f"Pose({identity}score {self.score:.2f}, {keypoints})"

    @property
    def detected(self) -> NDArray[np.bool_]:
        """(K,): which keypoints are detected."""
        return self.confidence > 0

    @property
    def box(self) -> NDArray[np.float32]:
        """(4,) x, y, width, height of the bounding box of the detected keypoints; NaN where none is detected."""
        return bounding_boxes(self.keypoints, self.detected)

    def to_dict(self) -> dict[str, Any]:
        """Returns the instance as plain, JSON-serializable values; see `Poses.to_dict`."""
        return conversions.pose_to_dict(self)


def named_keypoint(
    keypoints: NDArray[np.float32], confidence: NDArray[np.float32], skeleton: Skeleton, joint: str
) -> NDArray[np.float32]:
    """Returns x, y, confidence (..., 3) of one joint."""
    k = skeleton.index(joint)
    return np.concatenate([keypoints[..., k, :], confidence[..., k, None]], axis=-1).astype(np.float32, copy=False)


def bounding_boxes(keypoints: NDArray[np.float32], detected: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Returns bounding boxes (..., 4) of detected keypoints (..., K, 2)."""
    missing = ~detected[..., None]
    low = np.where(missing, np.inf, keypoints).min(axis=-2)
    high = np.where(missing, -np.inf, keypoints).max(axis=-2)
    boxes = np.concatenate([low, high - low], axis=-1)
    return np.where(np.isfinite(boxes), boxes, np.nan).astype(np.float32)
