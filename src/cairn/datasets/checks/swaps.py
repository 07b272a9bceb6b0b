"""Left-right swaps: instances that are far more likely with some flip pairs exchanged.

The likelihood is estimated from the other instances of the data set. Shapes are compared by the full Procrustes
distance, which is invariant to translation, scale and rotation but not to reflection (Dryden and Mardia, Statistical
Shape Analysis, 2016, section 4.2). The density at a shape is inversely proportional to d^D, with the distance d to its
fifth nearest neighbor and the dimension D of the shapes. D log(d / d') is then the log likelihood ratio of an instance
whose distance falls from d to d' when joints are exchanged. A shape consists of the joints near the exchanged ones:
with all joints of a body it would have too many dimensions for near neighbors.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.structures.skeleton import Skeleton

MIN_EVIDENCE, MAX_EVIDENCE = 4.0, 8.0
"""Bounds of the evidence (log odds) that a swap needs: the evidence that one instance of the data set is expected to
reach by chance."""

NEIGHBOR = 5
"""Rank of the neighbor whose distance gives the density."""

MAX_LIMBS = 2
"""Maximum number of limbs from an exchanged joint to another joint of its shape."""

MIN_JOINTS = 4
"""Minimum number of joints of a shape; three are only a triangle."""

MIN_SHARED = 0.75
"""Minimum share of an instance's joints that a neighbor must have, too."""

MIN_DISTANCE = 0.005
"""Distances below are equal within the accuracy of labels."""

COARSE, FINE = 300, 3000
"""Number of instances to compare with: first to find candidates, then to weigh them."""

MAX_PAIRS = 16
"""With more flip pairs, only single pairs and all pairs together are tried."""

BLOCK = 512
"""Instances that are compared at once."""

COMMON_QUANTILE = 0.99
"""Quantile of distances up to which a shape counts as common."""


@dataclass(frozen=True)
class Swap:
    """A possible left-right swap of an instance.

    Attributes:
        row: Row of the instance.
        pairs: Indices into the skeleton's flip pairs.
        evidence: Log odds of the swap.
    """

    row: int
    pairs: tuple[int, ...]
    evidence: float


def swaps(keypoints: NDArray[Any], skeleton: Skeleton) -> list[Swap]:
    """Returns the most likely swap of each instance with sufficient evidence, by decreasing evidence.

    Args:
        keypoints: (N, K, 2) in pixels; NaN where not labeled.
        skeleton: The K joints.
    """
    random = np.random.default_rng(0)
    order = random.permutation(len(keypoints))
    best: dict[int, Swap] = {}
    candidates = list(hypotheses(skeleton))
    min_evidence = float(np.clip(np.log(max(1, len(candidates) * len(keypoints))), MIN_EVIDENCE, MAX_EVIDENCE))
    for pairs, joints in candidates:
        shapes = keypoints[:, joints].astype(np.float64)
        swapped = keypoints[:, _exchanged(skeleton, pairs)][:, joints].astype(np.float64)
        ends = [joint for pair in pairs for joint in skeleton.flip_pairs[pair]]
        labeled = np.isfinite(keypoints[:, ends]).all(axis=(1, 2))
        count = np.isfinite(shapes).all(axis=2).sum(axis=1)
        usable = order[count[order] >= min(MIN_JOINTS, len(joints))]
        rows = np.flatnonzero(labeled & (count >= min(MIN_JOINTS, len(joints))))
        if len(usable) <= NEIGHBOR or not len(rows):
            continue
        before = _density_distance(shapes, rows, shapes[usable[:COARSE]], usable[:COARSE])
        after = _density_distance(swapped, rows, shapes[usable[:COARSE]], usable[:COARSE])
        limit = np.quantile(before[np.isfinite(before)], COMMON_QUANTILE) if np.isfinite(before).any() else 0.0
        suspicious = np.isfinite(before) & np.isfinite(after) & (after < before) & (after <= limit)
        rows = rows[suspicious]
        if not len(rows):
            continue
        before = _density_distance(shapes, rows, shapes[usable[:FINE]], usable[:FINE])
        after = _density_distance(swapped, rows, shapes[usable[:FINE]], usable[:FINE])
        evidence = (2 * count[rows] - 4) * np.log(before / after)
        for row, value in zip(rows.tolist(), evidence.tolist(), strict=True):
            if value >= min_evidence and (row not in best or value > best[row].evidence):
                best[row] = Swap(row, pairs, value)
    return sorted(best.values(), key=lambda swap: -swap.evidence)


