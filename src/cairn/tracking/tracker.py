"""Who is who over time: the objects of a video get numbers that stay with them.

    tracker = Tracker()
    for image, seconds in ...:
        poses = tracker(model(image), seconds)  # poses.ids

Where an object is expected: it moves as a whole, with a velocity of about `SPEED` sizes a second that lasts for about
`STEADY` seconds (an Ornstein-Uhlenbeck process), and each joint strays from where it was last found on its object.
Both have closed forms for any time that passes, so that frame rates may vary and a gap is nothing special: a Kalman
filter says where an object should be and how far off that may be.

Who is who: what is expected and what is found are alike by OKS over the joints that both have, its tolerance (here
sigma, not twice that) widened by how far off the expectation may be. Of all ways to give each object one find the
likeliest is taken, first for those who have a number.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cairn.errors import CairnError, SkeletonError
from cairn.ops.assignment import assign
from cairn.ops.smoothing import one_euro
from cairn.structures.poses import Poses
from cairn.structures.skeleton import Skeleton

RATE = 25.0  # images a second, where no time is known
MOMENT = 1e-3  # seconds: the least that lies between two images
SPEED = 2.0  # sizes a second, each way: the root mean square of velocities; a person who walks has 2, a runner 10
FIRST_SPEED = 4.0  # the same of somebody new, who may be a runner
STEADY = 1.0  # seconds after which a velocity keeps 1/e of itself
STRAY = 0.15  # sizes, each way: how far off a joint is in the end
LEAST = 0.001  # likeness below which two are not the same: 3.7 standard deviations
SPREAD = 2.0  # an object's size over its joints' root mean square distance from their middle: √area of people
UNKNOWN = 32.0  # pixels: the size of an object of which one point alone is known
FLICKER = 0.25  # seconds for which a joint may be lost and is still smoothed with what was before


class Tracker:
    """Gives the objects of one video their numbers, image by image.

    gap     seconds for which an object may be out of sight and keep its number
    smooth  how strongly keypoints are smoothed (`one_euro`): 0 not at all, 1 as usual, 2 twice as much

    The objects of the first image that has any are numbered at once. A later one is -1 until it is found in the
    next image too: what is seen but once gets no number.
    """

    def __init__(self, gap: float = 1.0, smooth: float = 0.0) -> None:
        for name, value in (("gap", gap), ("smooth", smooth)):
            if not 0 <= value < math.inf:
                raise CairnError(f"{name} must be a number from 0, got {value}")
        self.gap = gap
        self.smooth = smooth
        self._skeleton: Skeleton | None = None
        self._tracks = _Tracks.born(np.zeros((0, 0, 2)), 0.0)
        self._clock = self._before = 0.0  # seconds from the first image to this one, and to the last
        self._time: float | None = None  # of the last image, as told
        self._tolerance = np.zeros(0)
        self._given = 0  # numbers

    def __call__(self, poses: Poses, time: float | None = None) -> Poses:
        """The same objects in the same order, with `ids`, and smoothed where that was asked for.

        time  of the image in seconds, from whenever; None for 1/25 after the last one. Where it goes back, no time
              has passed.
        Raises SkeletonError where the joints are not those of the images before.
        """
        self._advance(poses.skeleton, time)
        visible = poses.detected & np.isfinite(poses.keypoints).all(axis=2)
        there = np.flatnonzero(visible.any(axis=1))
        found = np.where(visible[..., None], poses.keypoints, np.nan).astype(np.float64)[there]
        partner = self._partners(found)  # (T,)
        met = np.flatnonzero(partner >= 0)
        new = np.setdiff1d(np.arange(len(found)), partner)
        rows = np.concatenate([partner[met], new])

        seen = self._tracks[met]
        if self.smooth:
            seen = seen.smoothed(found[partner[met]], self._clock, self._before, self.smooth)
        seen = seen.corrected(found[partner[met]], self._clock, self._tolerance)
        seen = seen.joined(_Tracks.born(found[new], self._clock))
        seen = replace(seen, ids=self._numbered(seen.ids, rows, len(met)))
        lost = np.flatnonzero((partner < 0) & (self._tracks.ids > 0))
        self._tracks = seen.joined(self._tracks[lost])

        ids = np.full(len(poses), -1)
        ids[there[rows]] = seen.ids
        keypoints = poses.keypoints.copy()
        if self.smooth:
            keypoints[there[rows]] = np.where(np.isnan(found[rows]), keypoints[there[rows]], seen.smooth)
        return replace(poses, keypoints=keypoints, ids=ids)

    def _advance(self, skeleton: Skeleton, time: float | None) -> None:
        """Lets the time pass until this image; the first one begins."""
        if time is not None and not math.isfinite(time):
            raise CairnError(f"the time of an image must be seconds or None, got {time}")
        if self._skeleton is None:
            self._skeleton, self._tracks = skeleton, _Tracks.born(np.zeros((0, len(skeleton), 2)), 0.0)
            self._tolerance = np.array(skeleton.sigmas) ** 2
        elif skeleton.joints != self._skeleton.joints:
            raise SkeletonError(
                f"a tracker follows objects of one skeleton, {self._skeleton.name}, got {skeleton.name}: "
                "make a new tracker for each video"
            )
        else:
            known = time is not None and self._time is not None
            elapsed = max(time - self._time, MOMENT) if known else 1 / RATE  # type: ignore[operator]
            self._before, self._clock = self._clock, self._clock + elapsed
            # Images may be further apart than the gap: who was in the last one has not been out of sight.
            last = self._tracks.seen.max(axis=1, initial=-np.inf)
            kept = np.flatnonzero((last == self._before) | (self._clock - last <= self.gap))
            self._tracks = self._tracks[kept].predicted(elapsed)
        self._time = time

    def _partners(self, found: NDArray) -> NDArray[np.intp]:
        """(T,) the row of `found` (N, K, 2) that each track goes on with, -1 for none; who has a number comes first."""
        tracks = self._tracks
        partner = np.full(len(tracks), -1)
        left = np.arange(len(found))
        gains = _gains(tracks, found, self._clock, self._tolerance)
        for group in (np.flatnonzero(tracks.ids > 0), np.flatnonzero(tracks.ids < 0)):
            chosen = assign(gains[np.ix_(group, left)])
            pairs = [(i, left[j]) for i, j in zip(group, chosen, strict=True) if j >= 0 and gains[i, left[j]] > 0]
            for i, row in pairs:
                partner[i] = row
            left = np.setdiff1d(left, partner)
        return partner

    def _numbered(self, ids: NDArray, rows: NDArray, met: int) -> NDArray[np.int64]:
        """`ids` with a number for each of the first `met` that has none, or in the first image for all, by `rows`."""
        first = self._given == 0 and met == 0
        waiting = np.flatnonzero((ids < 0) & ((np.arange(len(ids)) < met) | first))
        waiting = waiting[np.argsort(rows[waiting])]
        numbered = ids.copy()
        numbered[waiting] = self._given + 1 + np.arange(len(waiting))
        self._given += len(waiting)
        return numbered


@dataclass(frozen=True, eq=False)
class _Tracks:
    """T objects as they should be in this image.

    ids        (T,) -1 for those seen but once
    keypoints  (T, K, 2) float64, pixels; NaN where a joint was never found
    seen       (T, K) when each joint was last found, seconds; -inf where never
    velocity   (T, 2) pixels a second
    variance   (T, 3) of the place, of place with velocity, of the velocity, each way, in squares of the size
    size       (T,) pixels
    smooth     (T, K, 2) smoothed keypoints when each joint was last found; NaN likewise
    speeds     (T, K, 2) of the filter that smooths
    """

    ids: NDArray[np.int64]
    keypoints: NDArray[np.float64]
    seen: NDArray[np.float64]
    velocity: NDArray[np.float64]
    variance: NDArray[np.float64]
    size: NDArray[np.float64]
    smooth: NDArray[np.float64]
    speeds: NDArray[np.float64]

    @classmethod
    def born(cls, found: NDArray, clock: float) -> _Tracks:
        count = len(found)
        return cls(
            ids=np.full(count, -1),
            keypoints=found,
            seen=np.where(np.isnan(found[..., 0]), -np.inf, clock),
            velocity=np.zeros((count, 2)),
            variance=np.tile([0.0, 0.0, FIRST_SPEED**2], (count, 1)),
            size=_size(found),
            smooth=found,
            speeds=np.zeros_like(found),
        )

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, rows: NDArray) -> _Tracks:
        return _Tracks(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))

    def joined(self, other: _Tracks) -> _Tracks:
        pairs = ((getattr(self, name), getattr(other, name)) for name in self.__dataclass_fields__)
        return _Tracks(*(np.concatenate(pair) for pair in pairs))

    def predicted(self, elapsed: float) -> _Tracks:
        """After some seconds: the mean and the variance of an Ornstein-Uhlenbeck velocity, and of its integral."""
        kept = math.exp(-elapsed / STEADY)
        reach = STEADY * (1 - kept)  # seconds' worth of the velocity that are still to be traveled
        place, both, speed = self.variance.T
        place = place + 2 * reach * both + reach**2 * speed
        place += SPEED**2 * STEADY**2 * (2 * elapsed / STEADY - 3 + 4 * kept - kept**2)
        both = kept * (both + reach * speed) + SPEED**2 * STEADY * (1 - kept) ** 2
        speed = kept**2 * speed + SPEED**2 * (1 - kept**2)
        return replace(
            self,
            keypoints=self.keypoints + reach * self.velocity[:, None],
            velocity=kept * self.velocity,
            variance=np.stack([place, both, speed], axis=1),
        )

    def variances(self, clock: float, tolerance: NDArray) -> NDArray[np.float64]:
        """(T, K) of each joint's place, each way, in squares of the size; `tolerance` (K,) those of the sigmas."""
        strayed = STRAY**2 * (1 - np.exp(-2 * (clock - self.seen) / STEADY))
        return tolerance + strayed + self.variance[:, :1]

    def corrected(self, found: NDArray, clock: float, tolerance: NDArray) -> _Tracks:
        """As found (T, K, 2), NaN where a joint was not: that moves along with the others."""
        off = found - self.keypoints
        both = ~np.isnan(off[..., 0])
        variance = self.variances(clock, tolerance)
        distance = (np.where(both[..., None], off, 0) ** 2).sum(axis=2) / self.size[:, None] ** 2
        # A joint that was found elsewhere says little of where the object went: it counts as much as it is alike.
        weight = np.where(both, np.exp(-distance / (2 * variance)), 0) + 1e-9 * both
        total = np.maximum(weight.sum(axis=1), 1e-12)
        step = (np.where(both[..., None], off, 0) * weight[..., None]).sum(axis=1) / total[:, None]  # (T, 2)
        noise = (tolerance * weight).sum(axis=1) / total / np.maximum(both.sum(axis=1), 1)
        place, with_velocity, speed = self.variance.T
        gain = with_velocity / (place + noise)
        here = ~np.isnan(found[..., 0])
        keypoints = np.where(here[..., None], found, self.keypoints + step[:, None])
        return replace(
            self,
            keypoints=keypoints,
            seen=np.where(here, clock, self.seen),
            velocity=self.velocity + gain[:, None] * step,
            variance=np.stack([noise, gain * noise, speed - gain * with_velocity], axis=1),
            size=_size(keypoints),
        )

    def smoothed(self, found: NDArray, clock: float, before: float, strength: float) -> _Tracks:
        """`smooth` and `speeds` after what was found (T, K, 2); `before` is when the last image was."""
        here = ~np.isnan(found[..., :1])
        gone = (clock - self.seen > FLICKER) & (self.seen < before)
        last = np.where(gone[..., None], np.nan, self.smooth)
        smooth, speeds = one_euro(found, last, self.speeds, self.size, clock - self.seen, strength)
        return replace(self, smooth=np.where(here, smooth, self.smooth), speeds=np.where(here, speeds, self.speeds))


