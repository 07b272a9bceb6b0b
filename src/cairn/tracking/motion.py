"""Motion model: where the instances of a video are expected in the next image, and how certain that is.

An instance moves as a whole. Its velocity is an Ornstein-Uhlenbeck process with a root mean square of `SPEED` sizes
per second that decorrelates within `VELOCITY_TIME` seconds. Each joint drifts from its last detected position on the
instance. Both have closed forms for any elapsed time, so frame rates may vary and a gap needs no special case: a
Kalman filter gives the predicted position and its variance.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.ops.smoothing import one_euro

SPEED = 2.0
"""Root mean square velocity per axis, sizes per second. A person who walks has 2, a runner 10."""

INITIAL_SPEED = 4.0
"""The same of a new track, which may be a runner."""

VELOCITY_TIME = 1.0
"""Seconds after which the autocorrelation of a velocity is 1/e."""

JOINT_DRIFT = 0.15
"""Standard deviation per axis, in sizes, of a joint's position on its instance after a long time without detection."""

SIZE_FACTOR = 2.0
"""Size of an instance over the root mean square distance of its joints from their mean: √area of people."""

DEFAULT_SIZE = 32.0
"""Pixels: size of an instance with one known keypoint."""

SMOOTHING_GAP = 0.25
"""Seconds for which a joint may be missing and is still smoothed with its last positions."""


