"""Candidate limbs: the pairs of peaks whose line integral can be above 0, found without the integral.

In a crowd nearly all pairs of peaks are wrong, and the line integral reads up to 25 samples of each. Here five samples
are looked up in a table of bits instead: whether the PAF around a cell, seen from one of eight sectors of directions,
can exceed the threshold at all. The test is exact: no pair that `line_integral` would accept is ever dropped.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.ops.pafs import END_INSET, SAMPLES

BLOCK = 1 << 15
"""Pairs tested at a time, so that their arrays stay in the cache and memory is bounded."""

ROUNDING = 1e-4
"""By this much the threshold is lowered: the positions of samples differ from those of the integral by rounding."""

# A sector is (dx > 0) + 2·(dy > 0) + 4·(|dx| > |dy|), and each of its two edges is one of eight directions. These are
# the two sectors of each direction, one bit each: right, left, down, up, and the diagonals between them.
RIGHT, LEFT, DOWN, UP = 0xA0, 0x50, 0x0C, 0x03
DOWN_RIGHT, UP_LEFT, UP_RIGHT, DOWN_LEFT = 0x88, 0x11, 0x22, 0x44


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
    pafs: NDArray[np.float32],
    sample_threshold: float,
    sample_share: float,
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Returns all pairs of peaks with a line integral above 0, all that are nearer than a cell, and few others.

    Args:
        joints: (N,) joint of each peak, ascending.
        positions: (N, 2) float32, (x, y) in cells.
        limbs: L pairs of joint indices.
        pafs: (2L, h, w) float32.
        sample_threshold: See `line_integral`.
        sample_share: See `line_integral`.

    Returns:
        Limb, start and end of each pair, each (M,).
    """
    sides = np.asarray(limbs, dtype=np.intp).reshape(-1, 2).T
    edges = np.searchsorted(joints, np.arange(int(sides.max(initial=-1)) + 2))
    most = int(np.diff(edges).max(initial=0))
    table = sectors_above(pafs, sample_threshold)
    corners = _corners(positions, table.shape[1:])
    found = []
    step = max(1, BLOCK // max(most * most, 1))
    for first in range(0, len(limbs), step):
        block = slice(first, first + step)
        starts, ends = (_ends(side[block], edges, positions, table[block], corners) for side in sides)
        if starts.peaks.size and ends.peaks.size:
            limb, a, b = _likely(starts, ends, table[block], sample_share)
            found.append((first + limb, starts.peaks[limb, a], ends.peaks[limb, b]))
    limb, start, end = (np.concatenate([np.zeros(0, dtype=np.intp), *column]) for column in zip(*found, strict=True))
    return limb, start, end


def sectors_above(pafs: NDArray[np.float32], threshold: float) -> NDArray[np.uint8]:
    """Returns (L, h, w): the sectors, one bit each, with a direction d for which PAF · d can exceed the threshold.

    A cell stands for all samples between it and its neighbors right and below. Of the vectors whose product with some
    direction of a sector of 45° exceeds t > 0, each has a product with one of its two edges above t·cos 22.5°.
    """
    limit = min(threshold, threshold * math.cos(math.pi / 8)) - ROUNDING
    x, y = np.ascontiguousarray(pafs[0::2]), np.ascontiguousarray(pafs[1::2])
    table = np.zeros(x.shape, dtype=np.uint8)
    above = np.empty(x.shape, dtype=bool)
    bits = above.view(np.uint8)
    diagonal = limit * math.sqrt(2)
    for products, least, positive, negative in (
        (x, limit, RIGHT, LEFT),
        (y, limit, DOWN, UP),
        (x + y, diagonal, DOWN_RIGHT, UP_LEFT),
        (x - y, diagonal, UP_RIGHT, DOWN_LEFT),
    ):
        for compare, value, mask in ((np.greater, least, positive), (np.less, -least, negative)):
            compare(products, value, out=above)
            bits *= np.uint8(mask)
            table |= bits
    table[:, :, :-1] |= table[:, :, 1:]
    table[:, :-1] |= table[:, 1:]
    return table


def _corners(positions: NDArray[Any], size: tuple[int, ...]) -> NDArray[np.intp]:
    """Returns the cells (4, N), as flat indices, that hold the first sample of any line from each position (N, 2)."""
    height, width = size
    limits = np.array([[width - 1], [height - 1]])
    low, high = (np.clip(positions.T + shift, 0, limits).astype(np.intp) for shift in (-END_INSET, END_INSET))
    columns, rows = np.stack([low[0], high[0]]), np.stack([low[1], high[1]])
    return (rows[:, None] * width + columns).reshape(4, -1)


def _ends(
    joints: NDArray[np.intp],
    edges: NDArray[np.intp],
    positions: NDArray[Any],
    table: NDArray[np.uint8],
    corners: NDArray[np.intp],
) -> _Ends:
    """Returns the peaks of some joints; those of joint j are `edges[j]` to `edges[j + 1]`."""
    _, height, width = table.shape
    counts = edges[joints + 1] - edges[joints]
    places = np.arange(counts.max(initial=0))
    valid = places < counts[:, None]
    peaks = np.where(valid, edges[joints][:, None] + places, 0)
    cells = corners[:, peaks] + np.arange(len(joints))[:, None] * (height * width)
    sectors = np.bitwise_or.reduce(table.ravel().take(cells), axis=0)
    x, y = positions[:, 0].take(peaks), positions[:, 1].take(peaks)
    return _Ends(peaks, valid, np.clip(x, 0, width - 1), np.clip(y, 0, height - 1), sectors)


def _likely(starts: _Ends, ends: _Ends, table: NDArray[np.uint8], share: float) -> tuple[NDArray[np.intp], ...]:
    """Returns the pairs that pass: limb, place among its starts and place among its ends, each (M,)."""
    shape = (*starts.peaks.shape, ends.peaks.shape[1])
    ax, ay, bx, by = (
        np.ascontiguousarray(np.broadcast_to(np.expand_dims(values, axis), shape))  # operations run over long rows
        for values, axis in ((starts.x, 2), (starts.y, 2), (ends.x, 1), (ends.y, 1))
    )
    dx, dy = bx - ax, by - ay
    across, down = np.abs(dx), np.abs(dy)
    sector = _either(dx > 0, 0x55) & _either(dy > 0, 0x33) & _either(across > down, 0x0F)
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


def _either(condition: NDArray[np.bool_], otherwise: int) -> NDArray[np.uint8]:
    """Returns the bits `otherwise` where a condition is false, and all others where it is true."""
    bits = condition.view(np.uint8)
    np.negative(bits, out=bits)
    bits ^= np.uint8(otherwise)
    return bits


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
