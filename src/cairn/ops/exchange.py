"""Pairwise exchange: a one-to-one matching is improved until no two pairs are worth more than those in their way.

Greedy matching takes the strongest pair first. In a crowd a wrong pair can be stronger than each of the two
right ones that it excludes, and still be worth less than both together.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

GAIN = 1e-6
"""Minimum increase of the sum of two weights, so that rounding does not exchange pairs forever."""


def exchange(
    starts: NDArray[np.intp], ends: NDArray[np.intp], weights: NDArray[Any], kept: NDArray[np.intp]
) -> NDArray[np.intp]:
    """Returns the indices of a matching whose sum of weights is at least that of `kept`.

    Two pairs (s, e') and (s', e) replace (s, e) and, where it is in the matching, (s', e') as long as that increases
    the sum.

    Args:
        starts: (C,) start of each pair, >= 0.
        ends: (C,) end of each pair, >= 0.
        weights: (C,) weight of each pair, > 0.
        kept: Indices of a matching: no start and no end twice. No pair can be added to it.
    """
    if len(kept) == len(weights):
        return kept
    worth = np.append(weights, 0)  # of no pair, -1
    of_start, of_end = _of(starts, kept), _of(ends, kept)
    breadth = len(of_end)
    code = starts * breadth + ends
    order = np.argsort(code, kind="stable")
    while True:
        lost = np.flatnonzero(of_start[starts] != np.arange(len(starts)))
        rivals, others = of_start[starts[lost]], of_end[ends[lost]]  # (s, e) and (s', e') in the way of (s, e')
        free = lost[rivals < 0]
        best = _of(ends, free[np.argsort(worth[free], kind="stable")], breadth)  # the highest from a free s' to each e
        lost, rivals, others = lost[rivals >= 0], rivals[rivals >= 0], others[rivals >= 0]
        wanted = starts[others] * breadth + ends[rivals]
        place = order[np.minimum(np.searchsorted(code, wanted, sorter=order), len(code) - 1)]
        seconds = np.where(others < 0, best[ends[rivals]], np.where(code[place] == wanted, place, -1))  # (s', e)
        gain = np.where(seconds < 0, 0, worth[lost] + worth[seconds] - worth[rivals] - worth[others])
        better = np.flatnonzero(gain > GAIN)
        if not len(better):
            return np.sort(of_start[of_start >= 0])
        changed: set[int] = set()
        for i in better[np.argsort(-gain[better], kind="stable")].tolist():
            first, second = int(lost[i]), int(seconds[i])
            nodes = {starts[first], starts[second], -1 - ends[first], -1 - ends[second]}
            if not changed & nodes:
                changed |= nodes
                for pair in (first, second):
                    of_start[starts[pair]] = of_end[ends[pair]] = pair


def _of(nodes: NDArray[np.intp], pairs: NDArray[np.intp], count: int = 0) -> NDArray[np.intp]:
    """Returns the pair of each node, -1 for none, and the last of several."""
    of = np.full(max(count, int(nodes.max(initial=-1)) + 1), -1, dtype=np.intp)
    of[nodes[pairs]] = pairs
    return of
