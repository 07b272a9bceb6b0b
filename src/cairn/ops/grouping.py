"""Limbs -> people: which candidate parts belong together (OpenPose, TPAMI section 3.4).

Every pair of candidates that a limb could join is scored by the field between them (`connect`), each
candidate keeps at most one partner per limb (`match_greedy`, `match_hungarian`), and limbs that share
a part become one person (`assemble`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cairn.ops.assignment import assign
from cairn.ops.heatmaps import Peaks
from cairn.ops.pafs import line_integral

Order = Literal["global", "limb"]

NEAR = 1.0
"""Cells. Between nearer parts a field may have no cell at all, so that they are joined without one. The
release does so below √(W·H)/150 pixels (0.41 cells of its default input), but its fields overshoot."""

PART_WEIGHT = 0.1
"""A limb's confidences is its own score and this much of its two parts': OpenPose's CUDA code. It tells a true
part from a ripple beside it, to which the field flows just as well."""


@dataclass(frozen=True, eq=False)
class Connections:
    """Pairs of peaks that may be a limb.

    limbs         (C,) index of the limb
    starts, ends  (C,) indices of peaks
    scores        (C,) float32, > 0: the field along the line between them
    confidences      (C,) float32: by which one is preferred to another, `PART_WEIGHT`
    """

    limbs: NDArray[np.intp]
    starts: NDArray[np.intp]
    ends: NDArray[np.intp]
    scores: NDArray[np.float32]
    confidences: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.limbs)

    def __getitem__(self, rows: NDArray) -> Connections:
        return Connections(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


def connect(
    peaks: Peaks,
    pafs: NDArray,
    limbs: Sequence[tuple[int, int]],
    sample_threshold: float,
    sample_share: float,
    near_score: float,
) -> Connections:
    """All pairs of peaks along which the fields (2L, h, w) flow; see `line_integral` for the two thresholds.

    near_score  what a pair nearer than `NEAR` scores where the field says nothing
    """
    limb, start, end = _pairs(peaks.joints, limbs)
    columns = np.ascontiguousarray(peaks.positions.T)
    a, b = columns.take(start, axis=1), columns.take(end, axis=1)  # (2, M): x and y apart are faster
    scores = line_integral(pafs, limb, a.T, b.T, sample_threshold, sample_share)
    dx, dy = b - a
    scores[(dx * dx + dy * dy < NEAR**2) & ~(scores > 0)] = near_score
    kept = np.flatnonzero((scores > 0) & (scores < np.inf))
    limb, start, end, scores = limb[kept], start[kept], end[kept], scores[kept]
    return Connections(limb, start, end, scores, scores + PART_WEIGHT * (peaks.scores[start] + peaks.scores[end]))


def match_greedy(connections: Connections) -> NDArray[np.intp]:
    """Indices of the connections that are left when each limb takes the surest first and no peak twice."""
    doubtful = _contested(connections)
    taken: set[tuple[int, int, bool]] = set()
    kept = []
    order = doubtful[np.argsort(-connections.confidences[doubtful], kind="stable")]
    chosen = connections[order]
    for i, limb, start, end in zip(
        order.tolist(), chosen.limbs.tolist(), chosen.starts.tolist(), chosen.ends.tolist(), strict=True
    ):
        ends = (limb, start, False), (limb, end, True)
        if taken.isdisjoint(ends):
            taken.update(ends)
            kept.append(i)
    return _with_uncontested(connections, doubtful, kept)


def match_hungarian(connections: Connections) -> NDArray[np.intp]:
    """Indices of the connections that together are surest, limb by limb, no peak twice (TPAMI equation 13)."""
    doubtful = _contested(connections)
    limbs = connections.limbs[doubtful]
    kept = []
    for limb in np.unique(limbs):
        rows = doubtful[limbs == limb]
        starts, i = np.unique(connections.starts[rows], return_inverse=True)
        ends, j = np.unique(connections.ends[rows], return_inverse=True)
        scores = np.zeros((len(starts), len(ends)))
        scores[i, j] = connections.confidences[rows]
        partner = assign(scores)
        kept += rows[partner[i] == j].tolist()
    return _with_uncontested(connections, doubtful, kept)


def assemble(
    joints: NDArray, connections: Connections, redundant: Sequence[int] = (), order: Order = "global"
) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Each peak's person (N,), -1 for none, and which connections (C,) hold a person together.

    joints  (N,) joint of each peak
    order   "global": all connections, the surest first;
            "limb": limb after limb, the surest first within each; `redundant` limbs come last and only give
            a person a part that it lacks.

    A connection founds a person, gives one a part that it lacks, confirms one, or merges two that have no
    joint in common; else it is dropped.
    """
    fills = np.zeros(len(connections), dtype=bool)
    if order == "limb":
        fills = np.isin(connections.limbs, list(redundant))
        sequence = np.lexsort((-connections.confidences, connections.limbs, fills))
    else:
        sequence = np.argsort(-connections.confidences, kind="stable")
    bits = [1 << joint for joint in joints.tolist()]
    person = [-1] * len(joints)
    members: list[list[int]] = []
    has: list[int] = []  # which joints each person has, one bit each
    used = []
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
                    continue
                person[a] = person[b] = len(members)
                members.append([a, b])
                has.append(bits[a] | bits[b])
        elif p < 0 or q < 0:
            new, p = (a, q) if p < 0 else (b, p)
            if has[p] & bits[new]:
                continue
            person[new] = p
            members[p].append(new)
            has[p] |= bits[new]
        else:
            if only_fills or has[p] & has[q]:
                continue
            has[p] |= has[q]
            members[p] += members[q]
            for peak in members[q]:
                person[peak] = p
        used.append(i)
    holding = np.zeros(len(connections), dtype=bool)
    holding[used] = True
    return np.array(person, dtype=np.intp), holding


def _pairs(joints: NDArray, limbs: Sequence[tuple[int, int]]) -> tuple[NDArray, NDArray, NDArray]:
    """All pairs of peaks that each limb could join: limb, start and end, each (M,). `joints` is ascending."""
    pairs = np.asarray(limbs, dtype=np.intp).reshape(-1, 2)
    firsts, lasts = np.searchsorted(joints, pairs, "left"), np.searchsorted(joints, pairs, "right")
    counts = lasts - firsts  # (L, 2)
    limb = np.repeat(np.arange(len(pairs)), counts[:, 0])  # one row for each start, then as many as it has ends
    start = np.arange(len(limb)) + (firsts[:, 0] - (np.cumsum(counts[:, 0]) - counts[:, 0]))[limb]
    ends = counts[limb, 1]
    row = np.repeat(np.arange(len(limb)), ends)
    end = np.arange(len(row)) + (firsts[limb, 1] - (np.cumsum(ends) - ends))[row]
    return limb[row], start[row], end


def _contested(connections: Connections) -> NDArray[np.intp]:
    """Indices of the connections of which a peak has another one of the same limb: few of them, usually."""
    many = int(max(connections.starts.max(initial=0), connections.ends.max(initial=0))) + 1
    starts, ends = (connections.limbs * many + peaks for peaks in (connections.starts, connections.ends))
    return np.flatnonzero((np.bincount(starts)[starts] > 1) | (np.bincount(ends)[ends] > 1))


def _with_uncontested(connections: Connections, doubtful: NDArray, kept: list[int]) -> NDArray[np.intp]:
    clear = np.ones(len(connections), dtype=bool)
    clear[doubtful] = False
    clear[kept] = True
    return np.flatnonzero(clear)
