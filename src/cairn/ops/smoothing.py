"""Less trembling without much delay: the one-euro filter (Casiez, Roussel, Vogel, CHI 2012), for keypoints."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

CUTOFF = 1.0  # Hz, for a joint at rest; the paper's
SPEED_CUTOFF = 1.0  # Hz, for the estimate of its speed; the paper's
SLOPE = 5.0  # Hz more for each object's size that it moves in a second


def one_euro(
    keypoints: NDArray, before: NDArray, speeds: NDArray, sizes: NDArray, elapsed: NDArray, strength: float = 1.0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Smoothed keypoints (P, K, 2), and speeds for the next call: pixels a second, smoothed (P, K, 2).

    keypoints  (P, K, 2) as found; NaN stays NaN
    before     (P, K, 2) what the last call gave; NaN where a joint starts anew, which is then left as it is
    speeds     (P, K, 2) of the last call
    sizes      (P,) of the objects in pixels, so that a close object is smoothed as one far away
    elapsed    (P, K) seconds since `before`, > 0
    strength   divides the cutoffs: 2 takes twice the time to follow

    A joint's two coordinates share one cutoff, which follows from how fast it moves and not from its direction.
    """
    new = np.isnan(before).any(axis=2, keepdims=True)
    seconds = elapsed[..., None]
    raw = np.where(new, 0.0, (keypoints - before) / seconds)
    speeds = np.where(new, 0.0, speeds + _share(SPEED_CUTOFF, seconds) * (raw - speeds))
    rates = np.linalg.norm(speeds, axis=2, keepdims=True) / sizes[:, None, None]
    smoothed = before + _share((CUTOFF + SLOPE * rates) / strength, seconds) * (keypoints - before)
    return np.where(new, keypoints, smoothed), speeds


def _share(cutoff: NDArray | float, seconds: NDArray) -> NDArray:
    """How much of what is new a low-pass filter of this cutoff (Hz) takes after so many seconds."""
    return 1 / (1 + 1 / (2 * math.pi * cutoff * seconds))
