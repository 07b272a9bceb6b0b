"""Confidence maps: one per joint, a bump where the joint is. Rendering them, and reading them back.

Positions are in field cells, (x, y), integers at the centres of cells. Read back from a Gaussian, the
argmax is within half a cell of the truth on each axis, the quarter offset within a quarter, and the
parabola through the logarithms of three cells within 0.05, for it is the Gaussian's own logarithm.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cairn.geometry import Size

GAUSSIAN_CUT = math.exp(-4.6052)
"""Below this a Gaussian is 0: OpenPose's released training stops at exponent 4.6052."""

Refinement = Literal["log-parabola", "quarter", "none"]


@dataclass(frozen=True, eq=False)
class Peaks:
    """Local maxima of the maps of one picture, in the order of their joints.

    joints     (N,) which joint's map
    positions  (N, 2) float32, field cells
    scores     (N,) float32 in (0, 1], the map's value at the refined position
    """

    joints: NDArray[np.intp]
    positions: NDArray[np.float32]
    scores: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.joints)


def render_gaussians(keypoints: NDArray, size: Size, sigma: float) -> NDArray[np.float32]:
    """keypoints (P, K, 2) in field cells, NaN where missing -> (K, h, w), from 0 to 1.

    exp(-d²/2σ²) at every cell, σ in cells, 0 below `GAUSSIAN_CUT`; the maximum over people. OpenPose's
    paper (TPAMI section 3.2) writes exp(-d²/σ²): its σ is √2 of this one, which is the released code's
    (7 pixels at stride 8: 0.875 cells).
    """
    height, width = size
    points = np.asarray(keypoints, dtype=np.float32)
    with np.errstate(over="ignore"):
        xs = np.exp(-((np.arange(width, dtype=np.float32) - points[..., 0:1]) ** 2) / (2 * sigma**2))  # (P, K, w)
        ys = np.exp(-((np.arange(height, dtype=np.float32) - points[..., 1:2]) ** 2) / (2 * sigma**2))  # (P, K, h)
    xs[np.isnan(xs)] = 0
    ys[np.isnan(ys)] = 0
    maps = np.zeros((points.shape[1], height, width), dtype=np.float32)
    bump = np.empty_like(maps)
    for x, y in zip(xs, ys, strict=True):  # a person at a time: the buffers stay in the cache
        np.multiply(y[:, :, None], x[:, None, :], out=bump)
        np.maximum(maps, bump, out=maps)
    maps[maps < GAUSSIAN_CUT] = 0
    return maps


def find_peaks(heatmaps: NDArray, threshold: float, most: int | None = None) -> Peaks:
    """heatmaps (K, h, w) -> every cell above `threshold` (and 0) that none of its eight neighbours reaches.

    Of neighbours that are exactly equal the first stands for all. Positions and scores are those of the
    log-parabola. With `most`, only that many of a joint's peaks are kept, the highest. NaN is no peak.
    """
    count, height, width = heatmaps.shape
    step = width + 2
    padded = np.full((count, height + 2, step), -np.inf, dtype=np.float32)
    np.fmax(heatmaps, -np.inf, out=padded[:, 1:-1, 1:-1], casting="same_kind")  # a copy in which NaN is -inf
    flat = padded.ravel()
    # Maxima of three in a row, then of three such: all channels are one long line, kept apart by the padding.
    box = np.maximum(flat[:-2], flat[2:])
    np.maximum(box, flat[1:-1], out=box)
    box = np.maximum(np.maximum(box[: -2 * step], box[2 * step :]), box[step:-step])
    middle = flat[step + 1 : -step - 1]
    cells = np.flatnonzero((middle == box) & (middle > max(threshold, 0.0))) + step + 1
    earlier = flat[cells[:, None] + np.array([-step - 1, -step, -step + 1, -1])]
    cells = cells[(earlier < flat[cells, None]).all(axis=1)]

    joints, place = np.divmod(cells, (height + 2) * step)
    rows, columns = np.divmod(place, step)
    dx, gain_x = _parabola(flat, cells, columns - 1, width, 1)
    dy, gain_y = _parabola(flat, cells, rows - 1, height, step)
    positions = np.stack([columns - 1 + dx, rows - 1 + dy], axis=1).astype(np.float32)
    scores = np.minimum(flat[cells] * np.exp(gain_x + gain_y), 1).astype(np.float32)
    keep = _highest(joints, scores, most) if most is not None and len(joints) > most else slice(None)
    return Peaks(joints[keep], positions[keep], scores[keep])


