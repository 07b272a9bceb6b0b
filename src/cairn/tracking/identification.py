"""Re-identification: which lost instance a confirmed new one is, by appearance and size.

Position counts only as far as it excludes: an instance cannot have come further than it could run.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cairn.ops.assignment import assign
from cairn.tracking.appearance import appearance_similarity
from cairn.tracking.motion import Tracks, centers

MIN_SIMILARITY = 0.65
"""Similarity of appearance from which on two tracks may be one instance."""

USUAL = 0.5
"""Similarity of two tracks that share no cell."""

MIN_MARGIN = 0.1
"""By how much the similarity must exceed that of any other track which it could be confused with."""

MIN_CELLS = 0.4
"""Minimum share of the cells of the skeleton that both have."""

MAX_SCALE = 1.5
"""Maximum ratio of the sizes of an instance before and after."""

MAX_SPEED = 3.0
"""Sizes per second, on average while lost, beyond a distance of one size."""


def identified(new: Tracks, lost: Tracks, others: Tracks, clock: float) -> NDArray[np.intp]:
    """Returns the lost track that each new one continues.

    Args:
        new: T tracks that are confirmed in this image.
        lost: Tracks with an ID that are not detected in it.
        others: The other tracks that are detected in it.
        clock: Time of the image, seconds.

    Returns:
        (T,) row of `lost`, -1 for none.
    """
    if not len(new) or not len(lost) or not new.appearance.shape[1]:
        return np.full(len(new), -1)
    alike = appearance_similarity(new.appearance[:, None], lost.appearance, USUAL)
    shared = (~np.isnan(new.appearance[:, None, :, 0]) & ~np.isnan(lost.appearance[None, :, :, 0])).sum(axis=2)
    scale = np.abs(np.log(new.size[:, None] / lost.size))
    apart = np.linalg.norm(centers(new.keypoints)[:, None] - centers(lost.keypoints), axis=2)
    apart /= np.maximum(new.size[:, None], lost.size)
    seconds = clock - lost.last_detected.max(axis=1, initial=-np.inf)
    possible = (alike >= MIN_SIMILARITY) & (shared >= MIN_CELLS * new.appearance.shape[1])
    possible &= (scale <= np.log(MAX_SCALE)) & (apart <= 1 + MAX_SPEED * seconds)
    alike = np.where(possible, alike, 0)
    partner = assign(alike)
    for i, j in enumerate(partner.tolist()):
        if j >= 0:
            rivals = [*np.delete(alike[i], j), *np.delete(alike[:, j], i)]
            rivals += appearance_similarity(others.appearance, lost.appearance[j], USUAL).tolist()
            if alike[i, j] <= 0 or alike[i, j] - max(rivals, default=0) < MIN_MARGIN:
                partner[i] = -1
    return partner


def is_known(tracks: Tracks) -> NDArray[np.bool_]:
    """Returns (T,) whether enough of the appearance of tracks is known to tell which lost one they are."""
    cells = tracks.appearance[..., 0]
    known: NDArray[np.bool_] = (~np.isnan(cells)).sum(axis=1) >= MIN_CELLS * cells.shape[1]
    return known | np.isnan(cells).all(axis=1)
