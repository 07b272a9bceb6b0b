"""Metrics of keypoints in 3D. Lengths are in meters.

    MPJPE       mean per-joint position error (Ionescu et al. 2014)
    PA-MPJPE    after a similarity alignment of each pose (Procrustes)
    N-MPJPE     after the best scale of each pose (Rhodin et al. 2018)
    PCK3D, AUC  share of keypoints within 150 mm, and its mean over 0, 5, ..., 150 mm (Mehta et al. 2017)
    PCP         share of correct limbs: the rule of Shelf and Campus (Belagiannis et al. 2014), and the strict one

A pose is (K, 3); `known` says which of its keypoints count. A keypoint that is not predicted is wrong for PCK3D and
PCP, and does not count for the mean errors.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cairn.ops.procrustes import procrustes

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Rule = Literal["shelf", "strict"]

PCK_THRESHOLD = 0.15
"""Distance in meters within which a keypoint is correct."""

AUC_THRESHOLDS = np.arange(0, 31) * 0.005

PCP_SHARE = 0.5
"""Share of the length of a limb within which its ends are correct."""


def joint_errors(predicted: Array, truth: Array) -> Array:
    """Returns the distances (N, K) of keypoints (N, K, 3); NaN where either is unknown."""
    return np.asarray(np.linalg.norm(predicted - truth, axis=-1))


def centered(points: Array, root: int | None, known: Mask) -> Array:
    """Returns poses (N, K, 3) relative to a joint, or, for None, to the mean of the known keypoints (N, K)."""
    if root is not None:
        return points - points[:, root : root + 1]
    total = np.where(known[..., None], points, 0).sum(axis=1, keepdims=True)
    return np.asarray(points - total / np.maximum(known.sum(axis=1), 1)[:, None, None])


def aligned_errors(predicted: Array, truth: Array) -> Array:
    """Returns the errors (N, K) after the similarity of each pose that is best; NaN for a pose of less than 3 points.

    Three points or more determine the rotation.
    """
    known = np.asarray(np.isfinite(predicted).all(axis=-1) & np.isfinite(truth).all(axis=-1))
    errors = joint_errors(procrustes(predicted, truth, known).apply(predicted), truth)
    return np.where(known & (known.sum(axis=1) >= 3)[:, None], errors, np.nan)


def scaled_errors(predicted: Array, truth: Array, root: int | None = None) -> Array:
    """Returns the errors (N, K) of centered poses after the scale of each pose that is best.

    Args:
        predicted: (N, K, 3).
        truth: (N, K, 3).
        root: Joint that poses are relative to; None for the mean of their common keypoints.
    """
    known = np.asarray(np.isfinite(predicted).all(axis=-1) & np.isfinite(truth).all(axis=-1))
    own, target = centered(predicted, root, known), centered(truth, root, known)
    product = np.where(known[..., None], own * target, 0).sum(axis=(1, 2))
    square = np.where(known[..., None], own * own, 0).sum(axis=(1, 2))
    scale = np.divide(product, square, out=np.ones_like(square), where=square > 0)
    return joint_errors(scale[:, None, None] * own, target)


def pck3d(errors: Array, known: Mask, threshold: float = PCK_THRESHOLD) -> float:
    """Returns the share of the known keypoints (N, K) with an error of at most the threshold; NaN of none."""
    with np.errstate(invalid="ignore"):
        correct = (errors <= threshold) & known
    return float(correct.sum() / known.sum()) if known.any() else float("nan")


def pck3d_auc(errors: Array, known: Mask) -> float:
    """Returns the mean of PCK3D over thresholds from 0 to 150 mm."""
    return float(np.mean([pck3d(errors, known, threshold) for threshold in AUC_THRESHOLDS]))


def correct_limbs(predicted: Array, truth: Array, limbs: NDArray[np.intp], rule: Rule = "shelf") -> Mask:
    """Returns which limbs (N, L) are correct; a limb with an unknown predicted end is not.

    Args:
        predicted: (N, K, 3).
        truth: (N, K, 3).
        limbs: (L, 2) joints.
        rule: "shelf": the mean error of both ends is less than half the length of the limb; "strict": the error of
            each end is at most half of it.
    """
    errors = joint_errors(predicted, truth)[:, limbs]  # (N, L, 2)
    length = np.linalg.norm(truth[:, limbs[:, 0]] - truth[:, limbs[:, 1]], axis=-1)
    with np.errstate(invalid="ignore"):
        if rule == "shelf":
            return np.asarray(errors.mean(axis=-1) < PCP_SHARE * length)
        return np.asarray((errors <= PCP_SHARE * length[..., None]).all(axis=-1))


def limb_spreads(points: Array, limbs: NDArray[np.intp]) -> tuple[Array, Array]:
    """Returns the mean length (L,) of limbs over poses (N, K, 3), and its standard deviation (L,); NaN of none."""
    lengths = np.linalg.norm(points[:, limbs[:, 0]] - points[:, limbs[:, 1]], axis=-1)
    there = np.isfinite(lengths)
    count = np.where(there.any(axis=0), there.sum(axis=0), np.nan)
    mean = np.where(there, lengths, 0).sum(axis=0) / count
    return mean, np.sqrt((np.where(there, lengths - mean, 0) ** 2).sum(axis=0) / count)


def reprojection_errors(residuals: Array, used: Mask) -> Array:
    """Returns the median distance in pixels of each camera and keypoint, (V, K); NaN where no keypoint was used.

    Args:
        residuals: (V, ..., K) distance from each detection to the reprojected keypoint.
        used: (V, ..., K) which detections count.
    """
    cameras, joints = residuals.shape[0], residuals.shape[-1]
    flat = np.where(used & np.isfinite(residuals), residuals, np.nan).reshape(cameras, -1, joints)
    result = np.full((cameras, joints), np.nan)
    for view, joint in zip(*np.nonzero(np.isfinite(flat).any(axis=1)), strict=True):
        own = flat[view, :, joint]
        result[view, joint] = np.median(own[np.isfinite(own)])
    return result
