"""PCK, the area under its curve, and mean errors: arrays in, arrays out.

All metrics are computed from one table: the distances between predicted and annotated keypoints, divided by a
reference length per instance (`protocols` has the reference lengths of papers).
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Mean = Literal["joints", "pooled"]
"""How to average over keypoints.

"joints": each joint has the same weight, as in papers. "pooled": each labeled keypoint has the same weight.
"""


def normalized_errors(
    predicted: NDArray[Any], ground_truth: NDArray[Any], lengths: NDArray[Any]
) -> NDArray[np.float64]:
    """Returns (N, K) distances divided by reference lengths.

    The error is infinite for a labeled keypoint that was not detected. It is NaN for a keypoint that is not labeled and
    for an instance without a positive reference length.

    Args:
        predicted: (N, K, 2) keypoints in pixels; NaN where not detected.
        ground_truth: (N, K, 2) keypoints in pixels; NaN where not labeled.
        lengths: (N,) reference lengths in pixels.
    """
    distances = np.linalg.norm(predicted.astype(np.float64) - ground_truth.astype(np.float64), axis=-1)
    distances = np.where(np.isnan(distances), np.inf, distances)
    usable = np.where(lengths > 0, lengths.astype(np.float64), np.nan)
    return np.where(np.isnan(ground_truth).any(axis=-1), np.nan, distances / usable[:, None])


def pck(errors: NDArray[Any], threshold: float) -> NDArray[np.float64]:
    """Returns (K,) the percentage of labeled keypoints with an error below the threshold; NaN without labels."""
    return _percentages((errors < threshold).astype(np.float64), errors)


def curve(errors: NDArray[Any], thresholds: NDArray[Any]) -> NDArray[np.float64]:
    """Returns (T, K) `pck` at each of T thresholds."""
    return np.stack([pck(errors, float(threshold)) for threshold in thresholds])


def area_under_curve(errors: NDArray[Any], max_threshold: float) -> NDArray[np.float64]:
    """Returns (K,) the mean of `pck` over all thresholds from 0 to `max_threshold`, in percent.

    The integral is exact: a keypoint with error e counts at all thresholds above e.
    """
    return _percentages(1 - np.minimum(np.nan_to_num(errors, posinf=max_threshold) / max_threshold, 1), errors)


def mean_error(errors: NDArray[Any]) -> NDArray[np.float64]:
    """Returns (K,) the mean over detected keypoints; NaN for a joint that was never detected. See `not_detected`."""
    detected = np.isfinite(errors)
    return _ratio(np.where(detected, errors, 0).sum(axis=0), detected.sum(axis=0))


def not_detected(errors: NDArray[Any]) -> NDArray[np.float64]:
    """Returns (K,) the percentage of labeled keypoints that were not detected."""
    return _percentages(np.isinf(errors).astype(np.float64), errors)


def average(values: NDArray[Any], counts: NDArray[Any], mean: Mean = "joints") -> float:
    """Returns the mean over joints; NaN if all counts are 0.

    Args:
        values: (K,) values per joint.
        counts: (K,) number of keypoints per joint; joints with 0 are ignored.
        mean: "joints" weighs joints equally, "pooled" weighs them by their counts.
    """
    there = counts > 0
    if not there.any():
        return float("nan")
    return float(np.average(values[there], weights=counts[there] if mean == "pooled" else None))


def count(errors: NDArray[Any]) -> NDArray[np.int64]:
    """Returns (K,) the number of keypoints that are measured."""
    counts: NDArray[np.int64] = (~np.isnan(errors)).sum(axis=0)
    return counts


def _percentages(values: NDArray[Any], errors: NDArray[Any]) -> NDArray[np.float64]:
    return 100 * _ratio(np.where(np.isnan(errors), 0, values).sum(axis=0), count(errors))


def _ratio(total: NDArray[Any], counts: NDArray[Any]) -> NDArray[np.float64]:
    return np.where(counts > 0, total / np.maximum(counts, 1), np.nan)
