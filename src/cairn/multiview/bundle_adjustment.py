"""Bundle adjustment of cameras and boards: least squares of all reprojection errors at once (Triggs et al. 2000).

The unknowns are the poses of the cameras but the first, the poses of the boards, and optionally intrinsics. The loss is
soft_l1 at one pixel; the Jacobian is analytic and sparse, and a step solves the small, dense normal equations.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.errors import CameraError
from cairn.extras import require
from cairn.multiview.observations import Observations
from cairn.structures.camera import Camera, Rig, rotation_matrix, rotation_vector
from cairn.structures.distortion import distort_fisheye, distort_pinhole, pinhole_jacobian

SCALE = 1.0
"""Error in pixels at which soft_l1 turns from quadratic to linear."""

OUTLIER = 5.0
"""Errors above so many robust standard deviations are ignored, if they exceed a pixel."""

MAX_STEPS, MAX_DAMPING = 60, 1e10
PRECISION = 1e-9
"""Relative decrease of the cost below which a solution is final."""

ROUNDS = 3
"""Number of times that outliers are chosen anew."""

NUM_INTRINSICS = 6
"""fx, fy, cx, cy, k1, k2."""

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Adjusted:
    """A rig and boards after bundle adjustment.

    Attributes:
        rig: The cameras, the first as it was.
        boards: (B, 4, 4) poses of the boards in the world.
        inliers: (M,) bool, which observations were used in the end.
        cost: Robust cost of the result over all observations, and `start` that of the beginning.
    """

    rig: Rig
    boards: Array
    inliers: NDArray[np.bool_]
    cost: float
    start: float


def adjust(rig: Rig, boards: Array, points: Array, seen: Observations, intrinsics: bool = False) -> Adjusted:
    """Refines a rig and the poses of boards.

    Outliers are ignored, and chosen anew after each round. The robust cost over all observations never grows.

    Args:
        rig: V cameras. The pose of the first stays.
        boards: (B, 4, 4) poses of the boards in the world.
        points: (K, 3) corners in the frame of a board, meters.
        seen: What the cameras see of them.
        intrinsics: Whether focal lengths, principal points, k1 and k2 are refined, too.

    Raises:
        CameraError: There is nothing to optimize, or the cost grew.
        MissingExtra: scipy is not installed.
    """
    require("scipy", extra="multiview", purpose="bundle adjustment")
    problem = _Problem(rig, boards, points, seen, intrinsics)
    if not len(seen):
        raise CameraError("bundle adjustment needs corners that cameras see, got none")
    values = problem.start
    start = robust_cost(problem.errors(values))
    best, cost = values, start
    inliers = np.ones(len(seen), bool)
    for _ in range(ROUNDS):
        found = problem.solve(best, inliers)
        new = robust_cost(problem.errors(found))
        if new < cost:
            best, cost = found, new
        chosen = _inliers(problem.errors(best))
        if (chosen == inliers).all():
            break
        inliers = chosen
    if not (np.isfinite(best).all() and cost <= start):
        raise CameraError(
            f"bundle adjustment diverged (robust cost {start:.4g} to {cost:.4g}): check that the videos are "
            "synchronized and the board is right"
        )
    adjusted, placed = problem.unpack(best)
    return Adjusted(adjusted, placed, inliers, cost, start)


def reprojection_errors(rig: Rig, boards: Array, points: Array, seen: Observations) -> Array:
    """Returns the differences (M, 2) in pixels between projected and seen corners."""
    problem = _Problem(rig, boards, points, seen, False)
    return problem.errors(problem.start)


def robust_cost(errors: Array) -> float:
    """Returns the soft_l1 cost of differences (M, 2) in pixels, the sum over both coordinates."""
    if not np.isfinite(errors).all():
        return float("inf")
    return float((SCALE**2 * (np.sqrt(1 + (errors / SCALE) ** 2) - 1)).sum())


def _inliers(errors: Array) -> NDArray[np.bool_]:
    distance = np.linalg.norm(errors, axis=1)
    return np.asarray(distance <= max(1.0, OUTLIER * 1.4826 * float(np.median(distance))))


class _Problem:
    """The unknowns as one vector, and errors and Jacobian as functions of it."""

    def __init__(self, rig: Rig, boards: Array, points: Array, seen: Observations, intrinsics: bool) -> None:
        self.rig, self.points, self.seen = rig, points, seen
        self.first = 6 * (len(rig) - 1)
        self.lens = self.first + 6 * len(boards)
        self.size = self.lens + (NUM_INTRINSICS * len(rig) if intrinsics else 0)
        self.intrinsics = intrinsics
        cameras = [np.concatenate([rotation_vector(c.rotation), c.translation]) for c in rig.cameras[1:]]
        placed = [np.concatenate([rotation_vector(each[:3, :3]), each[:3, 3]]) for each in boards]
        lenses = [_lens(camera) for camera in rig] if intrinsics else []
        self.start = np.concatenate([*cameras, *placed, *lenses]) if cameras or placed else np.zeros(0)

    def unpack(self, values: Array) -> tuple[Rig, Array]:
        """The cameras and the poses (B, 4, 4) of the boards."""
        cameras = [self.rig.cameras[0]]
        for camera, own in zip(self.rig.cameras[1:], values[: self.first].reshape(-1, 6), strict=True):
            cameras.append(camera.posed(own[:3], own[3:]))
        if self.intrinsics:
            lenses = values[self.lens :].reshape(-1, NUM_INTRINSICS)
            cameras = [_with_lens(camera, own) for camera, own in zip(cameras, lenses, strict=True)]
        boards = []
        for own in values[self.first : self.lens].reshape(-1, 6):
            pose = np.eye(4)
            pose[:3, :3], pose[:3, 3] = rotation_matrix(own[:3]), own[3:]
            boards.append(pose)
        return Rig(tuple(cameras)), np.array(boards).reshape(-1, 4, 4)

    def errors(self, values: Array, rows: NDArray[np.bool_] | None = None) -> Array:
        """(M, 2) differences in pixels."""
        return self._evaluate(values, rows, derive=False)[0]

    def solve(self, start: Array, rows: NDArray[np.bool_]) -> Array:
        """The unknowns that fit some of the observations best: Levenberg-Marquardt with the weights of soft_l1.

        A step is taken only where the robust cost of these observations falls.
        """
        from scipy.linalg import LinAlgError, cho_factor, cho_solve

        values, damping = start, 1e-3
        cost = robust_cost(self.errors(values, rows))
        for _ in range(MAX_STEPS):
            errors, jacobian = self._evaluate(values, rows, derive=True)
            residual = errors.ravel()
            weights = 1 / np.sqrt(1 + (residual / SCALE) ** 2)  # derivative of soft_l1 by the squared error
            normal = (jacobian.T @ jacobian.multiply(weights[:, None])).toarray()
            gradient = jacobian.T @ (weights * residual)
            diagonal = np.maximum(np.diag(normal), 1e-12)
            before = cost
            while damping < MAX_DAMPING:
                try:
                    factor = cho_factor(normal + np.diag(damping * diagonal), check_finite=False)
                except LinAlgError:
                    damping *= 10
                    continue
                trial = values - cho_solve(factor, gradient, check_finite=False)
                new = robust_cost(self.errors(trial, rows))
                if new < cost:
                    values, cost, damping = trial, new, damping / 5
                    break
                damping *= 5
            if not before - cost > PRECISION * before:
                break
        return values

    def _evaluate(self, values: Array, rows: NDArray[np.bool_] | None, derive: bool) -> tuple[Array, Any]:
        seen = self.seen if rows is None else self.seen.keep(rows)
        count = len(seen)
        own = values[: self.first].reshape(-1, 6)
        first = self.rig.cameras[0]
        w_camera = np.vstack([rotation_vector(first.rotation), own[:, :3]])
        r_camera = np.concatenate([first.rotation[None], _turned(own[:, :3])])
        t_camera = np.vstack([first.translation, own[:, 3:]])
        placed = values[self.first : self.lens].reshape(-1, 6)
        r_board = _turned(placed[:, :3])
        points = self.points[seen.corner]
        turned = np.einsum("mij,mj->mi", r_board[seen.board], points)
        world = turned + placed[seen.board, 3:]
        rotated = np.einsum("mij,mj->mi", r_camera[seen.camera], world)
        inside = rotated + t_camera[seen.camera]
        depth = np.maximum(inside[:, 2], 1e-6)
        flat = inside[:, :2] / depth[:, None]
        errors, slope, lens = np.empty((count, 2)), np.empty((count, 2, 2)), np.zeros((count, 2, NUM_INTRINSICS))
        lenses = values[self.lens :].reshape(-1, NUM_INTRINSICS) if self.intrinsics else None
        for index, camera in enumerate(self.rig):
            mine = np.flatnonzero(seen.camera == index)
            model = camera if lenses is None else _with_lens(camera, lenses[index])
            errors[mine] = model.to_pixels(flat[mine]) - seen.pixels[mine]
            if derive:
                slope[mine] = _slope(model, flat[mine])
                if lenses is not None:
                    lens[mine] = _lens_slope(model, flat[mine])
        if not derive:
            return errors, None
        by_point = np.empty((count, 2, 3))  # of pixels by the point in the camera's frame
        by_point[:, :, :2] = slope / depth[:, None, None]
        by_point[:, :, 2] = -np.einsum("mij,mj->mi", slope, flat) / depth[:, None]
        by_point[:, :, 2][inside[:, 2] <= 1e-6] = 0
        left = _left(w_camera)[seen.camera]
        by_turn = np.einsum("mij,mjk,mkl->mil", by_point, -_cross(rotated), left)
        by_world = np.einsum("mij,mjk->mik", by_point, r_camera[seen.camera])
        left = _left(placed[:, :3])[seen.board]
        by_board = np.einsum("mij,mjk,mkl->mil", by_world, -_cross(turned), left)
        blocks = [
            (6 * (seen.camera - 1), np.concatenate([by_turn, by_point], axis=2), seen.camera > 0),
            (self.first + 6 * seen.board, np.concatenate([by_board, by_world], axis=2), np.ones(count, bool)),
        ]
        if self.intrinsics:
            blocks.append((self.lens + NUM_INTRINSICS * seen.camera, lens, np.ones(count, bool)))
        return errors, self._sparse(blocks, count)

    def _sparse(self, blocks: list[tuple[NDArray[np.int64], Array, NDArray[np.bool_]]], count: int) -> Any:
        from scipy.sparse import csr_matrix

        rows, columns, values = [], [], []
        for offset, block, used in blocks:
            width = block.shape[2]
            row = 2 * np.arange(count)[:, None, None] + np.arange(2)[None, :, None] + np.zeros((1, 1, width), int)
            column = offset[:, None, None] + np.arange(width)[None, None, :] + np.zeros((1, 2, 1), int)
            rows.append(row[used].ravel())
            columns.append(column[used].ravel())
            values.append(block[used].ravel())
        entries = np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))
        return csr_matrix(entries, shape=(2 * count, self.size))


def _lens(camera: Camera) -> Array:
    """fx, fy, cx, cy, k1, k2."""
    k = np.pad(camera.distortion, (0, max(0, 2 - len(camera.distortion))))
    m = camera.matrix
    return np.array([m[0, 0], m[1, 1], m[0, 2], m[1, 2], k[0], k[1]])


def _with_lens(camera: Camera, values: Array) -> Camera:
    matrix = camera.matrix.copy()
    matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2] = values[:4]
    distortion = np.pad(camera.distortion, (0, max(0, 4 - len(camera.distortion))))
    distortion[:2] = values[4:]
    return replace(camera, matrix=matrix, distortion=distortion)


def _slope(camera: Camera, flat: Array) -> Array:
    """(N, 2, 2) derivative of pixels by normalized coordinates."""
    if not camera.fisheye:
        inner = pinhole_jacobian(flat, np.pad(camera.distortion, (0, 12 - len(camera.distortion))))
    else:
        k, step = np.pad(camera.distortion, (0, 4 - len(camera.distortion))), 1e-7
        sides = [
            (distort_fisheye(flat + move, k) - distort_fisheye(flat - move, k)) / (2 * step)
            for move in (np.array([step, 0]), np.array([0, step]))
        ]
        inner = np.stack(sides, axis=2)
    slope: Array = camera.matrix[:2, :2] @ inner
    return slope


def _lens_slope(camera: Camera, flat: Array) -> Array:
    """(N, 2, 6) derivative of pixels by fx, fy, cx, cy, k1, k2. The distortion is linear in k1 and k2."""
    length = 4 if camera.fisheye else 12
    k = np.pad(camera.distortion, (0, length - len(camera.distortion)))
    distort = distort_fisheye if camera.fisheye else distort_pinhole
    bent = distort(flat, k)
    slope = np.zeros((len(flat), 2, NUM_INTRINSICS))
    slope[:, 0, 0], slope[:, 1, 1] = bent[:, 0], bent[:, 1]
    slope[:, 0, 2] = slope[:, 1, 3] = 1
    for i in (0, 1):
        moved = k.copy()
        moved[i] += 1
        slope[:, :, 4 + i] = (distort(flat, moved) - bent) @ camera.matrix[:2, :2].T
    return slope


def _cross(vectors: Array) -> Array:
    """(N, 3, 3) matrices of the cross product with vectors (N, 3)."""
    x, y, z = vectors.T
    zero = np.zeros_like(x)
    return np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=1).reshape(-1, 3, 3)


def _angles(vectors: Array) -> tuple[Array, Array, Array]:
    """Angles (N, 1, 1) of Rodrigues vectors (N, 3), and (N, 3, 3) matrices of the cross product and their squares."""
    crossed = _cross(vectors)
    return np.maximum(np.linalg.norm(vectors, axis=1), 1e-8)[:, None, None], crossed, crossed @ crossed


def _turned(vectors: Array) -> Array:
    """(N, 3, 3) rotations of Rodrigues vectors (N, 3)."""
    angle, crossed, squared = _angles(vectors)
    turned: Array = np.eye(3) + np.sin(angle) / angle * crossed + (1 - np.cos(angle)) / angle**2 * squared
    return turned


def _left(vectors: Array) -> Array:
    """(N, 3, 3) left Jacobians of the rotation group at Rodrigues vectors (N, 3): a small change turns by so much."""
    angle, crossed, squared = _angles(vectors)
    small = angle < 1e-4  # differences of nearly equal numbers
    first = np.where(small, 0.5, (1 - np.cos(angle)) / angle**2)
    second = np.where(small, 1 / 6, (angle - np.sin(angle)) / angle**3)
    left: Array = np.eye(3) + first * crossed + second * squared
    return left
