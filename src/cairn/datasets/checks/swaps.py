"""Left-right swaps: instances that are far more likely with some flip pairs exchanged.

The likelihood is estimated from the other instances of the data set. Shapes are compared by the full Procrustes
distance, which tells a shape from its reflection (`cairn.datasets.checks.shapes`). The density at a shape is inversely
proportional to d^D, with the distance d to its fifth nearest neighbor and the dimension D of the shapes. D log(d / d')
is then the log likelihood ratio of an instance whose distance falls from d to d' when joints are exchanged. A shape
consists of the joints near the exchanged ones: with all joints of a body it would have too many dimensions for near
neighbors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from cairn.datasets.checks.shapes import Shapes, squared_distances
from cairn.machine import available_cores
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

FAR = 4.0
"""Added to the squared distance of a shape with too few common joints, which a distance never reaches: it is much
faster than a mask."""

BLOCK = 1 << 16
"""Distances that are computed at once: they fit into the cache of a core."""

SLACK = 1e-3
"""Bound of the rounding errors of the evidence."""

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


def swaps(
    keypoints: NDArray[Any], skeleton: Skeleton, progress: Callable[[int, int], None] | None = None
) -> list[Swap]:
    """Returns the most likely swap of each instance with sufficient evidence, by decreasing evidence.

    Args:
        keypoints: (N, K, 2) in pixels; NaN where not labeled.
        skeleton: The K joints.
        progress: Called with the number of flip pairs and groups of them that are tried, and how many there are.
    """
    order = np.random.default_rng(0).permutation(len(keypoints))
    best: dict[int, Swap] = {}
    candidates = list(hypotheses(skeleton))
    min_evidence = float(np.clip(np.log(max(1, len(candidates) * len(keypoints))), MIN_EVIDENCE, MAX_EVIDENCE))
    # Others have no shape, whatever its joints.
    enough = np.isfinite(keypoints).all(axis=2).sum(axis=1) >= min(MIN_JOINTS, keypoints.shape[1])
    instances, order = np.flatnonzero(enough), (np.cumsum(enough) - 1)[order[enough[order]]]
    keypoints = keypoints[instances]
    samples: dict[tuple[int, ...], _Sample] = {}
    for number, (pairs, joints) in enumerate(candidates):
        if progress:
            progress(number + 1, len(candidates))
        if tuple(joints) not in samples:
            samples[tuple(joints)] = _Sample.of(keypoints[:, joints], order)
        sample = samples[tuple(joints)]
        ends = [joint for pair in pairs for joint in skeleton.flip_pairs[pair]]
        rows = np.flatnonzero(sample.usable & np.isfinite(keypoints[:, ends]).all(axis=(1, 2)))
        if len(sample.order) <= NEIGHBOR or not len(rows):
            continue
        swapped = Shapes.of(keypoints[:, _exchanged(skeleton, pairs)][:, joints])
        before, after = sample.coarse(rows), sample.distances(swapped, rows, COARSE)
        limit = np.quantile(before[np.isfinite(before)], COMMON_QUANTILE) if np.isfinite(before).any() else 0.0
        suspicious = np.isfinite(before) & np.isfinite(after) & (after < before) & (after <= limit)
        rows, before = rows[suspicious], before[suspicious]
        factor = 2 * sample.count[rows] - 4
        after = sample.distances(swapped, rows, FINE)
        # More instances to compare with only decrease the distance before the swap.
        possible = factor * np.log(before / after) >= min_evidence - SLACK
        rows, after, factor = rows[possible], after[possible], factor[possible]
        evidence = factor * np.log(sample.distances(sample.shapes, rows, FINE) / after)
        for row, value in zip(instances[rows].tolist(), evidence.tolist(), strict=True):
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


@dataclass(frozen=True, eq=False)
class _Sample:
    """The shapes of some joints of all instances, and those of them that others are compared with.

    Attributes:
        shapes: The shapes of the N instances.
        count: (N,) number of labeled joints.
        usable: (N,) whether these are enough for a shape.
        order: The usable rows, in random order.
        known: (N,) distances of the shapes to the coarse sample; NaN where they are not computed yet.
    """

    shapes: Shapes
    count: NDArray[np.int64]
    usable: NDArray[np.bool_]
    order: NDArray[np.int64]
    known: NDArray[np.float64]

    @classmethod
    def of(cls, keypoints: NDArray[Any], order: NDArray[np.int64]) -> _Sample:
        shapes = Shapes.of(keypoints)
        count = shapes.there.sum(axis=1).astype(np.int64)
        usable = count >= min(MIN_JOINTS, keypoints.shape[1])
        return cls(shapes, count, usable, order[usable[order]], np.full(len(keypoints), np.nan))

    def coarse(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Returns the distances of rows to the coarse sample, which hypotheses with the same joints share."""
        unknown = rows[np.isnan(self.known[rows])]
        self.known[unknown] = self.distances(self.shapes, unknown, COARSE)
        return self.known[rows]

    def distances(self, shapes: Shapes, rows: NDArray[np.int64], size: int) -> NDArray[np.float64]:
        """Returns the distance of each row of the shapes to its NEIGHBOR-th nearest neighbor among `size` instances.

        It is infinite with too few neighbors. A shape is no neighbor of itself.
        """
        others = self.order[:size]
        if len(others) < NEIGHBOR or not len(rows):
            return np.full(len(rows), np.inf)
        there = self.shapes[others]
        place = np.full(len(shapes.x), len(others))  # of a row among the others
        place[others] = np.arange(len(others))
        step = max(1, BLOCK // len(others))
        squared_distance = np.empty(len(rows))

        def measure(start: int) -> None:
            block = rows[start : start + step]
            squared, common = squared_distances(shapes[block], there)
            enough = np.maximum(MIN_SHARED * self.count[block], min(MIN_JOINTS, shapes.x.shape[1]))
            few = common < enough[:, None].astype(np.float32)
            common -= 2
            squared /= np.maximum(common, 1, out=common)
            squared += np.multiply(few, np.float32(FAR), out=common)
            own = np.flatnonzero(place[block] < len(others))
            squared[own, place[block[own]]] = FAR
            squared_distance[start : start + step] = np.partition(squared, NEIGHBOR - 1, axis=1)[:, NEIGHBOR - 1]

        def measure_all(starts: range) -> None:
            for start in starts:
                measure(start)

        starts, cores = range(0, len(rows), step), available_cores()
        # The threads of BLAS would wait for one another, busily: ten times the work beside another busy process.
        with threadpool_limits(1, "blas"), ThreadPoolExecutor(cores) as pool:
            list(pool.map(measure_all, (starts[first::cores] for first in range(cores))))
        distance = np.sqrt(np.maximum(squared_distance, 0))
        return np.where(squared_distance < FAR / 2, np.maximum(distance, MIN_DISTANCE), np.inf)


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
