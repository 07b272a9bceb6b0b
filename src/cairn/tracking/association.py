"""Association: which detection continues which track.

A prediction and a detection are compared by OKS over the joints that both have, each weighted by its confidence. The
tolerance (sigma here, not twice sigma as in COCO) is widened by the variance of the prediction. What counts is how
much likelier a pair is than a new instance at the same place: its gain is the log of the similarity, less the log of
the standard deviation of the prediction, plus what size and appearance say. Three rounds take the assignment with the
highest total gain: tracks with an ID and confident detections, then the rest of these tracks and low-confidence
detections, then tentative tracks and what remains.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cairn.ops.assignment import assign
from cairn.tracking.appearance import appearance_similarity
from cairn.tracking.motion import Tracks, squared_length

MIN_SIMILARITY = 0.001
"""OKS at or below which a track and a detection are never associated: 3.7 standard deviations."""

REACH = -math.log(MIN_SIMILARITY)
"""The same as half a squared distance, in squared standard deviations."""

PRIOR = 0.5
"""Joints that fit nowhere, added to each comparison: a pair that shares few joints is less similar."""

SIZE_SPREAD = 0.3
"""Standard deviation of the log of the size of an instance over that of its track, over the joints of both."""

APPEARANCE_WEIGHT = 12.0
"""What a difference of 1 in the similarity of appearance adds to the gain."""

USUAL_APPEARANCE = 0.6
"""Similarity of appearance that speaks neither for nor against a pair."""

APPEARANCE_RANGE = (-5.0, 3.0)
"""Minimum and maximum that appearance adds to the gain."""

LOST = 2.5
"""What is taken from the gain of a track that was lost before this image, where appearance can make up for it."""


@dataclass(frozen=True, eq=False)
class Detections:
    """The detections of one image.

    Attributes:
        keypoints: (N, K, 2) pixels; NaN where a joint is not detected.
        weights: (N, K) confidence of each joint over the mean of its instance; 0 where not detected.
        confident: (N,) which are no low-confidence detections.
        evidence: (N,) from 0 to 1, confidence of each instance over the mean of the tracks.
        appearance: (N, A, 4) appearance of their cells; A = 0 without an image.
        overlapped: (N,) which another one may occlude, so that tracks do not take over their appearance.
    """

    keypoints: NDArray[np.float64]
    weights: NDArray[np.float64]
    confident: NDArray[np.bool_]
    evidence: NDArray[np.float64]
    appearance: NDArray[np.float64]
    overlapped: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.keypoints)


def associate(tracks: Tracks, detections: Detections, clock: float, tolerance: NDArray[np.float64]) -> NDArray[np.intp]:
    """Returns the detection that each track continues with.

    Args:
        tracks: T tracks, predicted for this image.
        detections: N detections.
        clock: Time of the image, seconds.
        tolerance: (K,) squared OKS sigmas.

    Returns:
        (T,) row of `detections` of each track; -1 for none.
    """
    partner = np.full(len(tracks), -1)
    gains = association_gains(tracks, detections, clock, tolerance)
    known, everything = tracks.ids > 0, np.ones(len(detections), bool)
    for group, allowed in ((known, detections.confident), (known, everything), (~known, everything)):
        candidates = gains * (group[:, None] & allowed)
        rows, columns = np.flatnonzero(candidates.any(axis=1)), np.flatnonzero(candidates.any(axis=0))
        if not len(rows):
            continue
        chosen = assign(candidates[rows[:, None], columns])
        rows, columns = rows[chosen >= 0], columns[chosen[chosen >= 0]]
        fits = candidates[rows, columns] > 0
        partner[rows[fits]] = columns[fits]
        gains[rows[fits]] = 0
        gains[:, columns[fits]] = 0
    return partner


def association_gains(
    tracks: Tracks, detections: Detections, clock: float, tolerance: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Returns the gain (T, N) of associating each track with each detection; 0 where they do not fit."""
    gains = np.zeros((len(tracks), len(detections)))
    variance = tracks.variances(clock, tolerance)  # (T, K)
    scale = 2 * variance * tracks.size[:, None] ** 2
    rows, columns = _near(tracks.keypoints, np.sqrt(REACH * scale.max(axis=1, initial=0)), detections.keypoints)
    if not len(rows):
        return gains
    pairs = np.array([tracks.keypoints[rows], detections.keypoints[columns]])  # (2, M, K, 2)
    off = pairs[0] - pairs[1]
    both = ~np.isnan(off[..., 0])
    near = np.exp(-np.where(both, squared_length(off), 0) / scale[rows])
    weights = detections.weights[columns] * both
    similarity = np.einsum("mk,mk->m", near, weights) / (weights.sum(axis=1) + PRIOR)
    known = ~np.isnan(tracks.keypoints[..., 0])
    # A wide prediction is less likely at any one place. The penalty is the log of the standard deviation; the log of
    # the variance, the density in a plane, is too much for a similarity that grows so slowly.
    spread = (np.log(variance / tolerance) * known).sum(axis=1) / np.maximum(known.sum(axis=1), 1) / 2
    gain = np.log(np.maximum(similarity, MIN_SIMILARITY) / MIN_SIMILARITY) - spread[rows]
    gain -= _size_penalty(np.where(both[..., None], pairs, 0), both, tracks.size[rows])
    if detections.appearance.shape[1]:
        alike = appearance_similarity(tracks.appearance[rows], detections.appearance[columns], USUAL_APPEARANCE)
        gain += (APPEARANCE_WEIGHT * (alike - USUAL_APPEARANCE)).clip(*APPEARANCE_RANGE)
        gain -= LOST * (tracks.is_lost & ~np.isnan(tracks.appearance[..., 0]).all(axis=1))[rows]
    gains[rows, columns] = np.where(similarity > MIN_SIMILARITY, np.maximum(gain, 0), 0)
    return gains


def _near(
    tracks: NDArray[np.float64], reach: NDArray[np.float64], detections: NDArray[np.float64]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Returns the M rows of tracks (T, K, 2) and of detections (N, K, 2) whose boxes are within a reach (T,) in pixels.

    All others have no joint of which the similarity exceeds `MIN_SIMILARITY`.
    """
    low, high = np.fmin.reduce(tracks, axis=1) - reach[:, None], np.fmax.reduce(tracks, axis=1) + reach[:, None]
    start, end = np.fmin.reduce(detections, axis=1), np.fmax.reduce(detections, axis=1)
    rows, columns = ((low[:, None] <= end) & (high[:, None] >= start)).all(axis=2).nonzero()
    return rows, columns


def _size_penalty(
    pairs: NDArray[np.float64], both: NDArray[np.bool_], size: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Returns (M,) the squared log of the ratio of sizes over the joints of both, in squared standard deviations.

    Args:
        pairs: (2, M, K, 2) keypoints of tracks and detections; 0 where not of both.
        both: (M, K) which joints both have.
        size: (M,) sizes of the tracks, pixels.
    """
    count = both.sum(axis=1)
    some = np.maximum(count, 1)
    mean = np.einsum("pmkd->pmd", pairs) / some[:, None]
    spans = np.einsum("pmkd,pmkd->pm", pairs, pairs) / some - squared_length(mean)
    spans = np.maximum(spans, 0) + 1e-3 * size**2
    ratio = np.log(spans[1] / spans[0]) / 2
    penalty: NDArray[np.float64] = np.where(count >= 3, np.minimum(ratio**2 / (2 * SIZE_SPREAD**2), 4), 0)
    return penalty
