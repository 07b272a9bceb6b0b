"""Candidate limbs: the pairs of peaks whose line integral can be above 0, found without the integral.

In a crowd nearly all pairs of peaks are wrong. Here five samples of each pair are looked up in the table of
`cairn.ops.sectors`, for all pairs of a limb at once, in arrays without a gap. The test is exact: no pair that
`line_integral` would accept is dropped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.ops.pafs import END_INSET, SAMPLES
from cairn.ops.sectors import ROUNDING, sector_of

BLOCK = 1 << 15
"""Pairs tested at a time, so that their arrays stay in the cache and memory is bounded."""

@dataclass(frozen=True, eq=False)
class _Ends:
    """The peaks at one end of several limbs, one row per limb, filled up to the longest row.

    Attributes:
        peaks: (L, P) index of each peak.
        valid: (L, P), false where filled up.
        x: (L, P) float32, column in cells.
        y: (L, P) float32, row in cells.
        sectors: (L, P) uint8, sectors in which the first sample can exceed the threshold.
    """

    peaks: NDArray[np.intp]
    valid: NDArray[np.bool_]
    x: NDArray[np.float32]
    y: NDArray[np.float32]
    sectors: NDArray[np.uint8]


def likely_pairs(
    joints: NDArray[Any],
    positions: NDArray[Any],
    limbs: Sequence[tuple[int, int]],
    sectors: NDArray[np.uint8],
    sample_share: float,
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Returns all pairs of peaks with a line integral above 0, all that are nearer than a cell, and few others.

    Args:
        joints: (N,) joint of each peak, ascending.
        positions: (N, 2) float32, (x, y) in cells.
        limbs: L pairs of joint indices.
        sectors: (L, h, w), result of `sectors_above` for the threshold of the samples.
        sample_share: See `line_integral`.

    Returns:
        Limb, start and end of each pair, each (M,).
    """
    sides = np.asarray(limbs, dtype=np.intp).reshape(-1, 2).T
    edges = np.searchsorted(joints, np.arange(int(sides.max(initial=-1)) + 2))
    most = int(np.diff(edges).max(initial=0))
    _, height, width = sectors.shape
    limits = np.array([[width - 1], [height - 1]], dtype=np.float32)
    points = np.clip(positions.T, 0, limits, order="C")
    corners = _corners(points, (height, width))
    found = []
    step = max(1, BLOCK // max(most * most, 1))
    for first in range(0, len(limbs), step):
        block = slice(first, first + step)
        starts, ends = (_ends(side[block], edges, points, sectors[block], corners) for side in sides)
        if starts.peaks.size and ends.peaks.size:
            limb, a, b = _likely(starts, ends, sectors[block], sample_share)
            found.append((first + limb, starts.peaks[limb, a], ends.peaks[limb, b]))
    limb, start, end = (np.concatenate([np.zeros(0, dtype=np.intp), *column]) for column in zip(*found, strict=True))
    return limb, start, end


def _corners(positions: NDArray[np.float32], size: tuple[int, ...]) -> NDArray[np.intp]:
    """Returns the cells (4, N), as flat indices, that hold the first sample of any line from each position (2, N)."""
    height, width = size
    left, top = np.maximum(positions - np.float32(END_INSET), 0).astype(np.intp)
    right, bottom = (positions + np.float32(END_INSET)).astype(np.intp)
    np.minimum(right, width - 1, out=right)
    top, bottom = top * width, np.minimum(bottom, height - 1) * width
    return np.stack([top + left, top + right, bottom + left, bottom + right])


def _ends(
    joints: NDArray[np.intp],
    edges: NDArray[np.intp],
    points: NDArray[np.float32],
    table: NDArray[np.uint8],
    corners: NDArray[np.intp],
) -> _Ends:
    """Returns the peaks of some joints; those of joint j are `edges[j]` to `edges[j + 1]`."""
    counts = edges[joints + 1] - edges[joints]
    places = np.arange(counts.max(initial=0))
    valid = places < counts[:, None]
    peaks = np.where(valid, edges[joints][:, None] + places, 0)
    cells = corners[:, peaks] + np.arange(len(joints))[:, None] * table[0].size
    sectors: NDArray[np.uint8] = np.bitwise_or.reduce(table.ravel().take(cells), axis=0)
    return _Ends(peaks, valid, points[0].take(peaks), points[1].take(peaks), sectors)


def _likely(starts: _Ends, ends: _Ends, table: NDArray[np.uint8], share: float) -> tuple[NDArray[np.intp], ...]:
    """Returns the pairs that pass: limb, place among its starts and place among its ends, each (M,)."""
    shape = (*starts.peaks.shape, ends.peaks.shape[1])
    ax, ay, bx, by = (
        np.full(shape, values, dtype=np.float32)  # operations on one line are faster than on many short ones
        for values in (starts.x[:, :, None], starts.y[:, :, None], ends.x[:, None], ends.y[:, None])
    )
    dx, dy = bx - ax, by - ay
    across, down = np.abs(dx), np.abs(dy)
    sector = sector_of(dx, dy, across > down)
    reach = np.maximum(across, down, out=across)

    base = np.arange(shape[0], dtype=np.int32)[:, None, None] * np.int32(table[0].size)
    cells = table.ravel()

    def missed(x: NDArray[np.float32], y: NDArray[np.float32]) -> NDArray[np.int8]:
        place = y.astype(np.int32)
        place *= np.int32(table.shape[2])
        place += x.astype(np.int32)
        place += base
        return ((cells.take(place) & sector) == 0).view(np.int8)

    misses = ((sector & starts.sectors[:, :, None]) == 0).view(np.int8)
    misses = misses + ((sector & ends.sectors[:, None, :]) == 0).view(np.int8)
    misses += missed((ax + bx) * np.float32(0.5), (ay + by) * np.float32(0.5))  # counts are odd: there is a middle
    # The samples a quarter of all from each end, of lines with the maximum count.
    dx *= (quarter := _quarter(dx, dy))
    dy *= quarter
    longest = (reach > (SAMPLES[1] // 2) ** 2 / 10 + ROUNDING).view(np.int8)
    misses += missed(np.add(ax, dx, out=ax), np.add(ay, dy, out=ay)) & longest
    misses += missed(np.subtract(bx, dx, out=bx), np.subtract(by, dy, out=by)) & longest

    for least in _reaches(share):
        misses -= (reach > least - ROUNDING).view(np.int8)
    kept = (misses < 0) | (reach < 1)
    if not (starts.valid.all() and ends.valid.all()):
        kept &= starts.valid[:, :, None] & ends.valid[:, None, :]
    row, b = np.divmod(np.flatnonzero(kept), shape[2])
    return *np.divmod(row, shape[1]), b


def _quarter(dx: NDArray[np.float32], dy: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns where, as a fraction of the line, the sample lies that is a quarter of the samples from its start."""
    length = dx * dx
    length += dy * dy
    np.sqrt(length, out=length)
    np.maximum(length, np.float32(2 * END_INSET), out=length)
    fraction = np.divide(np.float32(END_INSET / 2), length, out=length)
    fraction += np.float32(0.25)
    return fraction


@lru_cache(maxsize=16)
def _reaches(share: float) -> tuple[float, ...]:
    """Returns the values of max(|dx|, |dy|), ascending, from which on one more sample may miss; the first for none.

    A line has 2·floor(√(10·reach)) + 1 samples, from 5 to 25, and more than `share` of them must not miss.
    """
    reaches: list[float] = []
    for half in range(SAMPLES[0] // 2, SAMPLES[1] // 2 + 1):
        count = np.float32(2 * half + 1)
        while count - len(reaches) > share * count:
            reaches.append(half * half / 10 if half > SAMPLES[0] // 2 else 0.0)
    return tuple(reaches)
