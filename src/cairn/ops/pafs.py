"""Part affinity fields (PAFs): position and direction of each limb (OpenPose, TPAMI section 3.3).

Channels 2c and 2c + 1 are the x and y components of limb c.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.ops.sectors import sector_of
from cairn.structures.geometry import Size

SAMPLES = (5, 25)
"""Minimum and maximum number of samples of a line, from OpenPose's released code."""

END_INSET = 0.25
"""Cells between a joint and the first sample of its limb. Two cells of a PAF meet at half a cell."""

PROBES = ((0.375, 0.625), (0.125, 0.875), (0.0625, 0.3125, 0.6875, 0.9375))
"""Which samples of lines are tested first, and which then, as fractions of the length."""

PROBES_BY_TABLE = ((0.125, 0.375, 0.625, 0.875), (0.0625, 0.3125, 0.6875, 0.9375))
"""The same by the table, where a sample takes less than the steps around it."""

DISTINCT = 16
"""Number of samples from which on `PROBES` are all different ones, because these are multiples of a sixteenth."""

FEW, FEW_BY_TABLE = 300, 1500
"""Numbers of lines below which it is faster to test all samples at once: by their values, and by the table."""

BLOCK = 1 << 13
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
    cells, place = np.unique((limb[segment] * height + y) * breadth + x, return_inverse=True)
    number = np.bincount(place)
    on_limb, at = np.divmod(cells, height * breadth)
    fields = np.zeros((len(pairs), 2, height * breadth), dtype=np.float32)
    for axis in range(2):
        fields[on_limb, axis, at] = np.bincount(place, units[segment, axis]) / number
    return fields.reshape(2 * len(pairs), height, breadth)


