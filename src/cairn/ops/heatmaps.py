"""Heatmaps (confidence maps): one per joint, with a Gaussian at each instance of it. Encoding and decoding.

Positions are in heatmap cells, (x, y), with integers at cell centers. For a rendered Gaussian the decoded argmax is
within half a cell of the ground truth on each axis, the quarter offset within a quarter, and the parabola through
the logarithms of three cells within 0.05, since the logarithm of a Gaussian is a parabola.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cairn.structures.geometry import Size

GAUSSIAN_CUT = math.exp(-4.6052)
"""Values below this are set to 0: OpenPose's released training code stops at exponent 4.6052."""

TINY = float(np.finfo(np.float32).tiny)

Refinement = Literal["log-parabola", "quarter", "none"]
"""How a peak is refined to a fraction of a cell."""


@dataclass(frozen=True, eq=False)
class Peaks:
    """Local maxima of the heatmaps of one image, in the order of their joints.

    Attributes:
        joints: (N,) index of the joint, ascending.
        positions: (N, 2) float32, (x, y) in heatmap cells.
        scores: (N,) float32 in (0, 1], value of the heatmap at the refined position.
    """

    joints: NDArray[np.intp]
    positions: NDArray[np.float32]
    scores: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.joints)


def render_gaussians(keypoints: NDArray[Any], size: Size, sigma: float) -> NDArray[np.float32]:
    """Renders target heatmaps: exp(-d²/2σ²) at every cell, the maximum over instances, 0 below `GAUSSIAN_CUT`.

    OpenPose's paper (TPAMI equation 7) writes exp(-d²/σ²): its σ is √2 times this one, which is that of the
    released code (7 pixels at stride 8: 0.875 cells).

    Args:
        keypoints: (P, K, 2), (x, y) in heatmap cells; NaN where missing.
        size: (h, w) of the heatmaps.
        sigma: σ in cells.

    Returns:
        (K, h, w) in [0, 1].
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
    for x, y in zip(xs, ys, strict=True):  # one instance at a time: the buffers stay in the cache
        np.multiply(y[:, :, None], x[:, None, :], out=bump)
        np.maximum(maps, bump, out=maps)
    maps[maps < GAUSSIAN_CUT] = 0
    return maps


def find_peaks(heatmaps: NDArray[Any], threshold: float, max_peaks: int | None = None) -> Peaks:
    """Returns the local maxima of heatmaps: cells above a threshold and above their eight neighbors.

    The first of exactly equal neighbors represents all. Positions and scores are those of the log-parabola. NaN is
    never a peak.

    Args:
        heatmaps: (K, h, w).
        threshold: Minimum value of a peak; values up to 0 are never peaks.
        max_peaks: Maximum number of peaks per joint, the highest; None for all.
    """
    padded = _padded(heatmaps)
    step = padded.shape[2]
    flat = padded.ravel()
    # Maxima of three cells in a row, then of three such rows: all channels are one line, separated by the padding.
    box = np.maximum(flat[:-2], flat[2:])
    np.maximum(box, flat[1:-1], out=box)
    rows = np.maximum(box[: -2 * step], box[2 * step :])
    box = np.maximum(rows, box[step:-step], out=rows)
    middle = flat[step + 1 : -step - 1]
    cells = np.flatnonzero((middle == box) & (middle > max(threshold, 0.0))) + step + 1
    earlier = flat.take(cells + np.array([[-step - 1], [-step], [-step + 1], [-1]]))
    cells = cells[(earlier < flat.take(cells)).all(axis=0)]

    joints, places = _unravel(cells, padded)
    offsets, gain = _parabola(padded, cells, places)
    positions = np.ascontiguousarray((places + offsets).T, dtype=np.float32)
    scores = np.minimum(flat.take(cells) * np.exp(gain), 1).astype(np.float32)
    if max_peaks is not None and np.bincount(joints).max(initial=0) > max_peaks:
        keep = _highest(joints, scores, max_peaks)
        joints, positions, scores = joints[keep], positions[keep], scores[keep]
    return Peaks(joints, positions, scores)


def argmax_keypoints(
    heatmaps: NDArray[Any], refinement: Refinement = "log-parabola"
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Returns the highest cell of each heatmap, refined to a fraction of a cell.

    Args:
        heatmaps: (..., K, h, w).
        refinement: "quarter": a quarter of a cell toward the higher neighbor on each axis, as Stacked Hourglass
            does; "log-parabola"; or "none". On the border both follow the parabola of the last three cells.

    Returns:
        Keypoints (..., K, 2) in heatmap cells, and confidence (..., K), the value of the highest cell in [0, 1]. A
        heatmap of NaN alone gives NaN and confidence 0.
    """
    *leading, height, width = heatmaps.shape
    padded = _padded(heatmaps.reshape(math.prod(leading), height, width))
    flat = padded.reshape(len(padded), (height + 2) * (width + 2))
    cells = flat.argmax(axis=1) + np.arange(len(flat)) * flat.shape[1]
    confidence = flat.ravel()[cells]
    places = _unravel(cells, padded)[1]
    if refinement == "quarter":
        offsets = _quarter(padded, cells, places)
    else:
        offsets = _parabola(padded, cells, places)[0] if refinement == "log-parabola" else np.zeros(places.shape)
    keypoints = np.where(np.isneginf(confidence), np.nan, places + offsets).T.astype(np.float32)
    return keypoints.reshape(*leading, 2), np.clip(confidence, 0, 1).reshape(leading)


