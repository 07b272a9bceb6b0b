"""HOTA: higher order tracking accuracy (Luiten et al., IJCV 2021), which weighs detection and association alike.

Equation 15 -> `hota`'s loop over thresholds; equations 17 to 19 -> DetA, AssA and HOTA of one threshold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from cairn.ops.assignment import assign

Frame: TypeAlias = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]
"""Track IDs (G,) of the ground truth, track IDs (P,) of the predictions, and their similarity (G, P) from 0 to 1."""

THRESHOLDS = np.arange(1, 20) / 20
"""Similarities from which on a pair matches; HOTA is the mean over them."""


@dataclass(frozen=True)
class Hota:
    """HOTA and its parts, in percent, each the mean over `THRESHOLDS`.

    Attributes:
        hota: Geometric mean of detection and association accuracy.
        deta: Detection accuracy: matches over matches, misses and false positives.
        assa: Association accuracy: for each match, the share of its two tracks' frames in which they match.
        loca: Localization accuracy: mean similarity of the matches.
    """

    hota: float
    deta: float
    assa: float
    loca: float


def hota(frames: Sequence[Frame]) -> Hota:
    """Returns HOTA of tracks.

    Args:
        frames: The frames of all videos; a track has the same ID in all of its frames, and no other track has it.
    """
    tracks, ids = (np.unique(np.concatenate([frame[side] for frame in frames])) for side in (0, 1))
    rows = [(np.searchsorted(tracks, one), np.searchsorted(ids, other), near) for one, other, near in frames]
    lengths, predicted = np.zeros(len(tracks)), np.zeros(len(ids))
    for i, j, _ in rows:
        lengths[i] += 1
        predicted[j] += 1
    alignment = _alignment(rows, lengths, predicted)
    together = np.zeros((len(THRESHOLDS), len(tracks), len(ids)))
    located = np.zeros(len(THRESHOLDS))
    for i, j, near in rows:
        columns = assign(alignment[np.ix_(i, j)] * near)
        pairs = np.flatnonzero(columns >= 0)
        similarity = near[pairs, columns[pairs]]
        for level in range(len(THRESHOLDS)):
            match = similarity >= THRESHOLDS[level] - 1e-9
            together[level, i[pairs[match]], j[columns[pairs[match]]]] += 1
            located[level] += similarity[match].sum()
    matches = together.sum(axis=(1, 2))
    union = lengths[:, None] + predicted - together
    associated = (together * together / np.maximum(union, 1)).sum(axis=(1, 2)) / np.maximum(matches, 1)
    detected = matches / np.maximum(lengths.sum() + predicted.sum() - matches, 1)
    local = np.where(matches > 0, located / np.maximum(matches, 1), 1)
    means = (np.sqrt(detected * associated).mean(), detected.mean(), associated.mean(), local.mean())
    return Hota(*(100 * float(value) for value in means))


def _alignment(
    rows: Sequence[tuple[NDArray[Any], NDArray[Any], NDArray[np.float64]]],
    lengths: NDArray[np.float64],
    predicted: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Returns (G, P) how well two tracks fit as wholes, by which matches are chosen in each frame."""
    shared = np.zeros((len(lengths), len(predicted)))
    for i, j, near in rows:
        total = near.sum(axis=0) + near.sum(axis=1)[:, None] - near
        shared[np.ix_(i, j)] += np.where(total > 0, near / np.maximum(total, 1e-12), 0)
    return shared / np.maximum(lengths[:, None] + predicted - shared, 1e-12)
