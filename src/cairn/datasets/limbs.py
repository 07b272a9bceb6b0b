"""What labels do not say of their skeleton, guessed from the data and the names, and said to be guessed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.formats.category import sigmas_by_name
from cairn.datasets.labels import Labels
from cairn.structures.flip_pairs import flip_pairs_by_name
from cairn.structures.skeleton import DEFAULT_SIGMA, Limb, Skeleton


def with_limbs(labels: Labels) -> Labels:
    """The same labels, with limbs where they have none: the spanning tree of joints that lie near one another."""
    limbs = () if labels.skeleton.limbs else spanning_tree(distances(labels))
    return labels if not limbs else replace(labels, skeleton=replace(labels.skeleton, limbs=limbs))


def distances(labels: Labels) -> NDArray[np.float64]:
    """(K, K) medians over objects of how far joints lie apart, as a share of the diagonal of the object's joints.

    Infinite between joints that no object has together.
    """
    objects = [image.annotation[image.annotation.labeled].keypoints for image in labels]
    points = np.concatenate([*objects, np.zeros((0, len(labels.skeleton), 2))]).astype(np.float64)
    extent = np.nanmax(points, axis=1, initial=-np.inf) - np.nanmin(points, axis=1, initial=np.inf)
    size = np.hypot(*extent.T)
    points = points[size > 0] / size[size > 0, None, None]
    result = np.full((len(labels.skeleton), len(labels.skeleton)), np.inf)
    for i in range(len(result)):
        apart = np.hypot(*np.moveaxis(points - points[:, i : i + 1], 2, 0))
        together = ~np.isnan(apart).all(axis=0)
        result[i, together] = np.nanmedian(apart[:, together], axis=0)
    return result


def spanning_tree(apart: NDArray[np.float64]) -> tuple[Limb, ...]:
    """Limbs that join what can be joined by the least sum of distances, from the most central joint outwards.

    Prim's algorithm; joints at infinite distance stay apart, each group of others with a tree of its own.
    """
    order = np.argsort(np.where(np.isfinite(apart), apart, apart[np.isfinite(apart)].max(initial=1)).sum(axis=0))
    limbs: list[Limb] = []
    joined: list[int] = []
    rest = order.tolist()
    while rest:
        where = [(apart[a, b], a, b) for a in joined for b in rest if np.isfinite(apart[a, b])]
        if where:
            _, a, b = min(where)
            limbs.append((a, b))
        else:
            b = rest[0]
        joined.append(b)
        rest.remove(b)
    return tuple(limbs)


def origins(skeleton: Skeleton, limbs_given: bool) -> tuple[str, ...]:
    """Where limbs, flip pairs and sigmas of labels' skeleton come from, in a line each."""
    joints = skeleton.joints
    limbs = "given" if limbs_given else "GUESSED: the joints that lie near one another" if skeleton.limbs else "none"
    by_name = set(map(frozenset, flip_pairs_by_name(joints)))
    pairs = set(map(frozenset, skeleton.flip_pairs))
    flips = "as left and right in the names" if pairs == by_name else "given"
    expected = dict(zip(joints, sigmas_by_name(joints), strict=True))
    coco = [j for j, s in zip(joints, skeleton.sigmas, strict=True) if s == expected[j] != DEFAULT_SIGMA]
    default = [j for j, s in zip(joints, skeleton.sigmas, strict=True) if s == expected[j] == DEFAULT_SIGMA]
    given = len(joints) - len(coco) - len(default)
    others = "other " if coco or given else ""
    sigmas = [
        f"COCO's for {', '.join(coco)}" if coco else "",
        f"{DEFAULT_SIGMA:g} for the {others}{len(default)}, measured by nobody" if default else "",
        f"given for {given}" if given else "",
    ]
    return (
        f"limbs: {limbs}",
        f"flip pairs: {flips if pairs or flips == 'given' else 'none: no name says left or right'}",
        f"sigmas: {'; '.join(part for part in sigmas if part)}",
    )