def soft_argmax(heatmaps: NDArray[Any], temperature: float = 1.0) -> NDArray[np.float32]:
    """Returns the mean position (..., 2) under softmax(heatmaps / temperature) of heatmaps (..., h, w)."""
    *leading, height, width = heatmaps.shape
    logits = heatmaps.reshape(*leading, height * width).astype(np.float64) / temperature
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    weights = (weights / weights.sum(axis=-1, keepdims=True)).reshape(heatmaps.shape)
    x, y = weights.sum(axis=-2) @ np.arange(width), weights.sum(axis=-1) @ np.arange(height)
    return np.stack([x, y], axis=-1).astype(np.float32)


def values_at(maps: NDArray[Any], points: NDArray[Any]) -> NDArray[np.float32]:
    """Returns the values of maps at points, interpolated bilinearly; beyond the border those of the border.

    Args:
        maps: (C, h, w).
        points: (..., 2), (x, y) in cells; NaN where missing.

    Returns:
        (..., C); 0 at points that are missing.
    """
    *_, height, width = maps.shape
    there = np.isfinite(points).all(axis=-1, keepdims=True)
    x, y = np.moveaxis(np.where(there, points, 0).clip(0, (width - 1, height - 1)), -1, 0)
    left, top = np.minimum(x.astype(np.intp), max(width - 2, 0)), np.minimum(y.astype(np.intp), max(height - 2, 0))
    right, bottom = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    x, y = x - left, y - top
    values = maps[:, top, left] * (1 - x) * (1 - y) + maps[:, top, right] * x * (1 - y)
    values = values + maps[:, bottom, left] * (1 - x) * y + maps[:, bottom, right] * x * y
    return np.where(there, np.moveaxis(values, 0, -1), 0).astype(np.float32)


def flip_heatmaps(heatmaps: NDArray[Any], order: Sequence[int]) -> NDArray[Any]:
    """Returns heatmaps (..., K, h, w) of a flipped image as those of the image; `order` is `Skeleton.flip_order`."""
    return heatmaps[..., list(order), :, ::-1]


def _padded(heatmaps: NDArray[Any]) -> NDArray[np.float32]:
    """Returns a copy (N, h + 2, w + 2) of maps (N, h, w) with -inf around each map and instead of NaN."""
    count, height, width = heatmaps.shape
    padded = np.empty((count, height + 2, width + 2), dtype=np.float32)
    padded[:, [0, -1]] = padded[:, :, [0, -1]] = -np.inf
    inner = padded[:, 1:-1, 1:-1]
    inner[...] = heatmaps
    if np.isnan(heatmaps.max(initial=-np.inf)):  # rarely: the test takes less than the replacement
        np.fmax(inner, np.float32(-np.inf), out=inner)
    return padded


def _unravel(cells: NDArray[np.intp], padded: NDArray[np.float32]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Returns the map (n,) and x, y in the map without padding (2, n) of flat indices (n,) into `padded`."""
    _, height, width = padded.shape
    maps, place = np.divmod(cells, height * width)
    rows, columns = np.divmod(place, width)
    return maps, np.stack([columns - 1, rows - 1])


def _stencil(
    padded: NDArray[np.float32], cells: NDArray[np.intp], places: NDArray[np.intp]
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], NDArray[np.intp]]:
    """Returns three cells in a line around each cell, along x and along y, and their shift, each (2, n).

    On the border the three cells are shifted inwards, where the map has three.
    """
    _, height, width = padded.shape
    lengths = np.array([[width - 2], [height - 2]])
    step = np.array([[1], [width]])
    shift = ((places == 0).astype(np.intp) - (places == lengths - 1)) * (lengths > 2)
    middle = cells + shift * step
    flat = padded.ravel()
    return flat.take(middle - step), flat.take(middle), flat.take(middle + step), shift


def _parabola(
    padded: NDArray[np.float32], cells: NDArray[np.intp], places: NDArray[np.intp]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Returns the vertex of the log-parabola at each cell.

    Returns:
        Offsets from the cell in [-1/2, 1/2] along x and y (2, n), and the logarithm of the ratio of the value there
        to the value of the cell (n,).
    """
    *values, shift = _stencil(padded, cells, places)
    # Cut tails and small negative values have no logarithm: they count as 1% of the peak.
    low = np.maximum(GAUSSIAN_CUT * padded.ravel().take(cells), TINY)
    with np.errstate(divide="ignore", invalid="ignore"):
        before, here, after = np.log(np.maximum(values, low))
        slope, curvature = (after - before) / 2, 2 * here - before - after
        top = np.minimum(np.maximum(slope / curvature + shift, -0.5), 0.5)
        gain = slope * top - curvature * (top - shift) ** 2 / 2 + curvature * shift**2 / 2
    curved = (curvature > 0) & (gain < np.inf)  # false where an infinite peak made them NaN
    return np.where(curved, top, 0), np.where(curved, gain, 0).sum(axis=0)


def _quarter(padded: NDArray[np.float32], cells: NDArray[np.intp], places: NDArray[np.intp]) -> NDArray[Any]:
    """Returns a quarter of a cell toward the higher neighbor along x and y (2, n)."""
    before, _, after, shift = _stencil(padded, cells, places)
    rise = (after > before).astype(np.float32) - (after < before)  # not their difference: it may be inf - inf
    return 0.25 * np.where(shift == 0, rise, np.sign(_parabola(padded, cells, places)[0]))


def _highest(joints: NDArray[np.intp], scores: NDArray[np.float32], max_peaks: int) -> NDArray[np.intp]:
    """Returns the indices, ascending, of the `max_peaks` highest peaks of each joint; `joints` is ascending."""
    order = np.lexsort((-scores, joints))
    rank = np.arange(len(joints)) - np.searchsorted(joints, joints)
    return np.sort(order[rank < max_peaks])
