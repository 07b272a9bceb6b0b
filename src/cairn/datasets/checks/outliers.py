"""Joints that lie implausibly far from the others, by the lengths of the set's own objects.

The distance of two joints, over the object's size, has a distribution in the set. A joint is out of place where
nearly all of its distances are far above their usual ones; how far is counted in that distribution's upper spreads.
Short distances are no fault: whatever turns away from the camera becomes short.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SUSPECT = 5.0
"""Spreads from which on a joint is a suspect. Of 16,000 people of Leeds Sports and COCO, ten have as much."""

FEWEST = 4  # joints of an object by which its size can be told when one of them is out of place
PARTNERS = 8  # joints that each joint is measured against: those at the steadiest distance
SIZING = 1 / 3  # quantile of an object's distances that gives its size: one joint astray of four spoils half of them
SAMPLE = 1000  # objects that choose the partners
ROUNDS = 4  # of fitting sizes and usual lengths in turn; they have settled by then
MIN_SPREAD = 0.07  # of a logarithm: a rigid thing is still labeled by hand


@dataclass(frozen=True, eq=False)
class Spreads:
    """How far out of place each joint of N objects is.

    score    (N, K) spreads above the usual of the second largest of its distances, NaN where that cannot be said;
             the largest alone would blame the joints near one that is astray, too
    partner  (N, K) the joint of its largest distance
    times    (N, K) how many times the usual that is
    """

    score: NDArray[np.float64]
    partner: NDArray[np.int64]
    times: NDArray[np.float64]


def spreads(keypoints: NDArray) -> Spreads:
    """Keypoints (N, K, 2), NaN where not labeled."""
    objects, joints = keypoints.shape[:2]
    shape = (objects, joints)
    nothing = Spreads(np.full(shape, np.nan), np.zeros(shape, np.int64), np.ones(shape))
    rows = np.flatnonzero(np.isfinite(keypoints).all(axis=2).sum(axis=1) >= FEWEST)
    if len(rows) < 2:
        return nothing
    points = keypoints[rows].astype(np.float64)
    a, b = _partners(points[np.random.default_rng(0).permutation(len(points))[:SAMPLE]])
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
        nothing.score[rows, joint] = np.where(np.isfinite(value), value, np.nan)
        nothing.partner[rows, joint] = np.where(a[first] == joint, b[first], a[first])
        with np.errstate(over="ignore"):
            nothing.times[rows, joint] = np.exp(np.nan_to_num(excess[every, first], nan=0.0))
    return nothing


def _partners(points: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of joints to measure: each joint with those from which its distance varies least."""
    joints = points.shape[1]
    a, b = np.triu_indices(joints, 1)
    varies = np.full((joints, joints), np.inf)
    varies[a, b] = varies[b, a] = np.nan_to_num(_quantile(_excess(_lengths(points, a, b)), 0.9, axis=0), nan=np.inf)
    chosen = np.zeros((joints, joints), dtype=bool)
    np.put_along_axis(chosen, np.argsort(varies, axis=1, kind="stable")[:, :PARTNERS], True, axis=1)
    chosen &= np.isfinite(varies)
    first, second = np.nonzero(np.triu(chosen | chosen.T, 1))
    return first.astype(np.int64), second.astype(np.int64)


def _lengths(points: NDArray[np.float64], a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.float64]:
    """(N, pairs) logarithms of distances."""
    return np.log(np.maximum(np.linalg.norm(points[:, a] - points[:, b], axis=2), 1e-3))


def _excess(lengths: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, pairs) logarithms of distances over the object's size and the pair's usual distance."""
    usual = np.zeros(lengths.shape[1])
    for _ in range(ROUNDS):
        size = _quantile(lengths - usual, SIZING, axis=1)[:, None]
        usual = _quantile(lengths - size, 0.5, axis=0)
    return lengths - size - usual


def _quantile(values: NDArray[np.float64], share: float, axis: int) -> NDArray[np.float64]:
    """Of what is not NaN, and NaN where nothing is: without numpy's warning, and a hundred times as fast."""
    ordered = np.sort(values, axis=axis)  # NaN last
    count = np.isfinite(ordered).sum(axis=axis)
    place = np.expand_dims(np.maximum(np.round(share * (count - 1)), 0).astype(np.int64), axis)
    return np.take_along_axis(ordered, place, axis=axis).squeeze(axis)
