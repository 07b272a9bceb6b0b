"""Confidence maps: one per joint, a bump where the joint is. Rendering them, and reading them back.

Positions are in field cells, (x, y), integers at the centers of cells. Read back from a Gaussian, the
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

from cairn.structures.geometry import Size

GAUSSIAN_CUT = math.exp(-4.6052)
"""Below this a Gaussian is 0: OpenPose's released training stops at exponent 4.6052."""

TINY = float(np.finfo(np.float32).tiny)

Refinement = Literal["log-parabola", "quarter", "none"]


@dataclass(frozen=True, eq=False)
class Peaks:
    """Local maxima of the maps of one image, in the order of their joints.

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
    """Keypoints (P, K, 2) in field cells, NaN where missing -> (K, h, w), from 0 to 1.

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
    """Heatmaps (K, h, w) -> every cell above `threshold` (and 0) that none of its eight neighbors reaches.

    Of neighbors that are exactly equal the first stands for all. Positions and scores are those of the
    log-parabola. With `most`, only that many of a joint's peaks are kept, the highest. NaN is no peak.
    """
    padded = _padded(heatmaps)
    step = padded.shape[2]
    flat = padded.ravel()
    # Maxima of three in a row, then of three such: all channels are one long line, kept apart by the padding.
    box = np.maximum(flat[:-2], flat[2:])
    np.maximum(box, flat[1:-1], out=box)
    box = np.maximum(np.maximum(box[: -2 * step], box[2 * step :]), box[step:-step])
    middle = flat[step + 1 : -step - 1]
    cells = np.flatnonzero((middle == box) & (middle > max(threshold, 0.0))) + step + 1
    earlier = flat.take(cells + np.array([[-step - 1], [-step], [-step + 1], [-1]]))
    cells = cells[(earlier < flat.take(cells)).all(axis=0)]

    joints, places = _unravel(cells, padded)
    offsets, gain = _parabola(padded, cells, places)
    positions = np.ascontiguousarray((places + offsets).T, dtype=np.float32)
    scores = np.minimum(flat.take(cells) * np.exp(gain), 1).astype(np.float32)
    if most is not None and np.bincount(joints).max(initial=0) > most:
        keep = _highest(joints, scores, most)
        joints, positions, scores = joints[keep], positions[keep], scores[keep]
    return Peaks(joints, positions, scores)


def argmax_keypoints(
    heatmaps: NDArray, refinement: Refinement = "log-parabola"
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Heatmaps (..., K, h, w) -> keypoints (..., K, 2) and confidence (..., K), the highest cell's value in [0, 1].

    refinement  "quarter": a quarter of a cell towards the higher neighbor on each axis, as Stacked Hourglass
                does; "log-parabola"; or "none". On the border both follow the parabola of the three last cells.

    A map of NaN alone gives NaN and confidence 0.
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


def soft_argmax(heatmaps: NDArray, temperature: float = 1.0) -> NDArray[np.float32]:
    """Heatmaps (..., h, w) -> (..., 2): the mean position under softmax(heatmaps / temperature)."""
    *leading, height, width = heatmaps.shape
    logits = heatmaps.reshape(*leading, height * width).astype(np.float64) / temperature
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    weights = (weights / weights.sum(axis=-1, keepdims=True)).reshape(heatmaps.shape)
    x, y = weights.sum(axis=-2) @ np.arange(width), weights.sum(axis=-1) @ np.arange(height)
    return np.stack([x, y], axis=-1).astype(np.float32)


def flip_heatmaps(heatmaps: NDArray, order: Sequence[int]) -> NDArray:
    """The maps (..., K, h, w) of a mirrored image as those of the image; `order` is `Skeleton.flip_order`."""
    return heatmaps[..., list(order), :, ::-1]


def _padded(heatmaps: NDArray) -> NDArray[np.float32]:
    """(N, h, w) -> (N, h + 2, w + 2): a copy with -inf around each map and in place of NaN."""
    count, height, width = heatmaps.shape
    padded = np.full((count, height + 2, width + 2), -np.inf, dtype=np.float32)
    np.fmax(heatmaps, np.float32(-np.inf), out=padded[:, 1:-1, 1:-1], casting="same_kind")
    return padded


def _unravel(cells: NDArray, padded: NDArray) -> tuple[NDArray, NDArray]:
    """Indices (n,) into `padded` as one line -> index of the map (n,), and x and y in the map itself (2, n)."""
    _, height, width = padded.shape
    maps, place = np.divmod(cells, height * width)
    rows, columns = np.divmod(place, width)
    return maps, np.stack([columns - 1, rows - 1])


def _stencil(padded: NDArray, cells: NDArray, places: NDArray) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """Three cells in a line around each cell, along x and along y: each (2, n). On the border they are moved
    inwards, by `shift`, where there are three.
    """
    _, height, width = padded.shape
    lengths = np.array([[width - 2], [height - 2]])
    step = np.array([[1], [width]])
    shift = ((places == 0).astype(np.intp) - (places == lengths - 1)) * (lengths > 2)
    middle = cells + shift * step
    flat = padded.ravel()
    return flat.take(middle - step), flat.take(middle), flat.take(middle + step), shift


def _parabola(padded: NDArray, cells: NDArray, places: NDArray) -> tuple[NDArray, NDArray]:
    """Where the log-parabola has its top, from each cell between -1/2 and 1/2 along x and y (2, n), and the
    logarithm of how much higher than the cell it is there (n,).
    """
    *values, shift = _stencil(padded, cells, places)
    # Cut tails and a network's small negative values have no logarithm: they count as 1% of the peak.
    low = np.maximum(GAUSSIAN_CUT * padded.ravel().take(cells), TINY)
    with np.errstate(divide="ignore", invalid="ignore"):
        before, here, after = np.log(np.maximum(values, low))
        slope, curvature = (after - before) / 2, 2 * here - before - after
        top = np.minimum(np.maximum(slope / curvature + shift, -0.5), 0.5)
        gain = slope * top - curvature * (top - shift) ** 2 / 2 + curvature * shift**2 / 2
    curved = (curvature > 0) & (gain < np.inf)  # false where an infinite peak made them NaN
    return np.where(curved, top, 0), np.where(curved, gain, 0).sum(axis=0)


def _quarter(padded: NDArray, cells: NDArray, places: NDArray) -> NDArray:
    """A quarter towards the higher neighbor along x and y (2, n)."""
    before, _, after, shift = _stencil(padded, cells, places)
    rise = (after > before).astype(np.float32) - (after < before)  # not their difference: it may be inf - inf
    return 0.25 * np.where(shift == 0, rise, np.sign(_parabola(padded, cells, places)[0]))


def _highest(joints: NDArray, scores: NDArray, most: int) -> NDArray:
    """Indices, ascending, of each joint's `most` highest peaks; `joints` is ascending."""
    order = np.lexsort((-scores, joints))
    rank = np.arange(len(joints)) - np.searchsorted(joints, joints)
    return np.sort(order[rank < most])
