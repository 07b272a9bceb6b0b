"""Part affinity fields: where each limb is, and which way it points (OpenPose, TPAMI section 3.3).

Channels 2c and 2c + 1 are the x and y components of limb c.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cairn.geometry import Size


def render_pafs(keypoints: NDArray, limbs: Sequence[tuple[int, int]], size: Size, width: float) -> NDArray[np.float32]:
    """keypoints (P, K, 2) in field cells, NaN where missing -> (2L, h, w).

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
    vectors = np.stack([np.bincount(cell, units[segment, axis], count) for axis in range(2)])
    vectors = vectors / np.maximum(np.bincount(cell, minlength=count), 1)
    fields = vectors.reshape(2, len(pairs), height, breadth).swapaxes(0, 1)
    return fields.reshape(2 * len(pairs), height, breadth).astype(np.float32)


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
