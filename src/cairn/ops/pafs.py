"""Part affinity fields (PAFs): position and direction of each limb (OpenPose, TPAMI section 3.3).

Channels 2c and 2c + 1 are the x and y components of limb c.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.structures.geometry import Size

SAMPLES = (5, 25)
"""Minimum and maximum number of samples of a line, from OpenPose's released code."""

END_INSET = 0.25
"""Cells between a joint and the first sample of its limb. Two cells of a PAF meet at half a cell."""

PROBES = (0.5, 0.25, 0.75)
"""Which samples of a line are tested first, as fractions of its length."""

MANY = 2000
"""Number of pairs above which it is faster to test first where a PAF is non-zero at all."""

BLOCK = 1 << 14
"""Pairs scored at a time, so that their arrays stay in the cache and memory is bounded."""


def render_pafs(
    keypoints: NDArray[Any], limbs: Sequence[tuple[int, int]], size: Size, width: float
) -> NDArray[np.float32]:
    """Renders target part affinity fields.

    A cell p on a limb from x1 to x2, that is 0 <= v·(p - x1) <= |x2 - x1| and |v⊥·(p - x1)| <= width, has the
    limb's unit vector v; where limbs of several instances overlap, their average. Limbs of length 0 and limbs with a
    missing end are ignored.

    Args:
        keypoints: (P, K, 2), (x, y) in cells; NaN where missing.
        limbs: L pairs of joint indices.
        size: (h, w) of the PAFs.
        width: The paper's σ_l, half the width of a limb, in cells.

    Returns:
        (2L, h, w).
    """
    points = np.asarray(keypoints, dtype=np.float64)
    pairs = np.asarray(limbs, dtype=np.intp).reshape(-1, 2)
    starts, ends = points[:, pairs[:, 0]], points[:, pairs[:, 1]]  # (P, L, 2)
    lengths = np.hypot(*np.moveaxis(ends - starts, -1, 0))
    drawn = np.isfinite(lengths) & (lengths > 0)
    limb = np.nonzero(drawn)[1]  # (S,): one segment per limb of each instance
    starts, ends, lengths = starts[drawn], ends[drawn], lengths[drawn]
    units = (ends - starts) / lengths[:, None]

    segment, x, y = _cells_near(starts, ends, width * np.abs(units[:, ::-1]), size)
    dx, dy = x - starts[segment, 0], y - starts[segment, 1]
    ux, uy = units[segment, 0], units[segment, 1]
    along, across = dx * ux + dy * uy, dx * uy - dy * ux
    slack = 1e-9  # cells exactly on the edge are in, independent of rounding
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
    pafs: NDArray[Any],
    limb: NDArray[Any],
    starts: NDArray[Any],
    ends: NDArray[Any],
    sample_threshold: float = -math.inf,
    sample_share: float = 0.0,
) -> NDArray[np.float32]:
    """Returns the score of M candidate limbs: the line integral of the PAF (TPAMI equation 11), at most 1.

    The score is the mean of PAF · direction over samples of the straight line. With a threshold it is the mean of
    the samples above it, where their fraction exceeds `sample_share`, and 0 elsewhere.

    The PAFs are sampled bilinearly at their own resolution, not upsampled as in the release, at as many points as
    the release takes at stride 8: √(40·max(|dx|, |dy|)), made odd, from 5 to 25. The first and the last sample are
    `END_INSET` inside the ends, since behind a joint the cells are already 0.

    Args:
        pafs: (2L, h, w).
        limb: (M,) index of the limb of each candidate.
        starts: (M, 2) first end, in cells.
        ends: (M, 2) second end, in cells.
        sample_threshold: Minimum PAF · direction of a sample.
        sample_share: Fraction of the samples that must exceed the threshold.

    Returns:
        (M,).
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


def _lines(start: NDArray[Any], end: NDArray[Any], size: Size) -> NDArray[np.float32]:
    """Returns lines (7, M) between points (2, M): x, y of the first sample, of the step and of the direction, count."""
    limits = np.array([[size[1] - 1], [size[0] - 1]], dtype=np.float32)
    start, end = (np.clip(points, 0, limits, dtype=np.float32, order="C") for points in (start, end))
    (x, y), (dx, dy) = start, end - start
    lengths = np.maximum(np.sqrt(dx * dx + dy * dy), 1e-6)  # two joints may peak at one point: no direction, score 0
    ux, uy = dx / lengths, dy / lengths
    counts = 2 * np.floor(np.sqrt(10 * np.maximum(np.abs(dx), np.abs(dy)))) + 1
    counts = np.minimum(np.maximum(counts, SAMPLES[0]), SAMPLES[1])
    inset = np.minimum(END_INSET, lengths / 2)
    step = (lengths - 2 * inset) / (counts - 1)
    return np.stack([x + inset * ux, y + inset * uy, step * ux, step * uy, ux, uy, counts])


def _flows(
    pafs: NDArray[np.float32],
    strong: NDArray[np.bool_] | None,
    limb: NDArray[Any],
    lines: NDArray[np.float32],
    sample_threshold: float,
    sample_share: float,
) -> NDArray[np.float32]:
    """Returns `line_integral` of lines (7, M); `strong` is the result of `_strong`."""
    scores = np.zeros(len(limb), dtype=np.float32)
    pairs = np.arange(len(limb))

    def weak(table: NDArray[np.bool_], place: NDArray[np.float32]) -> NDArray[np.bool_]:
        column, row, *_ = _corner(lines, place, pafs.shape[1:])
        below: NDArray[np.bool_] = ~table.take((row * pafs.shape[2] + column).astype(np.intp) + limb * table[0].size)
        return below

    def slow(place: NDArray[np.float32]) -> NDArray[np.bool_]:
        return ~(_sample(pafs, limb, lines, place) > sample_threshold)

    # Most candidates are wrong, and a few samples reject them: first those where the PAF is too short for the
    # threshold, then by PAF · direction.
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


def _strong(pafs: NDArray[np.float32], threshold: float) -> NDArray[np.bool_]:
    """Returns (L, h, w): whether a sample between a cell and its neighbors right and below can exceed the threshold."""
    x, y = pafs[0::2], pafs[1::2]
    strong: NDArray[np.bool_] = x * x + y * y > threshold * abs(threshold)
    strong[:, :, :-1] |= strong[:, :, 1:]
    strong[:, :-1] |= strong[:, 1:]
    return strong


def _corner(
    lines: NDArray[np.float32], place: NDArray[np.float32], size: Size
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Returns column and row of the cell left of and above one sample of each line, and the offset from it."""
    x, y = lines[0] + place * lines[2], lines[1] + place * lines[3]
    column = np.floor(np.minimum(np.maximum(x, 0), max(size[1] - 2, 0)))  # rounding may have left the map
    row = np.floor(np.minimum(np.maximum(y, 0), max(size[0] - 2, 0)))
    return column, row, x - column, y - row


