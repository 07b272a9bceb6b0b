"""Triangulation: points of the world from their pixels in several calibrated cameras.

Hartley and Zisserman (2004), chapter 12; rows weighted by confidence as in Iskakov et al. (2019), "Algebraic
triangulation". All points are solved at once, whichever cameras each of them was detected in.

    direct linear transform in normalized coordinates   -> linear_points
    Gauss-Newton steps on the reprojection error         -> _refined
    cameras that contradict the others are dropped       -> triangulate_points
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cairn.structures.camera import Camera, Rig

Array = NDArray[np.float64]

MAX_ERROR = 20.0
"""Default reprojection error in pixels from which cameras are dropped."""

MIN_VIEWS = 2
"""Number of cameras that a point needs: one camera tells no depth."""

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
    whose omission leaves the lowest error is dropped. A point whose error stays above it is missing, as is one that
    fewer cameras detected.

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
            (weights * (places * extrinsics[:, 2, axis, None] - extrinsics.T[axis, :2, :, None])).reshape(
                2 * len(weights), count
            )
            for axis in range(4)
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
    positions, errors = _solution(views, used, min_views)
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
            at, error = _solution(part.at(candidates), fewer, min_views)
            better = error < best[candidates]
            rows = candidates[better]
            best[rows], dropped[rows], found[rows] = error[better], view, at[better]
        stuck = dropped < 0  # no subset has its point before all its cameras: any will do, the next round tries again
        dropped[stuck] = used[:, wrong[stuck]].argmax(axis=0)
        used[dropped, wrong] = False
        positions[wrong], errors[wrong] = found, np.where(stuck, np.inf, best)
    missing = ~(errors <= max_error)
    positions[missing], errors[missing], used[:, missing] = np.nan, np.nan, False
    return Points(positions, errors, used, _residuals(views, positions))


def _views(rig: Rig, pixels: Array, confidence: Array) -> _Views:
    """Undistorts the detections of each camera."""
    normalized = np.stack([camera.undistort(points) for camera, points in zip(rig, pixels, strict=True)])
    there = np.isfinite(normalized).all(axis=-1) & (confidence > 0)
    weights = np.where(there, confidence, 0.0)
    scales = np.stack([_scales(camera, points) for camera, points in zip(rig, normalized, strict=True)])
    return _Views(rig, pixels, normalized, scales, weights)


def _scales(camera: Camera, normalized: Array) -> Array:
    """(N, 2, 2): derivative of pixels by normalized coordinates."""
    if not camera.distortion.any() and not camera.fisheye:
        return np.broadcast_to(camera.matrix[:2, :2], (len(normalized), 2, 2))
    step = 1e-5
    columns = [
        (camera.to_pixels(normalized + offset) - camera.to_pixels(normalized - offset)) / (2 * step)
        for offset in (np.array([step, 0]), np.array([0, step]))
    ]
    return np.stack(columns, axis=-1)


def _solution(views: _Views, used: NDArray[np.bool_], min_views: int) -> tuple[Array, Array]:
    """Returns positions (N, 3) and errors (N,); NaN and infinity for a point with too few cameras, or behind one."""
    weights = np.where(used, views.weights, 0)
    weights[:, used.sum(axis=0) < min_views] = 0
    extrinsics = np.stack([camera.extrinsics for camera in views.rig])
    focal = np.array([[camera.matrix[0, 0]] for camera in views.rig])
    with np.errstate(all="ignore"):
        positions = linear_points(views.normalized, weights * focal / focal.mean(), extrinsics)
        positions = _refined(views, weights, extrinsics, positions)
    residuals = np.where(used, _residuals(views, positions), 0)
    errors = np.sqrt((residuals**2).sum(axis=0) / np.maximum(used.sum(axis=0), 1))
    errors[~np.isfinite(errors) | (used.sum(axis=0) < min_views)] = np.inf
    return positions, errors


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
        positions = best + np.where(
            better[:, None], _least_squares(np.stack(slopes), -off.reshape(2 * len(weights), count)), 0
        )
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
