"""The one-euro filter (Casiez, Roussel, Vogel, CHI 2012) for keypoints: less jitter with little delay."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

CUTOFF = 1.0
"""Hz: minimum cutoff, of a joint at rest (the paper's f_c,min)."""

SPEED_CUTOFF = 1.0
"""Hz: cutoff of the speed estimate (the paper's d_cutoff)."""

SLOPE = 5.0
"""Hz per instance size per second: how the cutoff grows with speed (the paper's β)."""


def one_euro(
    keypoints: NDArray[Any],
    before: NDArray[Any],
    speeds: NDArray[Any],
    sizes: NDArray[Any],
    elapsed: NDArray[Any],
    strength: float = 1.0,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Smooths keypoints of one image with those of the previous image.

    The two coordinates of a joint share one cutoff, which depends on its speed and not on its direction.

    Args:
        keypoints: (P, K, 2) detections in pixels; NaN stays NaN.
        before: (P, K, 2) smoothed keypoints of the previous call; NaN where a joint starts, which is then not smoothed.
        speeds: (P, K, 2) speeds of the previous call.
        sizes: (P,) sizes of the instances in pixels, so that smoothing does not depend on their distance.
        elapsed: (P, K) seconds since `before`, > 0.
        strength: Divisor of the cutoffs: 2 takes twice the time to follow.

    Returns:
        Smoothed keypoints (P, K, 2), and smoothed speeds (P, K, 2) in pixels per second for the next call.
    """
    new = np.isnan(before).any(axis=2, keepdims=True)
    seconds = elapsed[..., None]
    raw = np.where(new, 0.0, (keypoints - before) / seconds)
    speeds = np.where(new, 0.0, speeds + _alpha(SPEED_CUTOFF, seconds) * (raw - speeds))
    rates = np.linalg.norm(speeds, axis=2, keepdims=True) / sizes[:, None, None]
    smoothed = before + _alpha((CUTOFF + SLOPE * rates) / strength, seconds) * (keypoints - before)
    return np.where(new, keypoints, smoothed), speeds


def _alpha(cutoff: NDArray[np.float64] | float, seconds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the weight of a new value in a low-pass filter of this cutoff (Hz) after some seconds."""
    return 1 / (1 + 1 / (2 * math.pi * cutoff * seconds))
