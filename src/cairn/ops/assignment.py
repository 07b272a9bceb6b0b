"""The linear assignment problem."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def assign(scores: NDArray[Any]) -> NDArray[np.intp]:
    """Returns the one-to-one assignment of rows to columns with the maximum total score.

    Shortest augmenting paths with potentials (Jonker and Volgenant 1987), O(n²m).

    Args:
        scores: (n, m), >= 0.

    Returns:
        (n,) column of each row, -1 for none; min(n, m) rows have one.
    """
    if scores.shape[0] > scores.shape[1]:
        rows = assign(scores.T)
        columns = np.full(scores.shape[0], -1, dtype=np.intp)
        columns[rows] = np.arange(len(rows))
        return columns
    costs = -np.asarray(scores, dtype=np.float64)
    count, width = costs.shape
    owner = np.full(width, -1, dtype=np.intp)  # row of each column
    if not costs.size:
        return np.full(count, -1, dtype=np.intp)
    of_row, of_column = costs.min(axis=1), np.zeros(width)  # potentials
    left = []  # rows whose best column is another row's too
    for row, column in enumerate(costs.argmin(axis=1).tolist()):
        if owner[column] < 0:
            owner[column] = row
        else:
            left.append(row)
    for row in left:
        distance = np.full(width, np.inf)
        before = np.full(width, -1, dtype=np.intp)  # column before each one on its path, -1 for the root
        done = np.zeros(width, dtype=bool)
        length, at, column = 0.0, row, -1
        while True:
            through = length + costs[at] - of_row[at] - of_column
            shorter = ~done & (through < distance)
            distance[shorter], before[shorter] = through[shorter], column
            column = int(np.where(done, np.inf, distance).argmin())
            length = distance[column]
            done[column] = True
            if owner[column] < 0:
                break
            at = owner[column]
        passed = done & (owner >= 0)
        of_row[row] += length
        of_row[owner[passed]] += length - distance[passed]
        of_column[done] -= length - distance[done]
        while column >= 0:
            owner[column] = row if before[column] < 0 else owner[before[column]]
            column = before[column]
    partner = np.full(count, -1, dtype=np.intp)
    partner[owner[owner >= 0]] = np.flatnonzero(owner >= 0)
    return partner
