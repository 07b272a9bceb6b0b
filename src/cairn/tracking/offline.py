"""Smoothing without delay, and interpolation of short gaps, of tracks that are complete."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from cairn.ops.smoothing import one_euro
from cairn.structures.poses import Poses
from cairn.tracking.motion import SMOOTHING_GAP, instance_sizes

Place = tuple[int, int]
"""Frame and row of an instance."""


def smooth_offline(frames: Sequence[Poses], times: Sequence[float], strength: float) -> list[Poses]:
    """Returns the frames with keypoints smoothed along their tracks, without delay.

    The one-euro filter runs forward and backward, and its two results are averaged: at a constant velocity, one lags by
    as much as the other is ahead.

    Args:
        frames: Poses with track IDs.
        times: Seconds of each frame, increasing.
        strength: Strength of the filter, see `one_euro`.
    """
    keypoints = [poses.keypoints.astype(np.float64) for poses in frames]
    for places in _places(frames).values():
        points = np.array([_known(frames[i], row) for i, row in places])
        clock = np.array([times[i] for i, _ in places])
        passes = _filtered(points, clock, strength), _filtered(points[::-1], -clock[::-1], strength)[::-1]
        for (i, row), smooth in zip(places, (passes[0] + passes[1]) / 2, strict=True):
            keypoints[i][row] = np.where(np.isnan(smooth), keypoints[i][row], smooth)
    return [
        replace(poses, keypoints=points.astype(np.float32)) for poses, points in zip(frames, keypoints, strict=True)
    ]


def interpolate_gaps(
    frames: Sequence[Poses], times: Sequence[float], max_gap: float
) -> tuple[list[Poses], list[NDArray[np.bool_]]]:
    """Returns the frames with the instances that are missing between two detections of their tracks.

    A keypoint is interpolated linearly where both detections have it, with the lower of their confidences.

    Args:
        frames: Poses with track IDs.
        times: Seconds of each frame, increasing.
        max_gap: Maximum seconds between the two detections.

    Returns:
        The frames, with the added instances last, and of each frame (P,) which instances were added.
    """
    added: list[list[Poses]] = [[] for _ in frames]
    for places in _places(frames).values():
        for (first, a), (last, b) in pairwise(places):
            if last - first < 2 or times[last] - times[first] > max_gap:
                continue
            start, end = frames[first][[a]], frames[last][[b]]
            confidence = np.minimum(start.confidence, end.confidence)
            for i in range(first + 1, last):
                share = (times[i] - times[first]) / (times[last] - times[first])
                points = (1 - share) * start.keypoints + share * end.keypoints
                points = np.where(confidence[..., None] > 0, points, np.nan).astype(np.float32)
                scores = np.minimum(start.scores, end.scores)
                if (confidence > 0).any():
                    added[i].append(replace(start, keypoints=points, confidence=confidence, scores=scores, image=None))
    filled = [Poses.concatenate([poses, *more], poses.skeleton) for poses, more in zip(frames, added, strict=True)]
    marks = [np.arange(len(after)) >= len(before) for before, after in zip(frames, filled, strict=True)]
    return filled, marks


def _places(frames: Sequence[Poses]) -> dict[int, list[Place]]:
    """Track ID -> its instances in order."""
    places: dict[int, list[Place]] = {}
    for i, poses in enumerate(frames):
        for row, number in enumerate([] if poses.ids is None else poses.ids.tolist()):
            if number >= 0:
                places.setdefault(number, []).append((i, row))
    return places


def _known(poses: Poses, row: int) -> NDArray[np.float64]:
    """(K, 2) the keypoints of an instance; NaN where not detected."""
    points = poses.keypoints[row].astype(np.float64)
    return np.where(poses.detected[row][:, None], points, np.nan)


def _filtered(points: NDArray[np.float64], clock: NDArray[np.float64], strength: float) -> NDArray[np.float64]:
    """Returns (T, K, 2) keypoints of one track after the one-euro filter; a long gap of a joint starts it again."""
    result = points.copy()
    smooth, speeds = points[:1].copy(), np.zeros_like(points[:1])
    last = np.where(np.isnan(points[0, :, 0]), -np.inf, clock[0])
    for i in range(1, len(points)):
        elapsed = clock[i] - last
        before = np.where((elapsed > SMOOTHING_GAP)[:, None] & (last < clock[i - 1])[:, None], np.nan, smooth)
        now, rates = one_euro(
            points[i : i + 1],
            before,
            speeds,
            instance_sizes(points[i : i + 1]),
            np.maximum(elapsed, 1e-3)[None],
            strength,
        )
        seen = ~np.isnan(points[i : i + 1])
        smooth, speeds = np.where(seen, now, smooth), np.where(seen, rates, speeds)
        last = np.where(seen[0, :, 0], clock[i], last)
        result[i] = np.where(seen[0], now[0], np.nan)
    return result
