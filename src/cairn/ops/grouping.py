"""Part association: candidate keypoints are grouped into people (OpenPose, TPAMI section 3.4).

Every pair of candidates that a limb could connect is scored by the part affinity field between them (`connect`),
each candidate keeps at most one partner per limb (`match_greedy`, `match_exchange`, `match_hungarian`), and limbs that
share a part become one person (`assemble`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cairn.ops.assignment import assign
from cairn.ops.candidates import likely_pairs
from cairn.ops.exchange import exchange
from cairn.ops.heatmaps import Peaks
from cairn.ops.pafs import line_integral
from cairn.ops.sectors import sectors_above

Order = Literal["global", "limb"]
"""In which order connections are assembled, see `assemble`."""

NEAR = 1.0
"""Cells. Between nearer parts a PAF may have no cell at all, so they are connected without one. The release does so
below √(W·H)/150 pixels (0.41 cells of its default input), but its PAFs extend beyond the joints."""

MANY = 9000
"""Number of pairs above which it is faster to find the likely ones first."""

PART_WEIGHT = 0.1
"""A limb's priority is its own score plus this times the scores of its two parts, as in OpenPose's CUDA code. It
separates a part from a weaker peak beside it, to which the PAF points just as well."""


@dataclass(frozen=True, eq=False)
class Connections:
    """Pairs of peaks that may be a limb.

    Attributes:
        limbs: (C,) index of the limb.
        starts: (C,) index of the peak of the limb's first joint.
        ends: (C,) index of the peak of the limb's second joint.
        scores: (C,) float32, > 0, line integral of the PAF between them.
        priorities: (C,) float32, by which one is preferred to another, see `PART_WEIGHT`.
        weights: (C,) float32, score times the lower score of the two parts: two limbs to weak peaks beside the true
            parts do not outweigh the true limb.
    """

    limbs: NDArray[np.intp]
    starts: NDArray[np.intp]
    ends: NDArray[np.intp]
    scores: NDArray[np.float32]
    priorities: NDArray[np.float32]
    weights: NDArray[np.float32]

    @classmethod
    def scored(
        cls,
        limbs: NDArray[np.intp],
        starts: NDArray[np.intp],
        ends: NDArray[np.intp],
        scores: NDArray[np.float32],
        parts: NDArray[np.float32],
    ) -> Connections:
        """Returns pairs with their priorities and weights; `parts` (N,) are the scores of all peaks."""
        first, second = parts[starts], parts[ends]
        return cls(
            limbs, starts, ends, scores, scores + PART_WEIGHT * (first + second), scores * np.minimum(first, second)
        )

    def __len__(self) -> int:
        return len(self.limbs)

    def __getitem__(self, rows: NDArray[np.intp]) -> Connections:
        """The connections at ascending indices, none twice."""
        if len(rows) == len(self):
            return self
        return Connections(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


def connect(
    peaks: Peaks,
    pafs: NDArray[Any],
    limbs: Sequence[tuple[int, int]],
    sample_threshold: float,
    sample_share: float,
    near_score: float,
    free_length: float = math.inf,
) -> Connections:
    """Returns all pairs of peaks that the PAFs connect.

    Args:
        peaks: Candidates of all joints.
        pafs: (2L, h, w).
        limbs: L pairs of joint indices.
        sample_threshold: See `line_integral`.
        sample_share: See `line_integral`.
        near_score: Score of a pair nearer than `NEAR` without a score of its own.
        free_length: Length, in heights of the maps, above which a pair loses score (CVPR's release: 0.5).
    """
    pafs = np.ascontiguousarray(pafs, dtype=np.float32)
    sectors = None
    if _number_of_pairs(peaks.joints, limbs) > MANY:
        sectors = sectors_above(pafs, sample_threshold)
        limb, start, end = likely_pairs(peaks.joints, peaks.positions, limbs, sectors, sample_share)
    else:
        limb, start, end = _pairs(peaks.joints, limbs)
    columns = np.ascontiguousarray(peaks.positions.T)
    a, b = columns.take(start, axis=1), columns.take(end, axis=1)  # (2, M): x and y apart are faster
    scores = line_integral(pafs, limb, a.T, b.T, sample_threshold, sample_share, sectors)
    near = np.flatnonzero(np.abs(b[0] - a[0]) < NEAR)  # few: the rest is tested for these only
    dx, dy = b[:, near] - a[:, near]
    scores[near[(dx * dx + dy * dy < NEAR**2) & ~(scores[near] > 0)]] = near_score
    kept = np.flatnonzero((scores > 0) & (scores < np.inf))
    if free_length < math.inf:
        lengths = np.hypot(*(b[:, kept] - a[:, kept]))
        scores[kept] += np.minimum(free_length * pafs.shape[1] / np.maximum(lengths, NEAR) - 1, 0)
        kept = kept[scores[kept] > 0]
    return Connections.scored(limb[kept], start[kept], end[kept], scores[kept], peaks.scores)


def match_greedy(connections: Connections) -> NDArray[np.intp]:
    """Returns the indices of the connections that each limb takes by priority, no peak twice."""
    contested, starts, ends = _contested(connections)
    return _with_uncontested(connections, contested, _greedy(starts, ends, connections.priorities[contested]))


def match_exchange(connections: Connections) -> NDArray[np.intp]:
    """Returns the indices of the connections of `match_greedy`, after exchanges that increase the sum of weights."""
    contested, starts, ends = _contested(connections)
    if not len(contested):
        return np.arange(len(connections))
    greedy = _greedy(starts, ends, connections.priorities[contested])
    better = exchange(starts, ends, connections.weights[contested], greedy)
    return _with_uncontested(connections, contested, better)


def _greedy(starts: NDArray[np.intp], ends: NDArray[np.intp], priorities: NDArray[np.float32]) -> NDArray[np.intp]:
    """Returns the indices of the pairs that are taken by priority, no start and no end twice."""
    order = np.argsort(-priorities, kind="stable")
    start_taken, end_taken = (bytearray(int(nodes.max(initial=-1)) + 1) for nodes in (starts, ends))
    kept = []
    for i, start, end in zip(order.tolist(), starts[order].tolist(), ends[order].tolist(), strict=True):
        if not (start_taken[start] or end_taken[end]):
            start_taken[start] = end_taken[end] = True
            kept.append(i)
    return np.array(kept, dtype=np.intp)


def match_hungarian(connections: Connections) -> NDArray[np.intp]:
    """Returns the indices of the connections with the highest total priority per limb (TPAMI equation 13)."""
    contested, _, _ = _contested(connections)
    limbs = connections.limbs[contested]
    kept = []
    for limb in np.unique(limbs):
        mine = np.flatnonzero(limbs == limb)
        rows = contested[mine]
        starts, i = np.unique(connections.starts[rows], return_inverse=True)
        ends, j = np.unique(connections.ends[rows], return_inverse=True)
        scores = np.zeros((len(starts), len(ends)))
        scores[i, j] = connections.priorities[rows]
        partner = assign(scores)
        kept += mine[partner[i] == j].tolist()
    return _with_uncontested(connections, contested, np.array(kept, dtype=np.intp))


def assemble(
    joints: NDArray[Any], connections: Connections, redundant: Sequence[int] = (), order: Order = "global"
) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Groups peaks into people.

    A connection starts a person, adds a missing part to one, lies within one, or merges two that have no joint in
    common; else it is dropped.

    Args:
        joints: (N,) joint of each peak.
        connections: Matched connections.
        redundant: Indices of redundant limbs.
        order: "global": all connections by priority. "limb": limb after limb, by priority within each; `redundant`
            limbs come last and only add parts that a person lacks.

    Returns:
        The person of each peak (N,), -1 for none, and which connections (C,) are used.
    """
    fills = np.zeros(len(connections), dtype=bool)
    if order == "limb":
        fills = np.isin(connections.limbs, list(redundant))
        sequence = np.lexsort((-connections.priorities, connections.limbs, fills))
    else:
        sequence = np.argsort(-connections.priorities, kind="stable")
    powers = [1 << joint for joint in range(int(joints.max(initial=-1)) + 1)]
    bits = list(map(powers.__getitem__, joints.tolist()))
    person = [-1] * len(joints)
    members: list[list[int]] = []
    has: list[int] = []  # joints of each person, one bit each
    dropped = []
    for i, a, b, only_fills in zip(
        sequence.tolist(),
        connections.starts[sequence].tolist(),
        connections.ends[sequence].tolist(),
        fills[sequence].tolist(),
        strict=True,
    ):
        p, q = person[a], person[b]
        if p == q:
            if p < 0:
                if only_fills:
                    dropped.append(i)
                    continue
                person[a] = person[b] = len(members)
                members.append([a, b])
                has.append(bits[a] | bits[b])
        elif p < 0 or q < 0:
            new, p = (a, q) if p < 0 else (b, p)
            if has[p] & bits[new]:
                dropped.append(i)
                continue
            person[new] = p
            members[p].append(new)
            has[p] |= bits[new]
        else:
            if only_fills or has[p] & has[q]:
                dropped.append(i)
                continue
            has[p] |= has[q]
            members[p] += members[q]
            for peak in members[q]:
                person[peak] = p
    holding = np.ones(len(connections), dtype=bool)
    holding[dropped] = False
    return np.array(person, dtype=np.intp), holding


def _number_of_pairs(joints: NDArray[Any], limbs: Sequence[tuple[int, int]]) -> int:
    """Returns how many pairs of peaks the limbs could connect."""
    pairs = np.asarray(limbs, dtype=np.intp).reshape(-1, 2)
    counts = np.bincount(joints, minlength=int(pairs.max(initial=-1)) + 1)
    return int(counts[pairs].prod(axis=1).sum())


def _pairs(
    joints: NDArray[Any], limbs: Sequence[tuple[int, int]]
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Returns all pairs of peaks that each limb could connect: limb, start, end, each (M,). `joints` is ascending."""
    pairs = np.asarray(limbs, dtype=np.intp).reshape(-1, 2)
    firsts, lasts = np.searchsorted(joints, pairs, "left"), np.searchsorted(joints, pairs, "right")
    counts = lasts - firsts  # (L, 2)
    limb = np.repeat(np.arange(len(pairs)), counts[:, 0])  # one row per start, then one per end of each
    start = np.arange(len(limb)) + (firsts[:, 0] - (np.cumsum(counts[:, 0]) - counts[:, 0]))[limb]
    ends = counts[limb, 1]
    row = np.repeat(np.arange(len(limb)), ends)
    end = np.arange(len(row)) + (firsts[limb, 1] - (np.cumsum(ends) - ends))[row]
    return limb[row], start[row], end


def _contested(connections: Connections) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Returns the indices of connections that share a peak with another one of the same limb, usually few.

    Returns:
        The indices (n,), and a number of each limb's start and of its end, each (n,).
    """
    limbs, starts, ends = connections.limbs, connections.starts, connections.ends
    many = int(max(starts.max(initial=0), ends.max(initial=0))) + 1
    starts, ends = limbs * many + starts, limbs * many + ends
    rows = np.flatnonzero((np.bincount(starts)[starts] > 1) | (np.bincount(ends)[ends] > 1))
    return rows, starts[rows], ends[rows]


def _with_uncontested(
    connections: Connections, contested: NDArray[np.intp], kept: NDArray[np.intp]
) -> NDArray[np.intp]:
    """Returns the indices of the uncontested connections and of those contested ones that are kept."""
    clear = np.ones(len(connections), dtype=bool)
    clear[contested] = False
    clear[contested[kept]] = True
    return np.flatnonzero(clear)
