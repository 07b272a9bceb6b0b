"""Part affinity fields: where each limb is, and which way it points (OpenPose, TPAMI section 3.3).

Channels 2c and 2c + 1 are the x and y components of limb c.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from cairn.structures.geometry import Size

SAMPLES = (5, 25)
"""Least and most samples of a line: OpenPose's released code."""

END_INSET = 0.25
"""Cells between a joint and the first sample of its limb. Half a cell is where two cells of a field meet."""

PROBES = (0.5, 0.25, 0.75)
"""Which samples of a line are looked at first."""

MANY = 2000
"""Pairs from which on it pays to look first where a field is at all."""

BLOCK = 1 << 14
"""Pairs that are scored at a time: their arrays stay in the cache, and memory is bounded."""


def render_pafs(keypoints: NDArray, limbs: Sequence[tuple[int, int]], size: Size, width: float) -> NDArray[np.float32]:
    """Keypoints (P, K, 2) in field cells, NaN where missing -> (2L, h, w).

    A cell p on a limb from x1 to x2, that is 0 <= v·(p - x1) <= |x2 - x1| and |v⊥·(p - x1)| <= width,
    holds the limb's unit vector v; where limbs of several people overlap, their average. `width` is the
    paper's σ_l, half of the limb's breadth, in cells. Limbs without length or without an end give nothing.
    """
    points = np.asarray(keypoints, dtype=np.float64)
    pairs = np.asarray(limbs, dtype=np.intp).reshape(-1, 2)
    starts, ends = points[:, pairs[:, 0]], points[:, pairs[:, 1]]  # (P, L, 2)
    lengths = np.hypot(*np.moveaxis(ends - starts, -1, 0))
    drawn = np.isfinite(lengths) & (lengths > 0)
    limb = np.nonzero(drawn)[1]  # (S,): one entry for each limb of each person
    starts, ends, lengths = starts[drawn], ends[drawn], lengths[drawn]
    units = (ends - starts) / lengths[:, None]

    segment, x, y = _cells_near(starts, ends, width * np.abs(units[:, ::-1]), size)
    dx, dy = x - starts[segment, 0], y - starts[segment, 1]
    ux, uy = units[segment, 0], units[segment, 1]
    along, across = dx * ux + dy * uy, dx * uy - dy * ux
    slack = 1e-9  # so that cells exactly on the edge are in, whatever the rounding
    on = (along >= -slack) & (along <= lengths[segment] + slack) & (np.abs(across) <= width + slack)

    height, breadth = size
    segment, x, y = segment[on], x[on], y[on]
    cell = (limb[segment] * height + y) * breadth + x
    count = len(pairs) * height * breadth
    sums = np.stack([np.bincount(cell, units[segment, axis], count) for axis in range(2)])
    vectors = sums / np.maximum(np.bincount(cell, minlength=count), 1)
    fields = vectors.reshape(2, len(pairs), height, breadth).swapaxes(0, 1)
    return fields.reshape(2 * len(pairs), height, breadth).astype(np.float32)


def line_integral(
    pafs: NDArray,
    limb: NDArray,
    starts: NDArray,
    ends: NDArray,
    sample_threshold: float = -math.inf,
    sample_share: float = 0.0,
) -> NDArray[np.float32]:
    """How well the fields (2L, h, w) flow from each of M points to each of M others -> (M,), 1 at best.

    limb         (M,) which limb's field
    starts, ends (M, 2) field cells

    The mean of field · direction over samples of the straight line (TPAMI equation 11). With a threshold,
    the mean of those samples above it, where their share exceeds `sample_share`, and 0 elsewhere.

    The fields are sampled bilinearly as they are, not enlarged as the release does, at as many points as
    it takes at stride 8: √(40·max(|dx|, |dy|)), made odd, from 5 to 25. The first and the last lie
    `END_INSET` within the ends, since at a joint itself the cells behind it are already 0.
    """
    pafs = np.ascontiguousarray(pafs, dtype=np.float32)
    scores = np.zeros(len(limb), dtype=np.float32)
    with np.errstate(invalid="ignore", over="ignore"):
        strong = _strong(pafs, sample_threshold) if len(limb) > MANY else None
        for first in range(0, len(limb), BLOCK):
            rows = slice(first, first + BLOCK)
            lines = _lines(starts[rows].T, ends[rows].T, pafs.shape[1:])
            scores[rows] = _flows(pafs, strong, limb[rows], lines, sample_threshold, sample_share)
    return scores


def _lines(start: NDArray, end: NDArray, size: Size) -> NDArray[np.float32]:
    """(2, M) twice -> (7, M): the first sample's x and y, the step's, the direction's, and how many samples."""
    limits = np.array([[size[1] - 1], [size[0] - 1]], dtype=np.float32)
    start, end = (np.clip(points, 0, limits, dtype=np.float32, order="C") for points in (start, end))
    (x, y), (dx, dy) = start, end - start
    lengths = np.maximum(np.sqrt(dx * dx + dy * dy), 1e-6)  # two joints may peak at one point: no direction, no flow
    ux, uy = dx / lengths, dy / lengths
    counts = 2 * np.floor(np.sqrt(10 * np.maximum(np.abs(dx), np.abs(dy)))) + 1
    counts = np.minimum(np.maximum(counts, SAMPLES[0]), SAMPLES[1])
    inset = np.minimum(END_INSET, lengths / 2)
    step = (lengths - 2 * inset) / (counts - 1)
    return np.stack([x + inset * ux, y + inset * uy, step * ux, step * uy, ux, uy, counts])


