"""Multi-object tracking: the instances of a video get track IDs that are stable over time.

    tracker = Tracker()
    for image, seconds in ...:
        poses = tracker(model(image), seconds)  # poses.ids

Each image takes four steps: predict the tracks (`motion`), associate them with the detections (`association`),
correct them, and start new tracks.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.arguments import checked
from cairn.errors import CairnError, SkeletonError
from cairn.structures.poses import Poses
from cairn.structures.skeleton import Skeleton
from cairn.tracking.association import associate
from cairn.tracking.motion import Tracks

FIRST_VOTE = 1.5
"""Weight of the class of a track's first detection: of equally frequent classes the first one stays."""

DEFAULT_RATE = 25.0
"""Images per second where no time is known."""

MIN_ELAPSED = 1e-3
"""Seconds: minimum time between two images."""


class Tracker:
    """Assigns track IDs to the instances of one video, image by image.

    All instances of the first image that has any get an ID at once. Later, a new instance gets -1 until it is detected
    in the next image too, so that a false positive in a single image gets no ID.

    The class of an instance is the most frequent one of its track so far, and of equally frequent ones the first.

    Args:
        gap: Seconds for which an instance may be lost and keeps its track ID.
        smooth: Strength of keypoint smoothing (`one_euro`): 0 for none, 1 for the default, 2 for twice as much.

    Raises:
        CairnError: If a value is negative or not finite.
    """

    def __init__(self, gap: float = 1.0, smooth: float = 0.0) -> None:
        given: dict[str, Any] = {"gap": gap, "smooth": smooth}
        for name, value in given.items():
            if not isinstance(value, int | float | np.number) or not 0 <= value < math.inf:
                raise CairnError(f"{name} must be a number from 0, got {value!r}")
        self.gap = gap
        self.smooth = smooth
        self._skeleton: Skeleton | None = None
        self._class_names: tuple[str, ...] = ()
        self._tracks = Tracks.started(np.zeros((0, 0, 2)), 0.0)
        self._clock = self._before = 0.0  # seconds from the first image to this one, and to the previous one
        self._time: float | None = None  # of the previous image, as given
        self._tolerance = np.zeros(0)  # (K,) squared OKS sigmas
        self._count = 0  # of track IDs

    @checked
    def __call__(self, poses: Poses, time: float | None = None) -> Poses:
        """Returns the same instances in the same order, with track IDs, and smoothed if `smooth` is set.

        Args:
            poses: Detections of the next image.
            time: Time of the image in seconds, from any origin; None for 1/25 s after the previous one. Where it goes
                back, the minimum time passes.

        Raises:
            SkeletonError: If the joints or the classes are not those of the previous images.
            CairnError: If the time is not finite.
        """
        self._advance(poses, time)
        visible = poses.detected & np.isfinite(poses.keypoints).all(axis=2)
        there = np.flatnonzero(visible.any(axis=1))
        detections = np.where(visible[..., None], poses.keypoints, np.nan).astype(np.float64)[there]
        partner = associate(self._tracks, detections, self._clock, self._tolerance)  # (T,)
        matched = np.flatnonzero(partner >= 0)
        new = np.setdiff1d(np.arange(len(detections)), partner)
        rows = np.concatenate([partner[matched], new])

        tracks = self._tracks[matched]
        if self.smooth:
            tracks = tracks.smoothed(detections[partner[matched]], self._clock, self._before, self.smooth)
        tracks = tracks.corrected(detections[partner[matched]], self._clock, self._tolerance)
        votes = self._votes(poses)[there]
        tracks = replace(tracks, votes=tracks.votes + votes[partner[matched]])
        tracks = tracks.concatenated(Tracks.started(detections[new], self._clock, FIRST_VOTE * votes[new]))
        tracks = replace(tracks, ids=self._with_new_ids(tracks.ids, rows, len(matched)))
        lost = np.flatnonzero((partner < 0) & (self._tracks.ids > 0))
        self._tracks = tracks.concatenated(self._tracks[lost])

        ids = np.full(len(poses), -1)
        ids[there[rows]] = tracks.ids
        keypoints = poses.keypoints.copy()
        if self.smooth:
            keypoints[there[rows]] = np.where(np.isnan(detections[rows]), keypoints[there[rows]], tracks.smooth)
        classes = poses.classes
        if classes is not None:
            classes = classes.copy()
            classes[there[rows]] = tracks.votes.argmax(axis=1)
        return replace(poses, keypoints=keypoints, ids=ids, classes=classes)

    def _votes(self, poses: Poses) -> NDArray[np.float64]:
        """Returns (P, C) 1 for the class of each instance."""
        votes = np.zeros((len(poses), len(self._class_names)))
        if poses.classes is not None:
            votes[np.arange(len(poses)), poses.classes] = 1
        return votes

    def _advance(self, poses: Poses, time: float | None) -> None:
        """Predicts the tracks for this image, and drops those that have been lost for longer than the gap."""
        if time is not None and not math.isfinite(time):
            raise CairnError(f"the time of an image must be seconds or None, got {time}")
        skeleton = poses.skeleton
        if self._skeleton is None:
            self._skeleton, self._class_names = skeleton, poses.class_names
            nothing = np.zeros((0, len(skeleton), 2))
            self._tracks = Tracks.started(nothing, 0.0, np.zeros((0, len(poses.class_names))))
            self._tolerance = np.array(skeleton.sigmas) ** 2
        elif skeleton.joints != self._skeleton.joints:
            raise SkeletonError(
                f"a tracker follows instances of one skeleton, {self._skeleton.name}, got {skeleton.name}: "
                "make a new tracker for each video"
            )
        elif poses.class_names != self._class_names:
            was, now = (", ".join(names) or "none" for names in (self._class_names, poses.class_names))
            raise SkeletonError(f"a tracker follows instances of one set of classes, {was}; got {now}")
        else:
            elapsed = 1 / DEFAULT_RATE
            if time is not None and self._time is not None:
                elapsed = max(time - self._time, MIN_ELAPSED)
            self._before, self._clock = self._clock, self._clock + elapsed
            # Images may be further apart than the gap: an instance of the previous image is not lost.
            last = self._tracks.last_detected.max(axis=1, initial=-np.inf)
            kept = np.flatnonzero((last == self._before) | (self._clock - last <= self.gap))
            self._tracks = self._tracks[kept].predicted(elapsed)
        self._time = time

    def _with_new_ids(self, ids: NDArray[Any], rows: NDArray[Any], matched: int) -> NDArray[np.int64]:
        """Returns `ids` with new IDs, in the order of `rows`, for matched tracks without one; at first for all."""
        first = self._count == 0 and matched == 0
        waiting = np.flatnonzero((ids < 0) & ((np.arange(len(ids)) < matched) | first))
        waiting = waiting[np.argsort(rows[waiting])]
        numbered = ids.copy()
        numbered[waiting] = self._count + 1 + np.arange(len(waiting))
        self._count += len(waiting)
        return numbered