def _sample(
    pafs: NDArray[np.float32], limb: NDArray[Any], lines: NDArray[np.float32], place: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Returns PAF · direction at one sample of each line (S,), bilinear; `place` (S,) is the index of the sample."""
    height, width = pafs.shape[1:]
    column, row, fx, fy = _corner(lines, place, (height, width))
    right, below, other = int(width > 1), width * int(height > 1), height * width
    cell = (row * width + column).astype(np.intp) + limb * (2 * height * width)
    flat, (ux, uy) = pafs.ravel(), lines[4:6]

    def flow(at: NDArray[np.intp]) -> NDArray[np.float32]:
        product: NDArray[np.float32] = flat.take(at) * ux + flat.take(at + other) * uy
        return product

    upper, lower = flow(cell), flow(cell + below)
    upper += fx * (flow(cell + right) - upper)
    lower += fx * (flow(cell + (below + right)) - lower)
    return upper + fy * (lower - upper)


def _cells_near(
    starts: NDArray[np.float64], ends: NDArray[np.float64], margin: NDArray[np.float64], size: Size
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Returns all cells in the bounding boxes of segments (S, 2): index of the segment, x and y, each (cells,)."""
    limits = np.array(size[::-1])
    low = np.clip(np.floor(np.minimum(starts, ends) - margin), 0, limits).astype(np.intp)
    high = np.clip(np.ceil(np.maximum(starts, ends) + margin) + 1, 0, limits).astype(np.intp)
    across, down = (high - low).T
    areas = across * down
    segment = np.repeat(np.arange(len(starts)), areas)
    place = np.arange(len(segment)) - np.repeat(np.cumsum(areas) - areas, areas)
    row, column = np.divmod(place, across[segment])
    return segment, low[segment, 0] + column, low[segment, 1] + row
