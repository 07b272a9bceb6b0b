"""Outlier keypoints: keypoints that are implausibly far from the others, by the distances in the data set.

The distance between two joints, divided by the instance size, has a distribution over the data set. A joint is an
outlier if nearly all of its distances are far above their medians, measured in the upper spread of that distribution.
Short distances are plausible: a limb that points at the camera is short.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MIN_SPREADS = 5.0
"""Minimum score of a suspicious joint. Of 16,000 people of Leeds Sports and COCO, ten reach it."""

MIN_JOINTS = 4
"""Minimum number of labeled joints of an instance: its size can be estimated even if one of them is an outlier."""

NUM_PARTNERS = 8
"""Number of joints that each joint is measured against: those with the least variable distance."""

SIZE_QUANTILE = 1 / 3
"""Quantile of an instance's distances that gives its size: an outlier among four joints affects half of them."""

MAX_SAMPLE = 1000
"""Maximum number of instances that select the partners."""

NUM_ITERATIONS = 4
"""Alternating estimates of sizes and median distances until convergence."""

MIN_SPREAD = 0.07
"""Minimum spread, as a logarithm: labels of a rigid instance vary, too."""


@dataclass(frozen=True, eq=False)
class Spreads:
    """How far each joint of N instances is out of place.

    Attributes:
        score: (N, K) spreads above the median of the second largest of its distances; NaN where unknown. The largest
            one alone would flag the neighbors of an outlier, too.
        partner: (N, K) the joint at the other end of its largest distance.
        factor: (N, K) the largest distance over its median.
    """

    score: NDArray[np.float64]
    partner: NDArray[np.int64]
    factor: NDArray[np.float64]


def spreads(keypoints: NDArray[Any]) -> Spreads:
    """Returns the spreads of all joints.

    Args:
        keypoints: (N, K, 2) in pixels; NaN where not labeled.
    """
    instances, joints = keypoints.shape[:2]
    shape = (instances, joints)
    result = Spreads(np.full(shape, np.nan), np.zeros(shape, np.int64), np.ones(shape))
    rows = np.flatnonzero(np.isfinite(keypoints).all(axis=2).sum(axis=1) >= MIN_JOINTS)
    if len(rows) < 2:
        return result
    points = keypoints[rows].astype(np.float64)
    a, b = _partners(points[np.random.default_rng(0).permutation(len(points))[:MAX_SAMPLE]])
    excess = _excess(_lengths(points, a, b))
    spread = np.maximum(_quantile(excess, 0.975, axis=0) / 2, MIN_SPREAD)
    score = np.where(np.isfinite(excess), excess / spread, -np.inf)
    for joint in range(joints):
        ends = np.flatnonzero((a == joint) | (b == joint))
        if len(ends) < 2:
            continue
        order = np.argsort(-score[:, ends], axis=1)
        first, second = (ends[order[:, i]] for i in (0, 1))
        every = np.arange(len(rows))
        value = score[every, second]
        result.score[rows, joint] = np.where(np.isfinite(value), value, np.nan)
        result.partner[rows, joint] = np.where(a[first] == joint, b[first], a[first])
        with np.errstate(over="ignore"):
            result.factor[rows, joint] = np.exp(np.nan_to_num(excess[every, first], nan=0.0))
    return result


def _partners(points: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of joints to measure: each joint with those at the least variable distance."""
    joints = points.shape[1]
    a, b = np.triu_indices(joints, 1)
    variability = np.full((joints, joints), np.inf)
    variability[a, b] = variability[b, a] = np.nan_to_num(
        _quantile(_excess(_lengths(points, a, b)), 0.9, axis=0), nan=np.inf
    )
    selected = np.zeros((joints, joints), dtype=bool)
    np.put_along_axis(selected, np.argsort(variability, axis=1, kind="stable")[:, :NUM_PARTNERS], True, axis=1)
    selected &= np.isfinite(variability)
    first, second = np.nonzero(np.triu(selected | selected.T, 1))
    return first.astype(np.int64), second.astype(np.int64)


def _lengths(points: NDArray[np.float64], a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.float64]:
    """(N, pairs) logarithms of distances."""
    lengths: NDArray[np.float64] = np.log(np.maximum(np.linalg.norm(points[:, a] - points[:, b], axis=2), 1e-3))
    return lengths


def _excess(lengths: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, pairs) logarithms of distances over the instance size and the median distance of the pair."""
    median = np.zeros(lengths.shape[1])
    for _ in range(NUM_ITERATIONS):
        size = _quantile(lengths - median, SIZE_QUANTILE, axis=1)[:, None]
        median = _quantile(lengths - size, 0.5, axis=0)
    return lengths - size - median


def _quantile(values: NDArray[np.float64], share: float, axis: int) -> NDArray[np.float64]:
    """Quantile of the values that are not NaN; NaN if all are. It is 100 times as fast as `np.nanquantile`."""
    ordered = np.sort(values, axis=axis)  # NaN last
    count = np.isfinite(ordered).sum(axis=axis)
    index = np.expand_dims(np.maximum(np.round(share * (count - 1)), 0).astype(np.int64), axis)
    return np.take_along_axis(ordered, index, axis=axis).squeeze(axis)
