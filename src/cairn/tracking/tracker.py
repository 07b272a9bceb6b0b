"""Tracker: assigns track IDs to the instances of a video.

Each image takes five steps: move the tracks with the camera (`camera_motion`), predict them (`motion`), associate them
with the detections (`association`), correct them, and start new tracks. A track is tentative until it is confirmed
and gets an ID, and then either detected or lost. A lost one continues by motion for `gap` seconds, and by appearance
(`identification`) for `memory` seconds, which needs the images.
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
from cairn.tracking.appearance import Cells, blended
from cairn.tracking.association import Detections, associate
from cairn.tracking.camera_motion import CameraMotion
from cairn.tracking.identification import identified, is_known
from cairn.tracking.motion import Tracks, centers, instance_sizes, squared_length

FIRST_VOTE = 1.5
"""Weight of the class of a track's first detection: of equally frequent classes the first one stays."""

DEFAULT_RATE = 25.0
"""Images per second where no time is known."""

MIN_ELAPSED = 1e-3
"""Seconds: minimum time between two images."""

LOW_SCORE = 0.6
"""Score below which a detection is a low-confidence one, as a share of the mean score of detected tracks."""

WEAK_SCORE, WEAK_CONFIDENCE = 0.45, 0.7
"""Score and mean confidence of the joints below which, both, a detection is part of no track, as shares of the means of
detected tracks: a fragment or a mixture of several instances. One of which little is seen has a low score alone."""

CONFIRMED = 1.5
"""Evidence from which on a track is confirmed: two confident detections, or more of low confidence."""

EARLY = 2
"""Number of images, from the first with any instance on, whose instances are confirmed at once: an instance that is new
in the second one was more likely missed in the first than it is a false positive."""

EARLY_EVIDENCE = 0.6
"""Evidence from which on a track of these images is confirmed."""

SCORE_MEMORY = 0.02
"""Weight of an image in the mean score and the mean confidence."""

APPEARANCE_RATE = 0.1
"""Weight of a detection in the appearance of its track."""

DUPLICATE = 0.5
"""Share of joints at the place of a detected track's from which on a new detection is a duplicate of it."""

WAIT = 0.5
"""Seconds that a new track waits for its ID while little of it is seen and it may be one of those that are lost."""