def hypotheses(skeleton: Skeleton) -> Iterator[tuple[tuple[int, ...], list[int]]]:
    """Yields flip pairs that may be swapped together, and the joints whose shape is compared.

    These are each pair alone, all pairs, and the pairs on either side of a limb: whole legs, hands with elbows.
    """
    count = len(skeleton.flip_pairs)
    tried = {(pair,) for pair in range(count)} | ({tuple(range(count))} if count else set())
    if count <= MAX_PAIRS:
        owner = {joint: pair for pair, ends in enumerate(skeleton.flip_pairs) for joint in ends}
        edges = {
            (min(p, q), max(p, q))
            for p, q in ((owner.get(a, -1), owner.get(b, -1)) for a, b in skeleton.limbs)
            if p != q and min(p, q) >= 0
        }
        for edge in edges:
            for end in edge:
                tried.add(tuple(sorted(_connected({end}, edges - {edge}))))
    everything = list(range(len(skeleton)))
    for pairs in sorted(tried):
        near = {joint for pair in pairs for joint in skeleton.flip_pairs[pair]}
        for _ in range(MAX_LIMBS):
            near |= {end for limb in skeleton.limbs if near & set(limb) for end in limb}
        yield pairs, sorted(near) if len(near) > MIN_JOINTS else everything


def shape_distances(shapes: NDArray[Any], others: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Returns (N, M) full Procrustes distances over the common joints, and (N, M) the number of common joints.

    With the centered keypoints as complex numbers z and w, the distance is sqrt(1 - |<z, w>|² / |z|²|w|²). All sums
    over common joints are matrix products.

    Args:
        shapes: (N, K, 2) in pixels; NaN where not labeled.
        others: (M, K, 2) in pixels; NaN where not labeled.
    """
    z, there = _complex(shapes)
    w, present = _complex(others)
    common = there @ present.T
    count = np.maximum(common, 1)
    sum_z, sum_w = z @ present.T, there @ w.T
    product = z @ w.conj().T - sum_z * sum_w.conj() / count
    of_z = (np.abs(z) ** 2) @ present.T - np.abs(sum_z) ** 2 / count
    of_w = there @ (np.abs(w) ** 2).T - np.abs(sum_w) ** 2 / count
    similar = np.abs(product) ** 2 / np.maximum(of_z * of_w, 1e-12)
    return np.sqrt(np.clip(1 - similar, 0, 1)), common


def _density_distance(
    shapes: NDArray[Any], rows: NDArray[np.int64], others: NDArray[Any], other_rows: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Distance of each row of the shapes to its NEIGHBOR-th nearest neighbor; infinite with too few neighbors.

    `other_rows` are the rows of the others in the shapes: a shape is no neighbor of itself.
    """
    result = np.empty(len(rows))
    for start in range(0, len(rows), BLOCK):
        block = rows[start : start + BLOCK]
        distance, common = shape_distances(shapes[block], others)
        own = np.isfinite(shapes[block]).all(axis=2).sum(axis=1)
        few = common < np.maximum(MIN_SHARED * own, min(MIN_JOINTS, shapes.shape[1]))[:, None]
        distance /= np.sqrt(np.maximum(common - 2, 1))
        distance[few | (block[:, None] == other_rows[None])] = np.inf
        result[start : start + BLOCK] = np.partition(distance, NEIGHBOR - 1, axis=1)[:, NEIGHBOR - 1]
    return np.maximum(result, MIN_DISTANCE)


def _complex(points: NDArray[Any]) -> tuple[NDArray[np.complex64], NDArray[np.float32]]:
    """Complex numbers x + iy, centered and of unit norm, 0 where not labeled; and (N, K) 1 where labeled."""
    there = np.isfinite(points).all(axis=2)
    z = np.where(there, points[..., 0] + 1j * points[..., 1], 0)
    z = np.where(there, z - z.sum(axis=1, keepdims=True) / np.maximum(there.sum(axis=1, keepdims=True), 1), 0)
    z /= np.maximum(np.linalg.norm(z, axis=1, keepdims=True), 1e-9)
    return z.astype(np.complex64), there.astype(np.float32)


def _exchanged(skeleton: Skeleton, pairs: tuple[int, ...]) -> list[int]:
    """K indices that exchange the joints of the pairs."""
    order = list(range(len(skeleton)))
    for a, b in (skeleton.flip_pairs[pair] for pair in pairs):
        order[a], order[b] = b, a
    return order


def _connected(start: set[int], edges: set[tuple[int, int]]) -> set[int]:
    """The nodes that are connected with the start by edges."""
    reached = set(start)
    while more := {end for edge in edges if reached & set(edge) for end in edge} - reached:
        reached |= more
    return reached