def _flows(
    pafs: NDArray, strong: NDArray | None, limb: NDArray, lines: NDArray, sample_threshold: float, sample_share: float
) -> NDArray:
    """`line_integral` of some lines (7, M); `strong` as `_strong` gives it."""
    scores = np.zeros(len(limb), dtype=np.float32)
    pairs = np.arange(len(limb))

    def weak(table: NDArray, place: NDArray) -> NDArray:
        column, row, *_ = _corner(lines, place, pafs.shape[1:])
        return ~table.take((row * pafs.shape[2] + column).astype(np.intp) + limb * table[0].size)

    def slow(place: NDArray) -> NDArray:
        return ~(_sample(pafs, limb, lines, place) > sample_threshold)

    # Most pairs are wrong, and few samples tell: those that have missed too often already are left out, first by
    # where there is no field at all, then by its flow.
    for missed in (slow,) if strong is None else (partial(weak, strong), slow):
        counts = lines[-1]
        misses = sum(missed(np.floor(counts * probe)).astype(np.float32) for probe in PROBES)
        likely = np.flatnonzero(counts - misses > sample_share * counts)
        lines, limb, pairs = lines.take(likely, axis=1), limb.take(likely), pairs.take(likely)
    if not len(pairs):
        return scores

    counts = lines[-1]
    samples = counts.astype(np.intp)
    firsts = np.cumsum(samples) - samples
    pair = np.repeat(np.arange(len(pairs)), samples)  # (samples,)
    place = (np.arange(len(pair)) - firsts.take(pair)).astype(np.float32)
    flow = _sample(pafs, limb.take(pair), lines.take(pair, axis=1), place)
    above = flow > sample_threshold
    hits = np.add.reduceat(above, firsts, dtype=np.float32)
    sums = np.add.reduceat(np.where(above, flow, 0), firsts)
    scores[pairs] = np.where(hits > sample_share * counts, sums / np.maximum(hits, 1), 0)
    return scores


def _strong(pafs: NDArray, threshold: float) -> NDArray[np.bool_]:
    """(L, h, w): whether a sample between a cell and the next ones, right and below, can exceed the threshold."""
    x, y = pafs[0::2], pafs[1::2]
    strong = x * x + y * y > threshold * abs(threshold)
    strong[:, :, :-1] |= strong[:, :, 1:]
    strong[:, :-1] |= strong[:, 1:]
    return strong


def _corner(lines: NDArray, place: NDArray, size: Size) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """Column and row of the cell left of and above one sample of each line, and how far (0 to 1) it lies from it."""
    x, y = lines[0] + place * lines[2], lines[1] + place * lines[3]
    column = np.floor(np.minimum(np.maximum(x, 0), max(size[1] - 2, 0)))  # rounding may have left the field
    row = np.floor(np.minimum(np.maximum(y, 0), max(size[0] - 2, 0)))
    return column, row, x - column, y - row


def _sample(pafs: NDArray, limb: NDArray, lines: NDArray, place: NDArray) -> NDArray:
    """Field · direction at one sample of each line (S,), bilinear; `place` (S,) says which sample."""
    height, width = pafs.shape[1:]
    column, row, fx, fy = _corner(lines, place, (height, width))
    right, below, other = int(width > 1), width * int(height > 1), height * width
    cell = (row * width + column).astype(np.intp) + limb * (2 * height * width)
    flat, (ux, uy) = pafs.ravel(), lines[4:6]

    def flow(at: NDArray) -> NDArray:
        return flat.take(at) * ux + flat.take(at + other) * uy

    upper, lower = flow(cell), flow(cell + below)
    upper += fx * (flow(cell + right) - upper)
    lower += fx * (flow(cell + (below + right)) - lower)
    return upper + fy * (lower - upper)


def _cells_near(starts: NDArray, ends: NDArray, margin: NDArray, size: Size) -> tuple[NDArray, NDArray, NDArray]:
    """All cells in the boxes around segments (S, 2): index of the segment, x and y, each (cells,)."""
    limits = np.array(size[::-1])
    low = np.clip(np.floor(np.minimum(starts, ends) - margin), 0, limits).astype(np.intp)
    high = np.clip(np.ceil(np.maximum(starts, ends) + margin) + 1, 0, limits).astype(np.intp)
    across, down = (high - low).T
    areas = across * down
    segment = np.repeat(np.arange(len(starts)), areas)
    place = np.arange(len(segment)) - np.repeat(np.cumsum(areas) - areas, areas)
    row, column = np.divmod(place, across[segment])
    return segment, low[segment, 0] + column, low[segment, 1] + row
