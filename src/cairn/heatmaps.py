"""Confidence maps: one per joint, a bump where the joint is."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from cairn.geometry import Size

GAUSSIAN_CUT = math.exp(-4.6052)
"""Below this a Gaussian is 0: OpenPose's released training stops at exponent 4.6052."""


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
