"""Search for pairs of similar vectors among many, without comparing every pair.

The vectors are of unit norm, so that a correlation c is a distance sqrt(2 - 2c), and that distance is at least the one
after a projection. Vectors are divided into blocks along the widest of their principal components (a k-d tree); two
blocks are compared only if their bounding boxes are near enough. There, the components and the norm of what they leave
out give an upper bound of each correlation, and only pairs that reach the threshold by that bound are compared in full.
No pair is missed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

COMPONENTS = 31
"""Number of principal components: those of photographs of 32×32 pixels have nine tenths of the variance."""

BLOCK = 256
"""Maximum number of vectors of a block."""

MAX_SAMPLE = 4096
"""Number of vectors that the principal components are computed of; fewer vectors are compared in full."""

MAX_COMPARED = 1 << 22
"""Pairs that are compared at once."""

ROUNDING = 1e-4
"""Bound of the rounding errors of a correlation."""


class Components:
    """Connected components of N items: a forest in which each item has a parent, and the first of a component none."""

    def __init__(self, size: int) -> None:
        self._parent = np.arange(size)

    def first(self, items: NDArray[np.int64]) -> NDArray[np.int64]:
        """Returns the first item of the component of each item."""
        first = self._parent[items]
        while ((above := self._parent[first]) != first).any():
            first = above
        self._parent[items] = first
        return first

    def join(self, items: NDArray[np.int64]) -> None:
        """Joins the components of some items."""
        first = np.unique(self.first(items))
        self._parent[first] = first[:1]


@dataclass(frozen=True, eq=False)
class _Blocks:
    """Vectors in blocks of similar ones.

    Attributes:
        rows: (N,) indices of the vectors, block by block.
        starts: (B + 1,) where the blocks begin in that order.
        projected: (N, D) in that order. The dot product of two is an upper bound of that of their vectors.
        low: (B, D) lower corners of the blocks.
        high: (B, D) upper corners of the blocks.
    """

    rows: NDArray[np.int64]
    starts: NDArray[np.int64]
    projected: NDArray[np.float32]
    low: NDArray[np.float32]
    high: NDArray[np.float32]

    @classmethod
    def of(cls, vectors: NDArray[np.float32], axes: NDArray[np.float32] | None) -> _Blocks:
        """Divides the vectors that are not 0 into blocks.

        Args:
            vectors: (N, C) of unit norm, or 0.
            axes: (C, D) orthonormal axes of the projection; None projects nothing.
        """
        rows = np.flatnonzero(vectors.any(axis=1))
        if axes is None:
            projected = vectors[rows]
        else:
            inside = (vectors @ axes)[rows]
            rest = np.sqrt(np.maximum(1 - np.square(inside).sum(axis=1, keepdims=True), 0))
            projected = np.concatenate([inside, rest], axis=1)
        waiting, blocks = [np.arange(len(rows))] * (len(rows) > 0), []
        while waiting:
            block = waiting.pop()
            if len(block) <= BLOCK:
                blocks.append(block)
                continue
            axis = np.ptp(projected[block], axis=0).argmax()
            half = len(block) // 2
            block = block[np.argpartition(projected[block, axis], half)]
            waiting += [block[half:], block[:half]]
        starts = np.cumsum([0, *map(len, blocks)])
        order = np.concatenate([np.zeros(0, np.int64), *blocks])
        low, high = (
            np.array([corner(projected[block], axis=0) for block in blocks]).reshape(len(blocks), projected.shape[1])
            for corner in (np.min, np.max)
        )
        return cls(rows[order], starts, projected[order], low, high)

    def __len__(self) -> int:
        return len(self.low)

    def near(self, low: NDArray[np.float32], high: NDArray[np.float32], distance: float) -> NDArray[np.int64]:
        """Returns the positions of the vectors of all blocks that a box may be as near to as the distance."""
        gap = np.maximum(np.maximum(self.low - high, low - self.high), 0)
        near = np.flatnonzero(np.square(gap).sum(axis=1) <= distance**2 + ROUNDING)
        return np.concatenate([np.zeros(0, np.int64), *(np.arange(*self.starts[b : b + 2]) for b in near)])


def join_similar(components: Components, vectors: NDArray[np.float32], threshold: float) -> None:
    """Joins the components of vectors whose correlation reaches the threshold.

    Args:
        components: Components of the N vectors. Members of one are not compared.
        vectors: (N, C) of unit norm, or 0, which is similar to nothing.
        threshold: Minimum correlation.
    """
    blocks = _Blocks.of(vectors, _principal_axes(vectors))
    distance = float(np.sqrt(2 - 2 * threshold))
    for block in range(len(blocks)):
        start, end = blocks.starts[block : block + 2]
        own = np.arange(start, end)
        later = blocks.near(blocks.low[block], blocks.high[block], distance)
        for others in _parts(later[later >= start], len(own)):
            first, other_first = components.first(blocks.rows[own]), components.first(blocks.rows[others])
            if (first == first[0]).all():
                others, other_first = others[other_first != first[0]], other_first[other_first != first[0]]
            possible = blocks.projected[own] @ blocks.projected[others].T >= threshold - ROUNDING
            possible &= first[:, None] != other_first
            here, there = blocks.rows[own[possible.any(axis=1)]], blocks.rows[others[possible.any(axis=0)]]
            similar = vectors[here] @ vectors[there].T >= threshold
            for row in np.flatnonzero(similar.any(axis=1)).tolist():
                components.join(np.concatenate([here[row : row + 1], there[similar[row]]]))


def most_similar(
    vectors: NDArray[np.float32], others: NDArray[np.float32], threshold: float
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Returns (N,) the index of the most similar of `others` for each vector, and (N,) their correlation.

    The correlation is 0 where none reaches the threshold.

    Args:
        vectors: (N, C) of unit norm, or 0, which is similar to nothing.
        others: (M, C) likewise.
        threshold: Minimum correlation.
    """
    best, value = np.zeros(len(vectors), np.int64), np.zeros(len(vectors), np.float32)
    axes = _principal_axes(others)
    blocks, other_blocks = _Blocks.of(vectors, axes), _Blocks.of(others, axes)
    distance = float(np.sqrt(2 - 2 * threshold))
    for block in range(len(blocks)):
        own = np.arange(*blocks.starts[block : block + 2])
        near = other_blocks.near(blocks.low[block], blocks.high[block], distance)
        for part in _parts(near, len(own)):
            possible = blocks.projected[own] @ other_blocks.projected[part].T >= threshold - ROUNDING
            here = blocks.rows[own[possible.any(axis=1)]]
            there = np.sort(other_blocks.rows[part[possible.any(axis=0)]])
            if not len(there):
                continue
            similarity = vectors[here] @ others[there].T
            index = similarity.argmax(axis=1)
            highest = similarity[np.arange(len(here)), index]
            better = (highest >= threshold) & (highest > value[here])
            best[here[better]], value[here[better]] = there[index[better]], highest[better]
    return best, value


def _principal_axes(vectors: NDArray[np.float32]) -> NDArray[np.float32] | None:
    """(C, D) orthonormal axes with most of the squares of the vectors; None for few vectors, or short ones."""
    if len(vectors) <= MAX_SAMPLE or vectors.shape[1] <= COMPONENTS:
        return None
    sample = vectors[np.random.default_rng(0).permutation(len(vectors))[:MAX_SAMPLE]]
    axes: NDArray[np.float32] = np.linalg.eigh(sample.T @ sample)[1][:, -COMPONENTS:]
    return axes


def _parts(positions: NDArray[np.int64], rows: int) -> list[NDArray[np.int64]]:
    """Positions in parts that are compared with so many rows at once."""
    step = max(1, MAX_COMPARED // rows)
    return [positions[start : start + step] for start in range(0, len(positions), step)]
