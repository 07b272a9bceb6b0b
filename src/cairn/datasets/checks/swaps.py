"""Left and right mistaken for each other: objects that are far likelier with some flip pairs swapped.

What is likely, the other objects of the set say. Their shapes, free of place, size and turn but not of mirroring
(full Procrustes distance; Dryden and Mardia, Statistical Shape Analysis, 2016, section 4.2), have a density that the
distance d to the fifth nearest tells: it falls as d to the power of D, the dimension of shapes. D log(d / d') is then
how much likelier, as a logarithm, an object is when swapping takes d to d'. Shapes are of the joints around those that
are swapped: the whole of a body has too many dimensions for its neighbors to be near.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cairn.structures.skeleton import Skeleton

LEAST, ENOUGH = 4.0, 8.0
"""Evidence, a logarithm of odds, from which on a swap is a suspect: that which one object in the whole set would be
expected to have by chance, within these bounds."""

NEIGHBOR = 5  # by whose distance density is told
REACH = 2  # limbs from a swapped joint to the last that its shape takes in
FEWEST = 4  # joints of a shape; three have only as much as a triangle says
SHARED = 0.75  # of an object's joints that a neighbor must have too
BLURRED = 0.005  # a distance below which two shapes are the same as labeled by hand
COARSE, FINE = 300, 3000  # objects compared with, first to find who may be swapped and then to weigh it
MANY = 16  # flip pairs from which on only single ones, and all together, are tried
BLOCK = 512  # objects at a time
UNUSUAL = 0.99  # quantile of distances up to which a shape is usual


@dataclass(frozen=True)
class Swap:
    """pairs: indices into the skeleton's flip pairs."""

    row: int
    pairs: tuple[int, ...]
    evidence: float


def swaps(keypoints: NDArray, skeleton: Skeleton) -> list[Swap]:
    """The likeliest swap of each object that has one of enough evidence, the surest first.

    keypoints (N, K, 2), NaN where not labeled
    """
    random = np.random.default_rng(0)
    order = random.permutation(len(keypoints))
    best: dict[int, Swap] = {}
    questions = list(hypotheses(skeleton))
    least = float(np.clip(np.log(max(1, len(questions) * len(keypoints))), LEAST, ENOUGH))
    for pairs, joints in questions:
        shapes = keypoints[:, joints].astype(np.float64)
        swapped = keypoints[:, _swapping(skeleton, pairs)][:, joints].astype(np.float64)
        ends = [joint for pair in pairs for joint in skeleton.flip_pairs[pair]]
        there = np.isfinite(keypoints[:, ends]).all(axis=(1, 2))
        count = np.isfinite(shapes).all(axis=2).sum(axis=1)
        usable = order[count[order] >= min(FEWEST, len(joints))]
        rows = np.flatnonzero(there & (count >= min(FEWEST, len(joints))))
        if len(usable) <= NEIGHBOR or not len(rows):
            continue
        before = _density_distance(shapes, rows, shapes[usable[:COARSE]], usable[:COARSE])
        after = _density_distance(swapped, rows, shapes[usable[:COARSE]], usable[:COARSE])
        limit = np.quantile(before[np.isfinite(before)], UNUSUAL) if np.isfinite(before).any() else 0.0
        doubtful = np.isfinite(before) & np.isfinite(after) & (after < before) & (after <= limit)
        rows = rows[doubtful]
        if not len(rows):
            continue
        before = _density_distance(shapes, rows, shapes[usable[:FINE]], usable[:FINE])
        after = _density_distance(swapped, rows, shapes[usable[:FINE]], usable[:FINE])
        evidence = (2 * count[rows] - 4) * np.log(before / after)
        for row, value in zip(rows.tolist(), evidence.tolist(), strict=True):
            if value >= least and (row not in best or value > best[row].evidence):
                best[row] = Swap(row, pairs, value)
    return sorted(best.values(), key=lambda swap: -swap.evidence)


def hypotheses(skeleton: Skeleton) -> Iterator[tuple[tuple[int, ...], list[int]]]:
    """Flip pairs that may have been swapped together, and the joints by whose shape that is told.

    Each pair alone, all of them, and what lies on either side of a limb: whole legs, hands with their elbows.
    """
    count = len(skeleton.flip_pairs)
    tried = {(pair,) for pair in range(count)} | ({tuple(range(count))} if count else set())
    if count <= MANY:
        owner = {joint: pair for pair, ends in enumerate(skeleton.flip_pairs) for joint in ends}
        edges = {
            (min(p, q), max(p, q))
            for p, q in ((owner.get(a, -1), owner.get(b, -1)) for a, b in skeleton.limbs)
            if p != q and min(p, q) >= 0
        }
        for edge in edges:
            for end in edge:
                tried.add(tuple(sorted(_reached({end}, edges - {edge}))))
    everything = list(range(len(skeleton)))
    for pairs in sorted(tried):
        near = {joint for pair in pairs for joint in skeleton.flip_pairs[pair]}
        for _ in range(REACH):
            near |= {end for limb in skeleton.limbs if near & set(limb) for end in limb}
        yield pairs, sorted(near) if len(near) > FEWEST else everything


def shape_distances(shapes: NDArray, others: NDArray) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Full Procrustes distances, (N, M), over the joints that both have, and (N, M) how many those are.

    shapes (N, K, 2), others (M, K, 2), NaN where not labeled. As complex numbers z and w about their means, the
    distance is sqrt(1 - |<z, w>|² / |z|²|w|²); all sums over common joints are products of matrices.
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
    shapes: NDArray, rows: NDArray[np.int64], others: NDArray, who: NDArray[np.int64]
) -> NDArray[np.float64]:
    """For each row of the shapes, the distance to its NEIGHBOR-th nearest of others; infinite where it has too few.

    who  rows that the others are: nobody is a neighbor of itself
    """
    result = np.empty(len(rows))
    for start in range(0, len(rows), BLOCK):
        some = rows[start : start + BLOCK]
        distance, common = shape_distances(shapes[some], others)
        own = np.isfinite(shapes[some]).all(axis=2).sum(axis=1)
        few = common < np.maximum(SHARED * own, min(FEWEST, shapes.shape[1]))[:, None]
        distance /= np.sqrt(np.maximum(common - 2, 1))
        distance[few | (some[:, None] == who[None])] = np.inf
        result[start : start + BLOCK] = np.partition(distance, NEIGHBOR - 1, axis=1)[:, NEIGHBOR - 1]
    return np.maximum(result, BLURRED)


def _complex(points: NDArray) -> tuple[NDArray[np.complex64], NDArray[np.float32]]:
    """X + iy about the mean, of unit length, 0 where not labeled; and (N, K) 1 where it is."""
    there = np.isfinite(points).all(axis=2)
    z = np.where(there, points[..., 0] + 1j * points[..., 1], 0)
    z = np.where(there, z - z.sum(axis=1, keepdims=True) / np.maximum(there.sum(axis=1, keepdims=True), 1), 0)
    z /= np.maximum(np.linalg.norm(z, axis=1, keepdims=True), 1e-9)
    return z.astype(np.complex64), there.astype(np.float32)


def _swapping(skeleton: Skeleton, pairs: tuple[int, ...]) -> list[int]:
    """K indices that exchange the joints of these pairs."""
    order = list(range(len(skeleton)))
    for a, b in (skeleton.flip_pairs[pair] for pair in pairs):
        order[a], order[b] = b, a
    return order


def _reached(start: set[int], edges: set[tuple[int, int]]) -> set[int]:
    reached = set(start)
    while more := {end for edge in edges if reached & set(edge) for end in edge} - reached:
        reached |= more
    return reached
