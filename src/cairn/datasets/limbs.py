"""Infers limbs, flip pairs and sigmas that labels do not state, and reports what is inferred."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.formats.category import sigmas_by_name
from cairn.datasets.labels import Labels
from cairn.structures.flip_pairs import flip_pairs_by_name
from cairn.structures.skeleton import DEFAULT_SIGMA, Limb, Skeleton


def infer_limbs(labels: Labels) -> Labels:
    """Returns the same labels; where the skeleton has no limbs, they form a spanning tree of joints near each other."""
    limbs = () if labels.skeleton.limbs else spanning_tree(joint_distances(labels))
    return labels if not limbs else replace(labels, skeleton=replace(labels.skeleton, limbs=limbs))


def joint_distances(labels: Labels) -> NDArray[np.float64]:
    """Returns (K, K) medians over instances of the distance between joints.

    A distance is relative to the diagonal of the instance's keypoints. It is infinite between joints that no instance
    has together.
    """
    instances = [image.annotation[image.annotation.labeled].keypoints for image in labels]
    points = np.concatenate([*instances, np.zeros((0, len(labels.skeleton), 2))]).astype(np.float64)
    extent = np.nanmax(points, axis=1, initial=-np.inf) - np.nanmin(points, axis=1, initial=np.inf)
    size = np.hypot(*extent.T)
    points = points[size > 0] / size[size > 0, None, None]
    result = np.full((len(labels.skeleton), len(labels.skeleton)), np.inf)
    for i in range(len(result)):
        distances = np.hypot(*np.moveaxis(points - points[:, i : i + 1], 2, 0))
        together = ~np.isnan(distances).all(axis=0)
        result[i, together] = np.nanmedian(distances[:, together], axis=0)
    return result


def spanning_tree(distances: NDArray[np.float64]) -> tuple[Limb, ...]:
    """Returns limbs with the minimum sum of distances that connect all joints, starting from the most central one.

    Prim's algorithm. Joints at infinite distance stay unconnected; each component has a tree of its own.

    Args:
        distances: (K, K) distances between joints.
    """
    finite = np.isfinite(distances)
    order = np.argsort(np.where(finite, distances, distances[finite].max(initial=1)).sum(axis=0))
    limbs: list[Limb] = []
    joined: list[int] = []
    rest = order.tolist()
    while rest:
        edges = [(distances[a, b], a, b) for a in joined for b in rest if finite[a, b]]
        if edges:
            _, a, b = min(edges)
            limbs.append((a, b))
        else:
            b = rest[0]
        joined.append(b)
        rest.remove(b)
    return tuple(limbs)


def skeleton_origins(skeleton: Skeleton, limbs_given: bool) -> tuple[str, ...]:
    """Returns the origin of the limbs, flip pairs and sigmas of the labels' skeleton, one line each.

    Args:
        skeleton: The skeleton.
        limbs_given: Whether the labels or the user give the limbs.
    """
    joints = skeleton.joints
    limbs = "given" if limbs_given else "INFERRED: joints near each other" if skeleton.limbs else "none"
    by_name = set(map(frozenset, flip_pairs_by_name(joints)))
    pairs = set(map(frozenset, skeleton.flip_pairs))
    flips = "from left and right in the names" if pairs == by_name else "given"
    expected = dict(zip(joints, sigmas_by_name(joints), strict=True))
    coco = [j for j, s in zip(joints, skeleton.sigmas, strict=True) if s == expected[j] != DEFAULT_SIGMA]
    default = [j for j, s in zip(joints, skeleton.sigmas, strict=True) if s == expected[j] == DEFAULT_SIGMA]
    given = len(joints) - len(coco) - len(default)
    others = "other " if coco or given else ""
    sigmas = [
        f"COCO's for {', '.join(coco)}" if coco else "",
        f"default {DEFAULT_SIGMA:g} for the {others}{len(default)}, not measured" if default else "",
        f"given for {given}" if given else "",
    ]
    return (
        f"limbs: {limbs}",
        f"flip pairs: {flips if pairs or flips == 'given' else 'none: no name contains left or right'}",
        f"sigmas: {'; '.join(part for part in sigmas if part)}",
    )
