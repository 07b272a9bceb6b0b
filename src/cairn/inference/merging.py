"""Poses of the same instance, predicted in several crops, become one pose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cairn.ops.similarity import similarity_terms
from cairn.structures.annotation import AREA_PER_BOX
from cairn.structures.poses import Poses

SAME = 0.3
"""Similarity from which two poses are of the same instance: they are of one network, and so are its errors."""

NEAR = 0.1
"""Distance up to which positions of a keypoint are averaged, relative to the square root of the instance's area."""


def merged(poses: Poses) -> Poses:
    """Returns one pose for each group of similar ones, the highest score first.

    Each keypoint is the mean of the positions near the most confident one, weighted by confidence. The class is that of
    the largest sum of scores, and the score that of the leader, multiplied by the share of this class in the sum.

    Args:
        poses: Instances in one image, some of them predicted several times.
    """
    return merged_groups(poses, similar_groups(poses))


def similar_groups(poses: Poses) -> list[NDArray[np.intp]]:
    """Returns the rows of each group of similar poses, the leader first, and the groups by its score.

    The pose of the highest score leads its group, which are all that are similar to it and to no earlier one.
    """
    alike = similarity(poses) >= SAME
    left = np.argsort(-poses.scores, kind="stable")
    groups = []
    while len(left):
        same = alike[left[0], left]
        same[0] = True  # also where nothing is detected
        groups.append(left[same])
        left = left[~same]
    return groups


def merged_groups(poses: Poses, groups: Sequence[NDArray[np.intp]]) -> Poses:
    """Returns one pose for each group of rows, as `merged` does."""
    return Poses.concatenate([_mean(poses[rows]) for rows in groups], poses.skeleton) if groups else poses


def similarity(poses: Poses) -> NDArray[np.float64]:
    """Returns (P, P) object keypoint similarity of poses to one another, by the larger of both areas.

    A keypoint that is detected in one of both only contributes 0.
    """
    areas = _areas(poses)
    larger = np.maximum(areas[:, None], areas[None])
    terms = similarity_terms(poses.keypoints, poses.keypoints, larger, poses.skeleton.sigmas)  # (P, P, K)
    either = poses.detected[:, None] | poses.detected[None]
    similar: NDArray[np.float64] = terms.sum(axis=-1) / np.maximum(either.sum(axis=-1), 1)
    return similar


def _mean(group: Poses) -> Poses:
    """One pose for a group, whose first leads it."""
    if len(group) == 1:
        return group
    best, joints = group.confidence.argmax(axis=0), np.arange(len(group.skeleton))
    leader, reach = group[:1], NEAR * np.sqrt(_areas(group)[0])
    offsets = group.keypoints - group.keypoints[best, joints]  # (P, K, 2), from the most confident position
    near = np.linalg.norm(offsets, axis=-1) <= reach  # not where undetected
    weights = np.where(near, group.confidence, 0)
    total = weights.sum(axis=0)  # (K,)
    points = np.where(near[..., None], group.keypoints, 0) * weights[..., None]
    keypoints = np.where(total[:, None] > 0, points.sum(axis=0) / np.maximum(total, 1e-9)[:, None], np.nan)
    result = replace(
        leader,
        keypoints=keypoints[None].astype(np.float32),
        confidence=np.where(total > 0, group.confidence[best, joints], 0)[None].astype(np.float32),
        visibility=None if group.visibility is None else group.visibility[best, joints][None],
    )
    if group.classes is None:
        return result
    votes = np.bincount(group.classes, weights=group.scores, minlength=len(group.class_names))
    share = votes.max() / max(votes.sum(), 1e-9)
    classes = np.array([votes.argmax()], np.int64)
    return replace(result, classes=classes, scores=(leader.scores * share).astype(np.float32))


def _areas(poses: Poses) -> NDArray[np.float64]:
    """(P,) areas of instances by their bounding boxes; 0 without a detected keypoint."""
    areas: NDArray[np.float64] = AREA_PER_BOX * np.nan_to_num(poses.boxes[:, 2:].astype(np.float64)).prod(axis=1)
    return areas