@dataclass(frozen=True, eq=False)
class Tracks:
    """The predicted state of T tracks in the current image.

    Attributes:
        ids: (T,) track IDs; -1 for tentative tracks, which have been detected in one image alone.
        keypoints: (T, K, 2) float64, pixels; NaN where a joint was never detected.
        since: (T,) time of the first detection, seconds.
        is_lost: (T,) whether the track was not detected in the previous image.
        last_detected: (T, K) time of the last detection of each joint, seconds; -inf where never.
        velocity: (T, 2) pixels per second.
        variance: (T, 3) variance of the position, covariance of position and velocity, variance of the velocity, per
            axis, in squared sizes (per second, per second²).
        size: (T,) pixels.
        smooth: (T, K, 2) smoothed keypoints at the last detection of each joint; NaN where never.
        speeds: (T, K, 2) velocity estimates of the smoothing filter.
        votes: (T, C) number of detections of each class; C = 0 without classes.
        evidence: (T,) how many confident detections the track has, a less confident one for a share.
        appearance: (T, A, 4) appearance of its cells (`cairn.tracking.appearance`), NaN where unknown; A = 0 without
            images.
    """

    ids: NDArray[np.int64]
    keypoints: NDArray[np.float64]
    since: NDArray[np.float64]
    is_lost: NDArray[np.bool_]
    last_detected: NDArray[np.float64]
    velocity: NDArray[np.float64]
    variance: NDArray[np.float64]
    size: NDArray[np.float64]
    smooth: NDArray[np.float64]
    speeds: NDArray[np.float64]
    votes: NDArray[np.float64]
    evidence: NDArray[np.float64]
    appearance: NDArray[np.float64]

    @classmethod
    def started(
        cls,
        detections: NDArray[np.float64],
        clock: float,
        votes: NDArray[np.float64] | None = None,
        evidence: NDArray[np.float64] | None = None,
        appearance: NDArray[np.float64] | None = None,
    ) -> Tracks:
        """Returns new tentative tracks of detections (T, K, 2) at a time in seconds.

        Args:
            detections: (T, K, 2) pixels; NaN where a joint is not detected.
            clock: Time of the image, seconds.
            votes: (T, C) votes for classes. Default: no classes.
            evidence: (T,) number of confident detections. Default: 1.
            appearance: (T, A, 4) appearance. Default: none.
        """
        count = len(detections)
        return cls(
            ids=np.full(count, -1),
            keypoints=detections,
            since=np.full(count, clock),
            is_lost=np.zeros(count, bool),
            last_detected=np.where(np.isnan(detections[..., 0]), -np.inf, clock),
            velocity=np.zeros((count, 2)),
            variance=np.tile([0.0, 0.0, INITIAL_SPEED**2], (count, 1)),
            size=instance_sizes(detections),
            smooth=detections,
            speeds=np.zeros_like(detections),
            votes=np.zeros((count, 0)) if votes is None else votes,
            evidence=np.ones(count) if evidence is None else evidence,
            appearance=np.zeros((count, 0, 4)) if appearance is None else appearance,
        )

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, rows: NDArray[Any]) -> Tracks:
        """Returns some of the tracks, by their rows or by a mask (T,)."""
        if rows.dtype == bool and rows.all():
            return self
        return Tracks(*(column[rows] for column in vars(self).values()))

    def concatenated(self, other: Tracks) -> Tracks:
        """Returns these tracks and those of `other`."""
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return Tracks(*(np.concatenate(pair) for pair in pairs))

    def predicted(self, elapsed: float) -> Tracks:
        """Returns the tracks after some seconds: moments of an Ornstein-Uhlenbeck velocity and of its integral."""
        decay = math.exp(-elapsed / VELOCITY_TIME)
        reach = VELOCITY_TIME * (1 - decay)  # seconds: expected displacement per unit of velocity
        step = np.array([[1, 0, 0], [2 * reach, decay, 0], [reach**2, decay * reach, decay**2]])
        spread = VELOCITY_TIME**2 * (2 * elapsed / VELOCITY_TIME - 3 + 4 * decay - decay**2)
        new = SPEED**2 * np.array([spread, VELOCITY_TIME * (1 - decay) ** 2, 1 - decay**2])
        return replace(
            self,
            keypoints=self.keypoints + reach * self.velocity[:, None],
            velocity=decay * self.velocity,
            variance=self.variance @ step + new,
        )

    def moved(self, motion: NDArray[np.float64]) -> Tracks:
        """Returns the tracks in the pixels of an image whose camera has moved, by a similarity (2, 3)."""
        linear, shift = motion[:, :2], motion[:, 2]
        return replace(
            self,
            keypoints=self.keypoints @ linear.T + shift,
            velocity=self.velocity @ linear.T,
            size=self.size * math.sqrt(abs(float(np.linalg.det(linear)))),
            smooth=self.smooth @ linear.T + shift,
            speeds=self.speeds @ linear.T,
        )

    def variances(self, clock: float, tolerance: NDArray[np.float64]) -> NDArray[np.float64]:
        """Returns the variance of each joint's predicted position.

        Args:
            clock: Time of the image, seconds.
            tolerance: (K,) squared OKS sigmas.

        Returns:
            (T, K) per axis, in squared sizes.
        """
        drift = JOINT_DRIFT**2 * (1 - np.exp(-2 * (clock - self.last_detected) / VELOCITY_TIME))
        return tolerance + drift + self.variance[:, :1]

    def corrected(self, detections: NDArray[np.float64], clock: float, tolerance: NDArray[np.float64]) -> Tracks:
        """Returns the tracks after their detections in this image (Kalman update).

        Args:
            detections: (T, K, 2) pixels; NaN where a joint is not detected: it moves along with the others.
            clock: Time of the image, seconds.
            tolerance: (K,) squared OKS sigmas.
        """
        detected = ~np.isnan(detections[..., 0])
        off = detections - self.keypoints
        both = ~np.isnan(off[..., 0])
        off = np.where(both[..., None], off, 0)
        distance = squared_length(off) / self.size[:, None] ** 2
        # A joint far from its prediction tells little about the instance's motion: its weight is its similarity.
        weight = both * (np.exp(-distance / (2 * self.variances(clock, tolerance))) + 1e-9)
        total = np.maximum(weight.sum(axis=1), 1e-12)
        step = (weight[:, None] @ off)[:, 0] / total[:, None]  # (T, 2)
        noise = weight @ tolerance / total / np.maximum(both.sum(axis=1), 1)
        position, covariance, speed = self.variance.T
        gain = covariance / (position + noise)
        keypoints = np.where(detected[..., None], detections, self.keypoints + step[:, None])
        return replace(
            self,
            keypoints=keypoints,
            is_lost=np.zeros(len(self), bool),
            last_detected=np.where(detected, clock, self.last_detected),
            velocity=self.velocity + gain[:, None] * step,
            variance=np.array([noise, gain * noise, speed - gain * covariance]).T,
            size=instance_sizes(keypoints),
        )

    def smoothed(self, detections: NDArray[np.float64], clock: float, before: float, strength: float) -> Tracks:
        """Returns the tracks with `smooth` and `speeds` after their detections in this image.

        Args:
            detections: (T, K, 2) pixels; NaN where a joint is not detected.
            clock: Time of the image, seconds.
            before: Time of the previous image, seconds.
            strength: Strength of the filter, see `one_euro`.
        """
        detected = ~np.isnan(detections[..., :1])
        lost = (clock - self.last_detected > SMOOTHING_GAP) & (self.last_detected < before)
        last = np.where(lost[..., None], np.nan, self.smooth)
        smooth, speeds = one_euro(detections, last, self.speeds, self.size, clock - self.last_detected, strength)
        return replace(
            self, smooth=np.where(detected, smooth, self.smooth), speeds=np.where(detected, speeds, self.speeds)
        )


def instance_sizes(keypoints: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the size of each instance, (T,) pixels, from the spread of its keypoints (T, K, 2)."""
    known = ~np.isnan(keypoints[..., 0])
    off = np.where(known[..., None], keypoints - centers(keypoints)[:, None], 0)
    spread = np.sqrt(squared_length(off).sum(axis=1) / np.maximum(known.sum(axis=1), 1))
    return np.where(spread > 0, SIZE_FACTOR * spread, DEFAULT_SIZE)


def centers(keypoints: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns (T, 2) the mean of the known keypoints (T, K, 2), 0 where none is."""
    known = ~np.isnan(keypoints[..., :1])
    total = np.where(known, keypoints, 0).sum(axis=1)
    mean: NDArray[np.float64] = total / np.maximum(known.sum(axis=1), 1)
    return mean


def squared_length(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns x² + y² of vectors (..., 2); faster than a sum over an axis of two."""
    x, y = vectors[..., 0], vectors[..., 1]
    return x * x + y * y