def _gains(tracks: _Tracks, found: NDArray, clock: float, tolerance: NDArray) -> NDArray[np.float64]:
    """(T, N) how much is won by saying that a track is what was found (N, K, 2); 0 where they are not alike."""
    variance = tracks.variances(clock, tolerance)
    dx, dy = (tracks.keypoints[:, None, :, axis] - found[..., axis] for axis in (0, 1))  # apart they are faster
    near = np.exp(-(dx * dx + dy * dy) / (2 * variance * tracks.size[:, None] ** 2)[:, None])
    both = ~np.isnan(near)
    alike = np.where(both, near, 0).sum(axis=2) / np.maximum(both.sum(axis=2), 1)  # OKS
    known = ~np.isnan(tracks.keypoints[..., 0])
    # Who might be anywhere is nowhere likely: by the standard deviation. By its square, as a plane's densities go, is
    # too much for a likeness that grows so slowly.
    vague = np.where(known, np.log(variance / tolerance), 0).sum(axis=1) / known.sum(axis=1) / 2
    gain = np.log(np.maximum(alike, LEAST) / LEAST) + (vague.max(initial=0) - vague)[:, None]
    return np.where(alike > LEAST, gain, 0)


def _size(keypoints: NDArray) -> NDArray[np.float64]:
    """(T,) pixels."""
    known = ~np.isnan(keypoints[..., :1])
    count = np.maximum(known.sum(axis=1), 1)
    middle = np.where(known, keypoints, 0).sum(axis=1) / count
    off = np.where(known, keypoints - middle[:, None], 0)
    spread = np.sqrt((off**2).sum(axis=(1, 2)) / count[:, 0])
    return np.where(spread > 0, SPREAD * spread, UNKNOWN)
