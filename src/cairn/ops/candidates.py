"""Candidate limbs: the pairs of peaks whose line integral can be above 0, found without the integral.

In a crowd nearly all pairs of peaks are wrong. Here up to five samples of each pair are looked up in the table of
`cairn.ops.sectors`, for all pairs of several limbs at once, in arrays without gaps. The test is exact: no pair that
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
    """

    peaks: NDArray[np.intp]
    valid: NDArray[np.bool_]
    x: NDArray[np.float32]
    y: NDArray[np.float32]

    def __getitem__(self, rows: slice) -> _Ends:
        longest = int(self.valid[rows].sum(axis=1).max(initial=0))
        return _Ends(*(getattr(self, name)[rows, :longest] for name in self.__dataclass_fields__))


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
    pairs = np.asarray(limbs, dtype=np.intp).reshape(-1, 2)
    edges = np.searchsorted(joints, np.arange(int(pairs.max(initial=-1)) + 2))
    points = np.clip(positions.T, 0, np.array([[sectors.shape[2] - 1], [sectors.shape[1] - 1]], dtype=np.float32))
    starts, ends = (_ends(side, edges, points) for side in pairs.T)
    step = max(1, BLOCK // max(starts.peaks.shape[1] * ends.peaks.shape[1], 1))
    nothing = np.zeros(0, dtype=np.intp)
    found = [(nothing, nothing, nothing)]
    for first in range(0, len(pairs), step):
        block = slice(first, first + step)
        limb, start, end = _likely(starts[block], ends[block], sectors[block], sample_share)
        found.append((first + limb, start, end))
    limb, start, end = (np.concatenate(column) for column in zip(*found, strict=True))
    return limb, start, end


def _ends(joints: NDArray[np.intp], edges: NDArray[np.intp], points: NDArray[np.float32]) -> _Ends:
    """Returns the peaks of some joints; those of joint j are `edges[j]` to `edges[j + 1]`."""
    firsts = edges[joints][:, None]
    counts = edges[joints + 1][:, None] - firsts
    places = np.arange(counts.max(initial=0))
    valid = places < counts
    peaks = np.where(valid, firsts + places, 0)
    return _Ends(peaks, valid, points[0].take(peaks), points[1].take(peaks))


def _likely(
    starts: _Ends, ends: _Ends, table: NDArray[np.uint8], share: float
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Returns the pairs that pass: limb, start and end, each (M,)."""
    shape = (*starts.peaks.shape, ends.peaks.shape[1])
    ax, ay, bx, by = (
        np.full(shape, values, dtype=np.float32)  # operations on one line are faster than on many short ones
        for values in (starts.x[:, :, None], starts.y[:, :, None], ends.x[:, None], ends.y[:, None])
    )
    dx, dy = bx - ax, by - ay
    reach, down = np.abs(dx), np.abs(dy)
    sector = sector_of(dx, dy, reach > down)
    np.maximum(reach, down, out=reach)
    inverse = np.multiply(dx, dx, out=down)  # 1 / length
    inverse += dy * dy
    np.sqrt(np.maximum(inverse, 4 * END_INSET**2, out=inverse), out=inverse)
    np.divide(np.float32(1), inverse, out=inverse)

    cells = table.ravel()
    base = np.arange(shape[0], dtype=np.int32)[:, None, None] * np.int32(table[0].size)

    def missed(x: NDArray[np.float32], y: NDArray[np.float32]) -> NDArray[np.int8]:
        place = y.astype(np.int32)
        place *= np.int32(table.shape[2])
        place += x.astype(np.int32)
        place += base
        bits = cells.take(place)
        bits &= sector
        none: NDArray[np.bool_] = bits == 0
        return none.view(np.int8)

    # Counts of samples are odd: there is a middle.
    misses = missed((ax + bx) * np.float32(0.5), (ay + by) * np.float32(0.5))
    # The first and the last sample, and those a quarter from each end, where lines with the maximum count have some.
    longest = (reach > (SAMPLES[1] // 2) ** 2 / 10 + ROUNDING).view(np.int8)
    for fraction in (0, 0.25):
        part = inverse * np.float32(END_INSET * (1 - 2 * fraction))
        part += np.float32(fraction)
        sx, sy = part * dx, np.multiply(part, dy, out=part)
        for missing in (missed(ax + sx, ay + sy), missed(bx - sx, by - sy)):
            misses += missing & longest if fraction else missing
    for least in _reaches(share):
        misses -= (reach > least - ROUNDING).view(np.int8)
    kept = (misses < 0) | (reach < 1)
    if not (starts.valid.all() and ends.valid.all()):
        kept &= starts.valid[:, :, None] & ends.valid[:, None, :]
    row, b = np.divmod(np.flatnonzero(kept), shape[2])
    limb, a = np.divmod(row, shape[1])
    return limb, starts.peaks[limb, a], ends.peaks[limb, b]


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
