"""Association: which detection continues which track.

A prediction and a detection are compared by OKS over the joints that both have. Its tolerance (sigma here, not twice
sigma as in COCO) is widened by the variance of the prediction. The assignment with the highest total gain is taken,
first for the tracks that have an ID.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cairn.ops.assignment import assign
from cairn.tracking.motion import Tracks

MIN_SIMILARITY = 0.001
"""OKS at or below which a track and a detection are never associated: 3.7 standard deviations."""


def associate(
    tracks: Tracks, detections: NDArray[np.float64], clock: float, tolerance: NDArray[np.float64]
) -> NDArray[np.intp]:
    """Returns the detection that each track continues with.

    Args:
        tracks: T tracks, predicted for this image.
        detections: (N, K, 2) pixels; NaN where a joint is not detected.
        clock: Time of the image, seconds.
        tolerance: (K,) squared OKS sigmas.

    Returns:
        (T,) row of `detections` of each track; -1 for none. Tracks with an ID come first, tentative ones after them.
    """
    partner = np.full(len(tracks), -1)
    free = np.arange(len(detections))
    gains = association_gains(tracks, detections, clock, tolerance)
    for group in (np.flatnonzero(tracks.ids > 0), np.flatnonzero(tracks.ids < 0)):
        columns = assign(gains[np.ix_(group, free)])
        pairs = [(i, free[j]) for i, j in zip(group, columns, strict=True) if j >= 0 and gains[i, free[j]] > 0]
        for i, row in pairs:
            partner[i] = row
        free = np.setdiff1d(free, partner)
    return partner


def association_gains(
    tracks: Tracks, detections: NDArray[np.float64], clock: float, tolerance: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Returns the gain (T, N) of associating each track with each detection; 0 where they are too dissimilar."""
    variance = tracks.variances(clock, tolerance)
    # x and y apart are faster
    dx, dy = (tracks.keypoints[:, None, :, axis] - detections[..., axis] for axis in (0, 1))
    near = np.exp(-(dx * dx + dy * dy) / (2 * variance * tracks.size[:, None] ** 2)[:, None])
    both = ~np.isnan(near)
    similarity = np.where(both, near, 0).sum(axis=2) / np.maximum(both.sum(axis=2), 1)  # OKS
    known = ~np.isnan(tracks.keypoints[..., 0])
    # A track with a wide prediction is less likely at any one place. The penalty is the log of the standard
    # deviation; the log of the variance, the density in a plane, is too much for a similarity that grows so slowly.
    spread = np.where(known, np.log(variance / tolerance), 0).sum(axis=1) / known.sum(axis=1) / 2
    gain = np.log(np.maximum(similarity, MIN_SIMILARITY) / MIN_SIMILARITY)
    gain = gain + (spread.max(initial=0) - spread)[:, None]
    return np.where(similarity > MIN_SIMILARITY, gain, 0)