class Tracker:
    """Assigns track IDs to the instances of one video, image by image.

    All confident instances of the first image that has any, and of the next one, get an ID at once. Later, a new
    instance gets -1 until it is detected again in the next images, so that a false positive in a single image gets no
    ID. Where the images are given, the
    motion of the camera is taken out, and an instance that was lost is recognized by its colors.

    The class of an instance is the most frequent one of its track so far, and of equally frequent ones the first.

    Args:
        gap: Seconds for which an instance may be lost and keeps its track ID by its motion.
        smooth: Strength of keypoint smoothing (`one_euro`): 0 for none, 1 for the default, 2 for twice as much.
        memory: Seconds for which a lost instance is recognized by its appearance; 0 for never.

    Raises:
        CairnError: If a value is negative or not finite.
    """

    def __init__(self, gap: float = 1.0, smooth: float = 0.0, memory: float = 10.0) -> None:
        given: dict[str, Any] = {"gap": gap, "smooth": smooth, "memory": memory}
        for name, value in given.items():
            if not isinstance(value, int | float | np.number) or not 0 <= value < math.inf:
                raise CairnError(f"{name} must be a number from 0, got {value!r}")
        self.gap = gap
        self.smooth = smooth
        self.memory = memory
        self._skeleton: Skeleton | None = None
        self._class_names: tuple[str, ...] = ()
        self._cells = Cells(np.zeros((0, 2), np.intp), np.zeros(0, np.intp), 0)
        self._tracks = Tracks.started(np.zeros((0, 0, 2)), 0.0)
        self._clock = self._before = 0.0  # seconds from the first image to this one, and to the previous one
        self._time: float | None = None  # of the previous image, as given
        self._tolerance = np.zeros(0)  # (K,) squared OKS sigmas
        self._count = 0  # of track IDs
        self._images = 0  # number of images from the first with any instance on
        self._usual: NDArray[np.float64] | None = None  # (2,) mean score and confidence of detected tracks
        self._camera = CameraMotion()

    @checked
    def __call__(self, poses: Poses, time: float | None = None, image: NDArray[np.uint8] | None = None) -> Poses:
        """Returns the same instances in the same order, with track IDs, and smoothed if `smooth` is set.

        Args:
            poses: Detections of the next image.
            time: Time of the image in seconds, from any origin; None for 1/25 s after the previous one. Where it goes
                back, the minimum time passes.
            image: (H, W, 3) uint8 RGB, the image. Default: that of the poses, if they have one. Without it, tracks
                follow motion alone.

        Raises:
            SkeletonError: If the joints or the classes are not those of the previous images.
            CairnError: If the time is not finite.
        """
        image = poses.image if image is None else image
        visible = poses.detected & np.isfinite(poses.keypoints).all(axis=2)
        certainty = _certainty(poses, visible)
        relative = self._relative(certainty)
        there = np.flatnonzero(visible.any(axis=1) & (relative >= (WEAK_SCORE, WEAK_CONFIDENCE)).any(axis=1))
        self._advance(poses, time)
        self._images += bool(self._images or len(there))
        detections = self._detections(poses, visible, there, relative[:, 0], image)
        if image is not None:
            self._tracks = self._tracks.moved(self._camera(image, poses.boxes[there].astype(np.float64)))
        last = self._tracks.last_detected.max(axis=1, initial=-np.inf)
        # Images may be further apart than the gap: an instance of the previous image is not lost.
        near = (last == self._before) | (self._clock - last <= self.gap)
        partner = np.full(len(self._tracks), -1)
        partner[near] = associate(self._tracks[near], detections, self._clock, self._tolerance)
        matched = partner >= 0
        new = np.ones(len(detections), bool)
        new[partner[matched]] = False
        rows = np.concatenate([partner[matched], np.flatnonzero(new)])

        votes = self._votes(poses)[there]
        tracks = self._continued(matched, partner[matched], detections, votes)
        count = len(tracks)
        if new.any():
            tracks = tracks.concatenated(self._started(new, detections, votes, tracks))
        lost = np.flatnonzero(~matched & (self._tracks.ids > 0))
        tracks, lost = self._confirmed(tracks, rows, count, lost)
        if len(lost):
            tracks = tracks.concatenated(replace(self._tracks[lost], is_lost=np.ones(len(lost), bool)))
        self._tracks = tracks
        count = len(rows)  # the tracks that are detected in this image come first
        self._follow(certainty[there[rows[tracks.ids[:count] > 0]]])

        ids = np.full(len(poses), -1)
        ids[there[rows]] = tracks.ids[:count]
        keypoints = poses.keypoints.copy()
        if self.smooth:
            kept = np.isnan(detections.keypoints[rows])
            keypoints[there[rows]] = np.where(kept, keypoints[there[rows]], tracks.smooth[:count])
        classes = poses.classes
        if classes is not None:
            classes = classes.copy()
            classes[there[rows]] = tracks.votes[:count].argmax(axis=1)
        return replace(poses, keypoints=keypoints, ids=ids, classes=classes)

    def _votes(self, poses: Poses) -> NDArray[np.float64]:
        """Returns (P, C) 1 for the class of each instance."""
        votes = np.zeros((len(poses), len(self._class_names)))
        if poses.classes is not None:
            votes[np.arange(len(poses)), poses.classes] = 1
        return votes

    def _detections(
        self,
        poses: Poses,
        visible: NDArray[np.bool_],
        there: NDArray[np.intp],
        relative: NDArray[np.float64],
        image: NDArray[np.uint8] | None,
    ) -> Detections:
        """Returns the instances `there`, with the joints that are `visible` (P, K), and with `relative` scores (P,)."""
        visible, relative = visible[there], relative[there]
        keypoints = np.where(visible[..., None], poses.keypoints[there], np.nan).astype(np.float64)
        confidence = np.where(visible, poses.confidence[there], 0).astype(np.float64)
        mean = confidence.sum(axis=1, keepdims=True) / visible.sum(axis=1, keepdims=True)
        appearance = np.full((len(there), self._cells.count, 4), np.nan)
        overlapped = np.zeros(len(there), bool)
        if image is not None:
            appearance = self._cells.describe(image, keypoints)
            overlapped = _overlapped(keypoints)
        return Detections(
            keypoints,
            confidence / np.maximum(mean, 1e-9),
            relative >= LOW_SCORE,
            relative.clip(0, 1),
            appearance,
            overlapped,
        )

    def _continued(
        self, matched: NDArray[np.bool_], rows: NDArray[np.intp], detections: Detections, votes: NDArray[np.float64]
    ) -> Tracks:
        """Returns the matched tracks after their detections."""
        tracks, keypoints = self._tracks[matched], detections.keypoints[rows]
        if self.smooth:
            tracks = tracks.smoothed(keypoints, self._clock, self._before, self.smooth)
        tracks = tracks.corrected(keypoints, self._clock, self._tolerance)
        alone = ~detections.overlapped[rows]
        return replace(
            tracks,
            votes=tracks.votes + votes[rows],
            evidence=tracks.evidence + detections.evidence[rows],
            appearance=blended(
                tracks.appearance, detections.appearance[rows], np.where(alone, APPEARANCE_RATE, 0.0)[:, None]
            ),
        )

    def _started(
        self, new: NDArray[np.bool_], detections: Detections, votes: NDArray[np.float64], others: Tracks
    ) -> Tracks:
        """Returns new tentative tracks; duplicates of the tracks `others` are no evidence."""
        evidence = detections.evidence[new]
        if len(others):
            off = detections.keypoints[new][:, None] - others.keypoints
            near = (squared_length(off) < 4 * self._tolerance * others.size[:, None] ** 2).sum(axis=2)
            joints = np.maximum((~np.isnan(detections.keypoints[new, :, 0])).sum(axis=1), 1)
            evidence = np.where((near / joints[:, None]).max(axis=1) >= DUPLICATE, 0, evidence)
        return Tracks.started(
            detections.keypoints[new], self._clock, FIRST_VOTE * votes[new], evidence, detections.appearance[new]
        )

    def _confirmed(
        self, tracks: Tracks, rows: NDArray[Any], matched: int, lost: NDArray[np.intp]
    ) -> tuple[Tracks, NDArray[np.intp]]:
        """Returns the tracks with the IDs of those that are confirmed now, and the rows that are still lost.

        Args:
            tracks: The tracks that are detected in this image, first those that were before.
            rows: The detection of each.
            matched: Number of those that were before.
            lost: Rows of `self._tracks` that are lost.
        """
        at_once = EARLY_EVIDENCE if self._images <= EARLY else np.inf
        needed = np.where(np.arange(len(tracks)) < matched, CONFIRMED, at_once)
        unclear = np.zeros(len(tracks), bool)
        if len(lost):  # it may be one of these: wait until its appearance is known
            unclear = ~is_known(tracks) & (self._clock - tracks.since < WAIT)
        waiting = np.flatnonzero((tracks.ids < 0) & (tracks.evidence >= needed) & ~unclear)
        if not len(waiting):
            return tracks, lost
        waiting = waiting[np.argsort(rows[waiting])]
        ids = tracks.ids.copy()
        others = tracks[tracks.ids > 0]
        again = identified(tracks[waiting], self._tracks[lost], others, self._clock)
        ids[waiting[again >= 0]] = self._tracks.ids[lost[again[again >= 0]]]
        unknown = waiting[again < 0]
        ids[unknown] = self._count + 1 + np.arange(len(unknown))
        self._count += len(unknown)
        return replace(tracks, ids=ids), np.delete(lost, again[again >= 0])

    def _relative(self, certainty: NDArray[np.float64]) -> NDArray[np.float64]:
        """Returns score and confidence (P, 2) over the means of detected tracks; before there are any, the medians."""
        usual = np.median(certainty, axis=0) if self._usual is None and len(certainty) else self._usual
        if usual is None:
            return certainty
        return np.divide(certainty, usual, out=np.ones_like(certainty), where=usual > 0)

    def _follow(self, certainty: NDArray[np.float64]) -> None:
        if len(certainty):
            mean = certainty.mean(axis=0)
            self._usual = mean if self._usual is None else self._usual + SCORE_MEMORY * (mean - self._usual)

    def _advance(self, poses: Poses, time: float | None) -> None:
        """Predicts the tracks for this image, and drops those that have been lost for too long."""
        if time is not None and not math.isfinite(time):
            raise CairnError(f"the time of an image must be seconds or None, got {time}")
        skeleton = poses.skeleton
        if self._skeleton is None:
            self._skeleton, self._class_names = skeleton, poses.class_names
            self._cells = Cells.of(skeleton) if self.memory else self._cells
            nothing = np.zeros((0, len(skeleton), 2))
            self._tracks = Tracks.started(
                nothing, 0.0, np.zeros((0, len(poses.class_names))), appearance=np.zeros((0, self._cells.count, 4))
            )
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
            last = self._tracks.last_detected.max(axis=1, initial=-np.inf)
            kept = (last == self._before) | (self._clock - last <= max(self.gap, self.memory))
            self._tracks = self._tracks[kept].predicted(elapsed)
        self._time = time


def _certainty(poses: Poses, visible: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Returns (P, 2) the score of each instance and the mean confidence of its `visible` joints (P, K)."""
    confidence = np.where(visible, poses.confidence, 0).sum(axis=1) / np.maximum(visible.sum(axis=1), 1)
    return np.stack([poses.scores, confidence], axis=1).astype(np.float64)


def _overlapped(keypoints: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Returns (N,) which detections another one may occlude: its middle is within their size."""
    if len(keypoints) < 2:
        return np.zeros(len(keypoints), bool)
    middle = centers(keypoints)
    apart = squared_length(middle[:, None] - middle) + np.diag(np.full(len(middle), np.inf))
    near = apart < (0.5 * instance_sizes(keypoints)[:, None]) ** 2
    overlapped: NDArray[np.bool_] = np.any(near, axis=1)
    return overlapped