def argmax_keypoints(
    heatmaps: NDArray, refinement: Refinement = "log-parabola"
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """heatmaps (..., K, h, w) -> keypoints (..., K, 2) and confidence (..., K), the highest cell's value in [0, 1].

    refinement  "quarter": a quarter of a cell towards the higher neighbour on each axis, as Stacked Hourglass
                does; "log-parabola"; or "none". On the border both follow the parabola of the three last cells.

    A map without a finite number gives NaN and confidence 0.
    """
    *leading, height, width = heatmaps.shape
    maps = np.where(np.isfinite(heatmaps), heatmaps, -np.inf).astype(np.float32, copy=False).reshape(-1, height * width)
    best = maps.argmax(axis=1)
    cells = best + np.arange(len(maps)) * (height * width)
    rows, columns = np.divmod(best, width)
    keypoints = np.stack([columns, rows], axis=1).astype(np.float32)
    flat = maps.ravel()
    if refinement != "none":
        for axis, (places, length, step) in enumerate(((columns, width, 1), (rows, height, width))):
            if refinement == "quarter":
                keypoints[:, axis] += _quarter(flat, cells, places, length, step)
            else:
                keypoints[:, axis] += _parabola(flat, cells, places, length, step)[0]
    confidence = flat[cells]
    keypoints[np.isneginf(confidence)] = np.nan
    return keypoints.reshape(*leading, 2), np.clip(confidence, 0, 1).reshape(leading)


def soft_argmax(heatmaps: NDArray, temperature: float = 1.0) -> NDArray[np.float32]:
    """heatmaps (..., h, w) -> (..., 2): the mean position under softmax(heatmaps / temperature)."""
    *leading, height, width = heatmaps.shape
    logits = heatmaps.reshape(*leading, height * width).astype(np.float64) / temperature
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    weights = (weights / weights.sum(axis=-1, keepdims=True)).reshape(heatmaps.shape)
    x, y = weights.sum(axis=-2) @ np.arange(width), weights.sum(axis=-1) @ np.arange(height)
    return np.stack([x, y], axis=-1).astype(np.float32)


def flip_heatmaps(heatmaps: NDArray, order: Sequence[int]) -> NDArray:
    """The maps (..., K, h, w) of a mirrored picture as those of the picture; `order` is `Skeleton.flip_order`."""
    return heatmaps[..., list(order), :, ::-1]


def _stencil(
    flat: NDArray, cells: NDArray, places: NDArray, length: int, step: int
) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """Three cells in a line around each cell, moved inwards on the border, and by how much: each (N,)."""
    shift = (places == 0).astype(np.intp) - (places == length - 1)
    middle = cells + shift * step
    return flat[middle - step], flat[middle], flat[middle + step], shift


def _parabola(flat: NDArray, cells: NDArray, places: NDArray, length: int, step: int) -> tuple[NDArray, NDArray]:
    """Where between -1/2 and 1/2 of each cell (N,) the log-parabola has its top, and how far above the cell.

    flat     all maps in a line; `cells` are indices into it
    places   the cells' coordinate on this axis, which has `length` cells, `step` apart
    """
    if length < 3 or not len(cells):
        return np.zeros(len(cells)), np.zeros(len(cells))
    *values, shift = _stencil(flat, cells, places, length, step)
    # Cut tails and a network's small negative values have no logarithm: they count as 1% of the peak.
    low = np.maximum(GAUSSIAN_CUT * np.abs(flat[cells]), np.finfo(np.float32).tiny)
    with np.errstate(divide="ignore", invalid="ignore"):
        before, here, after = (np.log(np.maximum(value, low)) for value in values)
        slope, curvature = (after - before) / 2, 2 * here - before - after
        top = np.clip(slope / curvature + shift, -0.5, 0.5)
        gain = slope * top - curvature * (top - shift) ** 2 / 2 + curvature * shift**2 / 2
    curved = (curvature > 0) & np.isfinite(gain)
    return np.where(curved, top, 0), np.where(curved, gain, 0)


def _quarter(flat: NDArray, cells: NDArray, places: NDArray, length: int, step: int) -> NDArray:
    """A quarter towards the higher neighbour (N,); arguments as in `_parabola`."""
    if length < 3:
        return np.zeros(len(cells))
    before, _, after, shift = _stencil(flat, cells, places, length, step)
    with np.errstate(invalid="ignore"):
        rise = np.where(shift == 0, after - before, _parabola(flat, cells, places, length, step)[0])
    return 0.25 * np.sign(np.nan_to_num(rise))


def _highest(joints: NDArray, scores: NDArray, most: int) -> NDArray:
    """Indices, ascending, of each joint's `most` highest peaks; `joints` is ascending."""
    order = np.lexsort((-scores, joints))
    rank = np.arange(len(joints)) - np.searchsorted(joints, joints)
    return np.sort(order[rank < most])
