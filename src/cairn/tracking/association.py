"""Association: which detection continues which track.

A prediction and a detection are compared by OKS over the joints that both have, each weighted by its confidence. The
tolerance (sigma here, not twice sigma as in COCO) is widened by the variance of the prediction. What counts is how
much likelier a pair is than a new instance at the same place: its gain is the log of the similarity, less the log of
the standard deviation of the prediction, plus what size and appearance say. Three rounds take the assignment with the
highest total gain: tracks with an ID and confident detections, then the rest of these tracks and low-confidence
detections, then tentative tracks and what remains.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cairn.ops.assignment import assign
from cairn.tracking.appearance import appearance_similarity
from cairn.tracking.motion import Tracks

MIN_SIMILARITY = 0.001
"""OKS at or below which a track and a detection are never associated: 3.7 standard deviations."""

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
    free = everything.copy()
    for group, allowed in ((known, detections.confident), (known, everything), (~known, everything)):
        rows, columns = np.flatnonzero(group & (partner < 0)), np.flatnonzero(allowed & free)
        candidates = gains[np.ix_(rows, columns)]
        if not candidates.any():
            continue
        for i, j in enumerate(assign(candidates).tolist()):
            if j >= 0 and candidates[i, j] > 0:
                partner[rows[i]] = columns[j]
                free[columns[j]] = False
    return partner


def association_gains(
    tracks: Tracks, detections: Detections, clock: float, tolerance: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Returns the gain (T, N) of associating each track with each detection; 0 where they do not fit."""
    variance = tracks.variances(clock, tolerance)
    # x and y apart are faster
    dx, dy = (tracks.keypoints[:, None, :, axis] - detections.keypoints[..., axis] for axis in (0, 1))
    near = np.exp(-(dx * dx + dy * dy) / (2 * variance * tracks.size[:, None] ** 2)[:, None])
    both = ~np.isnan(near)
    weights = detections.weights * both
    similarity = np.where(both, near, 0) * weights
    similarity = similarity.sum(axis=2) / (weights.sum(axis=2) + PRIOR)
    known = ~np.isnan(tracks.keypoints[..., 0])
    # A wide prediction is less likely at any one place. The penalty is the log of the standard deviation; the log of
    # the variance, the density in a plane, is too much for a similarity that grows so slowly.
    spread = np.where(known, np.log(variance / tolerance), 0).sum(axis=1) / np.maximum(known.sum(axis=1), 1) / 2
    gain = np.log(np.maximum(similarity, MIN_SIMILARITY) / MIN_SIMILARITY) - spread[:, None]
    gain -= _size_penalty(tracks, detections, both)
    alike = appearance_similarity(tracks.appearance, detections.appearance, USUAL_APPEARANCE)
    gain += np.clip(APPEARANCE_WEIGHT * (alike - USUAL_APPEARANCE), *APPEARANCE_RANGE)
    gain -= LOST * (tracks.is_lost & ~np.isnan(tracks.appearance[..., 0]).all(axis=1))[:, None]
    return np.where((similarity > MIN_SIMILARITY) & (gain > 0), gain, 0)


def _size_penalty(tracks: Tracks, detections: Detections, both: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Returns (T, N) the squared log of the ratio of sizes over the joints of both, in squared standard deviations."""
    spans = []
    for keypoints in (tracks.keypoints[:, None], detections.keypoints[None]):
        x, y = (np.where(both, keypoints[..., axis], 0) for axis in (0, 1))
        count = np.maximum(both.sum(axis=2), 1)
        square = (x * x + y * y).sum(axis=2) / count - (x.sum(axis=2) / count) ** 2 - (y.sum(axis=2) / count) ** 2
        spans.append(np.maximum(square, 0) + 1e-3 * tracks.size[:, None] ** 2)
    ratio = np.log(spans[1] / spans[0]) / 2
    enough = both.sum(axis=2) >= 3
    penalty: NDArray[np.float64] = np.where(enough, np.minimum(ratio**2 / (2 * SIZE_SPREAD**2), 4), 0)
    return penalty
