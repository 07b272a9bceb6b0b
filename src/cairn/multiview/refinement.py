"""Refinement over time: gaps filled, trajectories smoothed, and limbs of constant length.

After Anipose (Karashchuk et al. 2021): the reprojection error, the acceleration of the keypoints and the deviation of
limbs from their median length are minimized together. The reprojection error is taken as a quadratic form around the
triangulated point, whose matrix is that of the last Gauss-Newton step; a Levenberg-Marquardt loop solves the rest in
blocks of frames, by banded Cholesky factorization.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cairn.structures.camera import Rig
from cairn.structures.poses3d import Trajectories

Array = NDArray[np.float64]

ACCELERATION = 6.0
"""Expected acceleration at strength 1: instance sizes per second squared. For a person, 10 m/s²."""

LIMB_SPREAD = 0.01
"""Expected deviation of a limb from its median length, as a share of it."""

BLOCK, OVERLAP = 400, 20  # frames that are solved together, and frames at their ends that are solved twice
ITERATIONS = 12
ROBUST = 3.0  # standard deviations from which a point counts less (Huber)
MIN_PIXELS = 0.5  # of the noise


def filled(tracks: Trajectories, longest: int) -> Trajectories:
    """Fills gaps of up to `longest` frames by cubic Hermite curves, and marks what is filled as interpolated.

    A gap at the start or the end of a track stays, as does a longer one.
    """
    keypoints, confidence = tracks.keypoints.copy(), tracks.confidence.copy()
    marked = np.zeros(confidence.shape, bool) if tracks.interpolated is None else tracks.interpolated.copy()
    known = tracks.known
    for person, joint in np.ndindex(known.shape[1:]):
        frames = np.flatnonzero(known[:, person, joint])
        for at in np.flatnonzero((np.diff(frames) > 1) & (np.diff(frames) <= longest + 1)):
            a, b = frames[at], frames[at + 1]
            gap = np.arange(a + 1, b)
            keypoints[gap, person, joint] = _hermite(tracks.keypoints[:, person, joint], frames, at, gap)
            confidence[gap, person, joint] = min(confidence[a, person, joint], confidence[b, person, joint])
            marked[gap, person, joint] = True
    return replace(tracks, keypoints=keypoints, confidence=confidence, interpolated=marked)


def information(rig: Rig, tracks: Trajectories, used: NDArray[np.bool_]) -> Array:
    """Returns the matrix of the squared reprojection error around each keypoint, (F, P, K, 3, 3) in px²/m².

    Args:
        rig: V cameras.
        tracks: The triangulated keypoints.
        used: (V, F, P, K) cameras that each was triangulated from.
    """
    points = np.where(tracks.known[..., None], tracks.keypoints, 0)
    total = np.zeros((*points.shape, 3))
    for camera, own in zip(rig, used, strict=True):
        moved = camera.to_camera(points)
        depth = np.where(own, moved[..., 2], 1)[..., None]
        rotation = camera.rotation
        slope = (rotation[:2] - (moved[..., :2] / depth)[..., None] * rotation[2]) / depth[..., None]
        slope = np.where(own[..., None, None], camera.matrix[:2, :2] @ slope, 0)
        total += np.swapaxes(slope, -1, -2) @ slope
    return np.where(tracks.known[..., None, None], total, 0)


def refined(tracks: Trajectories, matrices: Array, smooth: float, limbs: bool) -> Trajectories:
    """Returns smoothed trajectories.

    Keypoints stay unknown where they are; interpolated ones move freely between the others.

    Args:
        tracks: The keypoints.
        matrices: (F, P, K, 3, 3) from `information`.
        smooth: Strength of smoothing: 0 for none, 1 for the default, 2 for half the acceleration.
        limbs: Whether the limbs of the skeleton's tree keep their median length.
    """
    keypoints = tracks.keypoints.copy()
    for person in range(len(tracks.ids)):
        problem = _Problem.of(tracks.person(person), matrices[:, person], smooth, limbs)
        if problem is None:
            continue
        solved = keypoints[:, person].copy()
        for start in range(0, len(tracks), BLOCK):
            low, high = max(start - OVERLAP, 0), min(start + BLOCK + OVERLAP, len(tracks))
            part = _solved(problem.at(low, high))
            solved[start : start + BLOCK] = part[start - low : start - low + BLOCK]
        keypoints[:, person] = np.where(tracks.known[:, person, :, None], solved, np.nan)
    return replace(tracks, keypoints=keypoints)


@dataclass(frozen=True, eq=False)
class _Problem:
    """The least-squares problem of one track in F frames.

    Attributes:
        points: (F, K, 3) triangulated; NaN where unknown.
        matrices: (F, K, 3, 3), in standard deviations of the noise; 0 where unknown or interpolated.
        bend: Weight of the second differences in 1/m.
        limbs: L pairs of joints.
        lengths: (L,) in meters.
    """

    points: Array
    matrices: Array
    bend: float
    limbs: tuple[tuple[int, int], ...]
    lengths: Array

    @classmethod
    def of(cls, track: Trajectories, matrices: Array, smooth: float, limbs: bool) -> _Problem | None:
        points = track.keypoints[:, 0]
        known = np.isfinite(points[..., 0])
        if known.any(axis=1).sum() < 3:
            return None
        noise = MIN_PIXELS if track.errors is None else max(float(np.nanmedian(track.errors)), MIN_PIXELS)
        high = np.where(known[..., None], points, -np.inf).max(axis=1)
        low = np.where(known[..., None], points, np.inf).min(axis=1)
        size = (
            float(np.median((high - low).max(axis=1)[known.sum(axis=1) > 1])) if (known.sum(axis=1) > 1).any() else 1.0
        )
        bend = smooth * track.rate**2 / (ACCELERATION * max(size, 1e-9))
        if track.interpolated is not None:
            matrices = np.where(track.interpolated[:, 0, :, None, None], 0, matrices)
        pairs = [track.skeleton.limbs[i] for i in track.skeleton.tree] if limbs else []
        lengths = {}
        for a, b in pairs:
            length = np.linalg.norm(points[:, a] - points[:, b], axis=1)
            if np.isfinite(length).sum() >= 3:
                lengths[a, b] = float(np.nanmedian(length))
        return cls(points, matrices / noise**2, bend, tuple(lengths), np.array(list(lengths.values())))

    def at(self, low: int, high: int) -> _Problem:
        """Returns the problem of some frames."""
        return replace(self, points=self.points[low:high], matrices=self.matrices[low:high])

    def cost(self, moved: Array) -> float:
        """Returns the sum of the robust squared residuals at points (F, K, 3)."""
        square = self._distances(moved)
        total = np.where(square <= ROBUST**2, square, 2 * ROBUST * np.sqrt(square) - ROBUST**2).sum()
        total += (self._bends(moved) ** 2).sum()
        for (a, b), length in zip(self.limbs, self.lengths, strict=True):
            off = (np.linalg.norm(moved[:, a] - moved[:, b], axis=1) - length) / (LIMB_SPREAD * length)
            total += np.nansum(off**2)
        return float(total)

    def _distances(self, moved: Array) -> Array:
        off = np.nan_to_num(moved - self.points)
        return np.asarray(np.einsum("fki,fkij,fkj->fk", off, self.matrices, off))

    def _bends(self, moved: Array) -> Array:
        return np.nan_to_num(self.bend * (moved[2:] - 2 * moved[1:-1] + moved[:-2]))

    def normal_equations(self, moved: Array) -> tuple[Array, Array]:
        """Returns the banded matrix (6 K + 1, 3 F K) in LAPACK's lower form, and the right-hand side (3 F K,)."""
        frames, joints = moved.shape[:2]
        width = 3 * joints
        band = np.zeros((2 * width + 1, frames, joints, 3))
        vector = np.zeros((frames, joints, 3))
        weights = np.minimum(1, ROBUST / np.sqrt(np.maximum(self._distances(moved), 1e-12)))
        matrices = self.matrices * weights[..., None, None]
        vector += np.einsum("fkij,fkj->fki", matrices, np.nan_to_num(self.points - moved))
        for i in range(3):
            for j in range(i + 1):
                band[i - j, :, :, j] += matrices[..., i, j]
        bends, there = self._bends(moved), np.isfinite(moved[2:] + moved[1:-1] + moved[:-2])
        for first, by in enumerate((1, -2, 1)):
            rows = slice(first, frames - 2 + first)
            vector[rows] -= self.bend * by * bends
            for second in range(first + 1):
                other = (1, -2, 1)[second]
                part = slice(second, frames - 2 + second)
                band[(first - second) * width, part] += self.bend**2 * by * other * there
        for (a, b), length in zip(self.limbs, self.lengths, strict=True):
            along = moved[:, a] - moved[:, b]
            distance = np.linalg.norm(along, axis=1)
            scale = LIMB_SPREAD * length
            slope = np.nan_to_num(along / np.maximum(distance, 1e-9)[:, None]) / scale
            off = np.nan_to_num((distance - length) / scale)[:, None]
            vector[:, a] -= slope * off
            vector[:, b] += slope * off
            low, high = min(a, b), max(a, b)
            for i in range(3):
                for j in range(3):
                    product = slope[:, i] * slope[:, j]
                    if j <= i:
                        band[i - j, :, a, j] += product
                        band[i - j, :, b, j] += product
                    band[3 * (high - low) + i - j, :, low, j] -= product
        return band.reshape(2 * width + 1, -1), vector.ravel()