def line_integral(
    pafs: NDArray[Any],
    limb: NDArray[Any],
    starts: NDArray[Any],
    ends: NDArray[Any],
    sample_threshold: float = -math.inf,
    sample_share: float = 0.0,
    sectors: NDArray[np.uint8] | None = None,
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
        sectors: Result of `sectors_above` for this threshold, where it is there already. The scores are the same.

    Returns:
        (M,).
    """
    pafs = np.ascontiguousarray(pafs, dtype=np.float32)
    scores = np.zeros(len(limb), dtype=np.float32)
    with np.errstate(invalid="ignore", over="ignore"):
        for first in range(0, len(limb), BLOCK):
            rows = slice(first, first + BLOCK)
            lines = _lines(starts[rows].T, ends[rows].T, pafs.shape[1:])
            scores[rows] = _flows(pafs, sectors, limb[rows], lines, sample_threshold, sample_share)
    return scores


def _lines(start: NDArray[Any], end: NDArray[Any], size: Size) -> NDArray[np.float32]:
    """Returns lines (7, M) between points (2, M): x, y of the first sample, of the step and of the direction, count."""
    limits = np.array([[size[1] - 1], [size[0] - 1]], dtype=np.float32)
    start, end = (np.minimum(np.maximum(points, 0, dtype=np.float32), limits) for points in (start, end))
    lines = np.empty((7, start.shape[1]), dtype=np.float32)
    first, steps, units, counts = lines[0:2], lines[2:4], lines[4:6], lines[6]
    way = end - start
    dx, dy = way
    lengths = np.maximum(np.sqrt(dx * dx + dy * dy), 1e-6)  # two joints may peak at one point: no direction, score 0
    np.divide(way, lengths, out=units)
    np.multiply(np.maximum(np.abs(dx), np.abs(dy)), 10, out=counts)
    np.floor(np.sqrt(counts, out=counts), out=counts)
    counts *= 2
    counts += 1
    np.minimum(np.maximum(counts, SAMPLES[0], out=counts), SAMPLES[1], out=counts)
    inset = np.minimum(lengths / 2, END_INSET)
    np.multiply(units, inset, out=first)
    first += start
    lengths -= 2 * inset
    lengths /= counts - 1
    np.multiply(units, lengths, out=steps)
    return lines


def _flows(
    pafs: NDArray[np.float32],
    sectors: NDArray[np.uint8] | None,
    limb: NDArray[Any],
    lines: NDArray[np.float32],
    sample_threshold: float,
    sample_share: float,
) -> NDArray[np.float32]:
    """Returns `line_integral` of lines (7, M)."""
    scores = np.zeros(len(limb), dtype=np.float32)
    pairs = np.arange(len(limb))
    missed = np.zeros(len(limb), dtype=np.uint8)  # by the probes before

    def keep(hits: NDArray[np.bool_], every: bool = False) -> None:
        nonlocal lines, limb, pairs, missed
        counts = lines[-1]
        misses = (~hits).view(np.uint8).sum(axis=0, dtype=np.uint8)
        if not every:
            misses += missed * (counts >= DISTINCT)
        likely = np.flatnonzero(counts - misses > sample_share * counts)
        lines, limb, pairs = lines.take(likely, axis=1), limb.take(likely), pairs.take(likely)
        missed = misses.take(likely)

    # Most candidates are wrong, and a few samples reject them; by the table, all samples reject most others.
    for fractions in PROBES if sectors is None else PROBES_BY_TABLE:
        if len(pairs) > (FEW if sectors is None else FEW_BY_TABLE):
            place = np.floor(lines[-1] * np.array(fractions, dtype=np.float32)[:, None])
            if sectors is None:
                keep(_sample(pafs, limb, lines, place) > sample_threshold)
            else:
                keep(_may_exceed(sectors, limb, lines, place))
    if sectors is not None:
        place = np.arange(SAMPLES[1], dtype=np.float32)[:, None]
        keep(_may_exceed(sectors, limb, lines, place) | (place >= lines[-1]), every=True)
    if not len(pairs):
        return scores

    counts = lines[-1]
    samples = counts.astype(np.intp)
    firsts = np.cumsum(samples) - samples
    place = np.arange(samples.sum(), dtype=np.float32)
    place -= np.repeat(firsts.astype(np.float32), samples)
    flow = _sample(pafs, np.repeat(limb, samples), np.repeat(lines, samples, axis=1), place)
    above = flow > sample_threshold
    hits = np.add.reduceat(above, firsts, dtype=np.float32)
    sums = np.add.reduceat(flow * above, firsts)
    if not np.isfinite(sums).all():  # 0 times an infinite sample is not 0
        sums = np.add.reduceat(np.where(above, flow, np.float32(0)), firsts)
    scores[pairs] = np.where(hits > sample_share * counts, sums / np.maximum(hits, 1), 0)
    return scores


def _may_exceed(
    sectors: NDArray[np.uint8], limb: NDArray[Any], lines: NDArray[np.float32], place: NDArray[np.float32]
) -> NDArray[np.bool_]:
    """Returns whether samples of lines (S, M) may exceed the threshold; `place` (S, 1) or (S, M) is their index."""
    _, height, width = sectors.shape
    x, y, step_x, step_y, ux, uy, _ = lines
    column, row = place * step_x, place * step_y
    column += x
    row += y
    cells = row.astype(np.int32)
    cells *= np.int32(width)
    cells += column.astype(np.int32)
    cells += (limb * (height * width)).astype(np.int32)
    bits = sectors.ravel().take(cells, mode="wrap")  # a line may have fewer samples: the others are anywhere
    bits &= sector_of(ux, uy, np.abs(ux) > np.abs(uy))
    may: NDArray[np.bool_] = bits != 0
    return may


def _sample(
    pafs: NDArray[np.float32], limb: NDArray[Any], lines: NDArray[np.float32], place: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Returns PAF · direction at samples of lines (S, M), bilinear; `place` is the index of each sample."""
    height, width = pafs.shape[1:]
    x, y, step_x, step_y, ux, uy, _ = lines
    fx, fy = place * step_x, place * step_y
    fx += x
    fy += y
    # The cell left and above. Rounding may have left the map, by less than a cell.
    column = np.trunc(np.minimum(fx, np.float32(max(width - 2, 0))))
    row = np.trunc(np.minimum(fy, np.float32(max(height - 2, 0))))
    fx -= column
    fy -= row
    row *= width
    row += column
    cells = row.astype(np.intp)
    cells += limb * (2 * height * width)
    flat = pafs.ravel()

    def flow(offset: int) -> NDArray[np.float32]:
        product: NDArray[np.float32] = flat[offset:].take(cells)
        product *= ux
        other = flat[offset + height * width :].take(cells)
        other *= uy
        product += other
        return product

    right, below = int(width > 1), width * int(height > 1)
    upper, lower = flow(0), flow(below)
    for left, offset in ((upper, right), (lower, below + right)):
        slope = flow(offset)
        slope -= left
        slope *= fx
        left += slope
    lower -= upper
    lower *= fy
    upper += lower
    return upper


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
