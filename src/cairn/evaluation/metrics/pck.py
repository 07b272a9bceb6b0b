"""How many keypoints land near enough, and how far the others are: arrays in, arrays out.

All figures come from one table: distances between found and true keypoints in units of a length that says how
large the object is (`protocols` has the lengths that papers use).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Mean = Literal["joints", "pooled"]
"""Over joints: each joint weighs the same (the papers'). Pooled: each labeled keypoint weighs the same."""


def normalized_errors(found: NDArray, truth: NDArray, lengths: NDArray) -> NDArray[np.float64]:
    """(N, K) distances over lengths.

    found (N, K, 2), truth (N, K, 2), NaN where there is none; lengths (N,) in the same pixels.
    Infinite where a labeled keypoint was not found; NaN where it is not labeled, or the object has no
    positive length.
    """
    distances = np.linalg.norm(found.astype(np.float64) - truth.astype(np.float64), axis=-1)
    distances = np.where(np.isnan(distances), np.inf, distances)
    usable = np.where(lengths > 0, lengths.astype(np.float64), np.nan)
    return np.where(np.isnan(truth).any(axis=-1), np.nan, distances / usable[:, None])


def pck(errors: NDArray, threshold: float) -> NDArray[np.float64]:
    """(K,) percentage of labeled keypoints with an error below the threshold; NaN for a joint without any."""
    return _percentages((errors < threshold).astype(np.float64), errors)


def curve(errors: NDArray, thresholds: NDArray) -> NDArray[np.float64]:
    """(T, K): `pck` at each threshold."""
    return np.stack([pck(errors, float(threshold)) for threshold in thresholds])


def area_under_curve(errors: NDArray, largest: float) -> NDArray[np.float64]:
    """(K,) the mean of `pck` over all thresholds from 0 to `largest`, in percent.

    A keypoint with error e counts from e on: the integral is exact, and needs no steps.
    """
    return _percentages(1 - np.minimum(np.nan_to_num(errors, posinf=largest) / largest, 1), errors)


def mean_error(errors: NDArray) -> NDArray[np.float64]:
    """(K,) mean over the keypoints that were found; NaN for a joint that never was. See `not_found` beside it."""
    found = np.isfinite(errors)
    return _ratio(np.where(found, errors, 0).sum(axis=0), found.sum(axis=0))


def not_found(errors: NDArray) -> NDArray[np.float64]:
    """(K,) percentage of labeled keypoints that were not found."""
    return _percentages(np.isinf(errors).astype(np.float64), errors)


def average(values: NDArray, counts: NDArray, mean: Mean = "joints") -> float:
    """One number for (K,) values of joints that stand for (K,) counts of keypoints; NaN where there are none."""
    there = counts > 0
    if not there.any():
        return float("nan")
    return float(np.average(values[there], weights=counts[there] if mean == "pooled" else None))


def count(errors: NDArray) -> NDArray[np.int64]:
    """(K,) how many keypoints the figures stand on."""
    return (~np.isnan(errors)).sum(axis=0)


def _percentages(values: NDArray, errors: NDArray) -> NDArray[np.float64]:
    return 100 * _ratio(np.where(np.isnan(errors), 0, values).sum(axis=0), count(errors))


def _ratio(total: NDArray, counts: NDArray) -> NDArray[np.float64]:
    return np.where(counts > 0, total / np.maximum(counts, 1), np.nan)