def _solved(problem: _Problem) -> Array:
    """Minimizes the problem: Levenberg-Marquardt, in which a step that raises the cost is not taken."""
    from scipy.linalg import LinAlgError, solveh_banded

    moved = problem.points.copy()
    known = np.isfinite(moved).ravel()
    lowest, damping = problem.cost(moved), 1e-6
    for _ in range(ITERATIONS):
        band, vector = problem.normal_equations(moved)
        mean = float(band[0][known].mean()) if known.any() else 1.0
        band[0] += damping * np.maximum(band[0], 1e-9 * mean) + 1e-12 * mean
        band[0][~known] = 1
        try:
            step = solveh_banded(band, np.where(known, vector, 0), lower=True, overwrite_ab=True)
        except LinAlgError:
            damping *= 100
            continue
        candidate = moved + step.reshape(moved.shape)
        cost = problem.cost(candidate)
        if not cost < lowest:
            damping *= 100
            continue
        gain, lowest, moved, damping = lowest - cost, cost, candidate, damping / 10
        if gain < 1e-4 * lowest:
            break
    return moved


def _hermite(points: Array, frames: NDArray[np.intp], at: int, gap: NDArray[np.intp]) -> Array:
    """Returns points (G, 3) of the curve over a gap, with the mean slopes at its ends."""
    a, b = int(frames[at]), int(frames[at + 1])
    span = b - a
    chord = (points[b] - points[a]) / span

    def slope(near: int, far: int) -> Array:
        if not 0 <= far < len(frames):
            return np.asarray(chord)
        own = (points[frames[near]] - points[frames[far]]) / (frames[near] - frames[far])
        return np.asarray((chord + own) / 2)

    start, end = slope(at, at - 1), slope(at + 1, at + 2)
    t = ((gap - a) / span)[:, None]
    curve = (2 * t**3 - 3 * t**2 + 1) * points[a] + (t**3 - 2 * t**2 + t) * span * start
    return np.asarray(curve + (3 * t**2 - 2 * t**3) * points[b] + (t**3 - t**2) * span * end)
