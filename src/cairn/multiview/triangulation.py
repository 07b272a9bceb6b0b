"""Triangulation: points of the world from their pixels in several calibrated cameras.

Hartley and Zisserman (2004), chapter 12; rows weighted by confidence as in Iskakov et al. (2019), "Algebraic
triangulation". All points are solved at once, whichever cameras each of them was detected in.

    direct linear transform in normalized coordinates   -> linear_points
    Gauss-Newton steps on the reprojection error         -> _refined
    cameras that contradict the others are dropped       -> triangulate_points, _largest_agreement
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from cairn.structures.camera import PINHOLE_LENGTHS, Camera, Rig
from cairn.structures.distortion import pinhole_jacobian

Array = NDArray[np.float64]

MAX_ERROR = 20.0
"""Default reprojection error in pixels from which cameras are dropped."""

MIN_VIEWS = 2
"""Number of cameras that a point needs: one camera tells no depth."""

PAIR = 2
STEPS = 2
BLOCK = 8192  # points at a time, which fit the cache
SINGULAR = 1e-14  # determinant of a normal matrix over its cubed mean diagonal: rays without an angle between them


@dataclass(frozen=True, eq=False)
class Points:
    """Triangulated points.

    Attributes:
        positions: (N, 3) in meters; NaN where fewer cameras than required agree.
        errors: (N,) reprojection error in pixels, the root mean square over the cameras used; NaN where unknown.
        used: (V, N) bool, cameras that a point was triangulated from.
        residuals: (V, N) distance in pixels from each detection to the reprojected point, also of cameras that were
            dropped; NaN where there is no detection or no point.
    """

    positions: Array
    errors: Array
    used: NDArray[np.bool_]
    residuals: Array

    @property
    def views(self) -> NDArray[np.int64]:
        """(N,): number of cameras that each point was triangulated from."""
        return np.asarray(self.used.sum(axis=0), np.int64)


def triangulate_points(
    rig: Rig, pixels: Array, confidence: Array, max_error: float = MAX_ERROR, min_views: int = MIN_VIEWS
) -> Points:
    """Triangulates N points, each from the cameras that it was detected in.

    While the reprojection error of a point is above `max_error` and more than `min_views` cameras remain, the camera
    whose omission leaves the lowest error is dropped. Where that drops several cameras, the largest number of cameras
    that agree with two of them counts instead (RANSAC over all pairs). A point whose error stays above `max_error` is
    missing, as is one that fewer cameras detected.

    Args:
        rig: V cameras.
        pixels: (V, N, 2) detections; NaN where there is none.
        confidence: (V, N) weight of each detection; 0 for none.
        max_error: Highest reprojection error in pixels, the root mean square over the cameras used.
        min_views: Lowest number of cameras of a point, at least 2.
    """
    min_views = max(min_views, MIN_VIEWS)
    count = pixels.shape[1]
    parts = [
        _triangulated(rig, pixels[:, at : at + BLOCK], confidence[:, at : at + BLOCK], max_error, min_views)
        for at in range(0, max(count, 1), BLOCK)
    ]
    return Points(
        np.concatenate([part.positions for part in parts]),
        np.concatenate([part.errors for part in parts]),
        np.concatenate([part.used for part in parts], axis=1),
        np.concatenate([part.residuals for part in parts], axis=1),
    )


def linear_points(normalized: Array, weights: Array, extrinsics: Array) -> Array:
    """Returns points (N, 3) by the direct linear transform, in its inhomogeneous form; NaN where it is singular.

    Args:
        normalized: (V, N, 2) detections in normalized coordinates; finite where the weight is positive.
        weights: (V, N) weight of each detection; 0 for none.
        extrinsics: (V, 3, 4) [R | t] of each camera.
    """
    count = weights.shape[1]
    places = np.where(weights > 0, normalized.transpose(2, 0, 1), 0)  # (2, V, N)
    rows = np.stack(
        [
            (weights * (places * pose[2, :, None] - pose[:2, :, None])).reshape(2 * len(weights), count)
            for pose in extrinsics.transpose(2, 1, 0)
        ]
    )  # (4, 2V, N)
    return _least_squares(rows[:3], -rows[3])


@dataclass(frozen=True, eq=False)
class _Views:
    """What the cameras detected, in normalized coordinates.

    Attributes:
        rig: V cameras.
        pixels: (V, N, 2).
        normalized: (V, N, 2).
        scales: (V, N, 2, 2) derivative of pixels by normalized coordinates at the detections.
        weights: (V, N); 0 where there is no detection.
    """

    rig: Rig
    pixels: Array
    normalized: Array
    scales: Array
    weights: Array

    def at(self, columns: NDArray[np.intp]) -> _Views:
        """Returns those of some points."""
        return _Views(
            self.rig,
            self.pixels[:, columns],
            self.normalized[:, columns],
            self.scales[:, columns],
            self.weights[:, columns],
        )


def _triangulated(rig: Rig, pixels: Array, confidence: Array, max_error: float, min_views: int) -> Points:
    """Triangulates one block of points."""
    views = _views(rig, pixels, confidence)
    used = views.weights > 0
    positions, errors, residuals = _solution(views, used, min_views)
    changed = np.zeros(len(positions), bool)
    while True:
        wrong = np.flatnonzero((used.sum(axis=0) > min_views) & ~(errors <= max_error))
        if not len(wrong):
            break
        best = np.full(len(wrong), np.inf)
        dropped = np.full(len(wrong), -1)
        found = np.full((len(wrong), 3), np.nan)
        part = views.at(wrong)
        for view in range(len(rig)):
            fewer = used[:, wrong]
            candidates = np.flatnonzero(fewer[view])
            fewer = fewer[:, candidates]
            fewer[view] = False
            at, error, _ = _solution(part.at(candidates), fewer, min_views)
            better = error < best[candidates]
            rows = candidates[better]
            best[rows], dropped[rows], found[rows] = error[better], view, at[better]
        stuck = dropped < 0  # no subset has its point before all its cameras: any will do, the next round tries again
        dropped[stuck] = used[:, wrong[stuck]].argmax(axis=0)
        used[dropped, wrong] = False
        changed[wrong] = True
        positions[wrong], errors[wrong] = found, np.where(stuck, np.inf, best)
    initial = (views.weights > 0).sum(axis=0)
    doubtful = np.flatnonzero((initial > PAIR + 1) & (~(errors <= max_error) | (initial - used.sum(axis=0) > 1)))
    if len(doubtful):
        agreed = _largest_agreement(views.at(doubtful), max_error)
        at, error, _ = _solution(views.at(doubtful), agreed, min_views)
        more = (error <= max_error) & (
            ~(errors[doubtful] <= max_error) | (agreed.sum(axis=0) > used[:, doubtful].sum(axis=0))
        )
        rows = doubtful[more]
        positions[rows], errors[rows], used[:, rows], changed[rows] = at[more], error[more], agreed[:, more], True
    missing = ~(errors <= max_error)
    positions[missing], errors[missing], used[:, missing] = np.nan, np.nan, False
    if changed.any():
        rows = np.flatnonzero(changed)
        residuals[:, rows] = _residuals(views.at(rows), positions[rows])
    residuals[:, missing] = np.nan
    return Points(positions, errors, used, residuals)


def _largest_agreement(views: _Views, max_error: float) -> NDArray[np.bool_]:
    """Returns the cameras (V, N) that agree with the point of two of them, for the two with which most agree."""
    cameras, count = views.weights.shape
    best, most = np.zeros((cameras, count), bool), np.zeros(count, np.intp)
    for a, b in combinations(range(cameras), PAIR):
        rows = np.flatnonzero((views.weights[a] > 0) & (views.weights[b] > 0))
        pair = np.zeros((cameras, len(rows)), bool)
        pair[[a, b]] = True
        _, errors, residuals = _solution(views.at(rows), pair, PAIR)
        agreeing = (residuals <= max_error) & (errors <= max_error)
        more = agreeing.sum(axis=0) > most[rows]
        best[:, rows[more]], most[rows[more]] = agreeing[:, more], agreeing[:, more].sum(axis=0)
    return best


def _views(rig: Rig, pixels: Array, confidence: Array) -> _Views:
    """Undistorts the detections of each camera."""
    normalized = np.stack([camera.undistort(points) for camera, points in zip(rig, pixels, strict=True)])
    there = np.isfinite(normalized).all(axis=-1) & (confidence > 0)
    weights = np.where(there, confidence, 0.0)
    scales = np.stack([_scales(camera, points) for camera, points in zip(rig, normalized, strict=True)])
    return _Views(rig, pixels, normalized, scales, weights)


def _scales(camera: Camera, normalized: Array) -> Array:
    """(N, 2, 2): derivative of pixels by normalized coordinates."""
    matrix = camera.matrix[:2, :2]
    if not camera.fisheye:
        if not camera.distortion.any():
            return np.broadcast_to(matrix, (len(normalized), 2, 2))
        coefficients = np.pad(camera.distortion, (0, PINHOLE_LENGTHS[-1] - len(camera.distortion)))
        return np.asarray(matrix @ pinhole_jacobian(normalized, coefficients))
    step = 1e-5
    columns = [
        (camera.to_pixels(normalized + offset) - camera.to_pixels(normalized - offset)) / (2 * step)
        for offset in (np.array([step, 0]), np.array([0, step]))
    ]
    return np.stack(columns, axis=-1)


def _solution(views: _Views, used: NDArray[np.bool_], min_views: int) -> tuple[Array, Array, Array]:
    """Returns positions (N, 3), errors (N,) and residuals (V, N).

    The error of a point with too few cameras, or behind one, is infinite.
    """
    weights = np.where(used, views.weights, 0)
    weights[:, used.sum(axis=0) < min_views] = 0
    extrinsics = np.stack([camera.extrinsics for camera in views.rig])
    focal = np.array([[camera.matrix[0, 0]] for camera in views.rig])
    with np.errstate(all="ignore"):
        positions = linear_points(views.normalized, weights * focal / focal.mean(), extrinsics)
        positions = _refined(views, weights, extrinsics, positions)
    residuals = _residuals(views, positions)
    errors = np.sqrt((np.where(used, residuals, 0) ** 2).sum(axis=0) / np.maximum(used.sum(axis=0), 1))
    errors[~np.isfinite(errors) | (used.sum(axis=0) < min_views)] = np.inf
    return positions, errors, residuals


def _refined(views: _Views, weights: Array, extrinsics: Array, positions: Array) -> Array:
    """Takes Gauss-Newton steps on the weighted reprojection error; a step that raises it is not taken."""
    best, lowest = positions, np.full(len(positions), np.inf)
    count = len(positions)
    there = weights > 0
    x, y = np.where(there, views.normalized.transpose(2, 0, 1), 0)  # (V, N) each
    scales = np.where(there, weights, 0) * np.where(there, views.scales.transpose(2, 3, 0, 1), 0)  # (2, 2, V, N)
    for step in range(STEPS + 1):
        moved = extrinsics[:, :, :3] @ positions.T + extrinsics[:, :, 3:]  # (V, 3, N)
        depth = np.where(there, moved[:, 2], 1)
        u, v = moved[:, 0] / depth, moved[:, 1] / depth
        du, dv = np.where(there, u - x, 0), np.where(there, v - y, 0)
        off = np.stack([scales[0, 0] * du + scales[0, 1] * dv, scales[1, 0] * du + scales[1, 1] * dv])
        cost = (off * off).sum(axis=(0, 1))
        better = cost < lowest
        best = np.where(better[:, None], positions, best)
        lowest = np.where(better, cost, lowest)
        if step == STEPS or not better.any():
            break
        slopes = []
        for axis in range(3):
            across = (extrinsics[:, 0, axis, None] - u * extrinsics[:, 2, axis, None]) / depth
            down = (extrinsics[:, 1, axis, None] - v * extrinsics[:, 2, axis, None]) / depth
            slopes.append(np.stack([s[0] * across + s[1] * down for s in scales]).reshape(2 * len(weights), count))
        steps = _least_squares(np.stack(slopes), -off.reshape(2 * len(weights), count))
        positions = best + np.where(better[:, None], steps, 0)
    return best


def _residuals(views: _Views, positions: Array) -> Array:
    """(V, N): pixels between each detection and the projected point; infinite for a point behind the camera."""
    rows = []
    for camera, pixels, weight in zip(views.rig, views.pixels, views.weights, strict=True):
        distance = np.linalg.norm(camera.project(positions) - pixels, axis=1)
        behind = np.isnan(distance) & np.isfinite(positions).all(axis=1)
        rows.append(np.where(weight > 0, np.where(behind, np.inf, distance), np.nan))
    return np.stack(rows)


def _least_squares(rows: Array, values: Array) -> Array:
    """Solves N systems of R equations in three unknowns by their normal equations; NaN where one is singular.

    Args:
        rows: (3, R, N) coefficients.
        values: (R, N) right-hand sides.

    Returns:
        (N, 3).
    """
    a, b, c = rows
    aa, ab, ac = (a * a).sum(axis=0), (a * b).sum(axis=0), (a * c).sum(axis=0)
    bb, bc, cc = (b * b).sum(axis=0), (b * c).sum(axis=0), (c * c).sum(axis=0)
    p, q, r = ((row * values).sum(axis=0) for row in rows)
    # cofactors of the symmetric matrix
    c00, c01, c02 = bb * cc - bc * bc, ac * bc - ab * cc, ab * bc - ac * bb
    c11, c12, c22 = aa * cc - ac * ac, ab * ac - aa * bc, aa * bb - ab * ab
    determinant = aa * c00 + ab * c01 + ac * c02
    regular = determinant > SINGULAR * ((aa + bb + cc) / 3) ** 3
    solution = np.stack([c00 * p + c01 * q + c02 * r, c01 * p + c11 * q + c12 * r, c02 * p + c12 * q + c22 * r], axis=1)
    return np.asarray(solution / np.where(regular, determinant, np.nan)[:, None])
