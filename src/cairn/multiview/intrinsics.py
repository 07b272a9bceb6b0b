"""Intrinsics of one camera from images of a board (Zhang 2000, as in OpenCV)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cairn.errors import CameraError
from cairn.multiview.boards import Board
from cairn.multiview.observations import Sightings
from cairn.structures.camera import Camera

MAX_BOARDS = 40
"""Number of images to calibrate from: more take longer, and say no more."""

MIN_BOARDS = 4
"""Number of images below which a camera cannot be calibrated."""

MAX_RMS = 5.0
"""Root mean square of the reprojection error in pixels of a 1280 pixels wide image above which the model is wrong."""


@dataclass(frozen=True)
class Intrinsics:
    """A calibrated camera at the origin of the world, and how well it fits.

    Attributes:
        camera: The camera.
        rms: Root mean square of the reprojection error in pixels; None where the intrinsics were given.
        rows: Rows of the sightings that it was calibrated from.
    """

    camera: Camera
    rms: float | None
    rows: tuple[int, ...]


def calibrate_intrinsics(sightings: Sightings, board: Board, fisheye: bool = False) -> Intrinsics:
    """Calibrates one camera.

    A pinhole camera gets k1, k2, p1, p2 and k3; images whose error is far above the others' are dropped once.

    Args:
        sightings: What it sees of the board.
        board: The board.
        fisheye: Whether the lens is a fisheye lens.

    Raises:
        CameraError: The board is seen in too few images, always from the front, or no camera fits.
    """
    rows = choose_rows(sightings)
    if len(rows) < MIN_BOARDS:
        raise CameraError(
            f"camera {sightings.name}: the board is seen in {len(sightings)} of {sightings.total} images, and "
            f"{MIN_BOARDS} from different angles are needed: record more, or give --intrinsics"
        )
    camera, errors = _fit(sightings, rows, board, fisheye)
    limit = 3 * np.median(errors) + 0.1
    if (errors > limit).any() and (errors <= limit).sum() >= MIN_BOARDS:
        rows = rows[errors <= limit]
        camera, errors = _fit(sightings, rows, board, fisheye)
    rms = float(np.sqrt(np.mean(errors**2)))
    _check(camera, rms, sightings, fisheye)
    return Intrinsics(camera, rms, tuple(rows.tolist()))


def choose_rows(sightings: Sightings, limit: int = MAX_BOARDS) -> NDArray[np.int64]:
    """Returns the rows of images that together cover the image best, the sharper ones first among equals.

    Greedy: each next board covers the most cells of an 8 x 8 grid that few boards have covered, and is weighted by its
    number of corners and by its sharpness.
    """
    count = sightings.seen.sum(axis=1)
    candidates = np.flatnonzero(count >= 6)
    if len(candidates) <= limit:
        return candidates
    height, width = sightings.size
    rank = np.argsort(np.argsort(sightings.sharpness)) / len(sightings)
    cells = [
        np.unique(np.clip((points[seen] / [width, height] * 8).astype(int), 0, 7) @ [8, 1])
        for points, seen in zip(sightings.corners, sightings.seen, strict=True)
    ]
    covered = np.zeros(64)
    chosen: list[int] = []
    left = candidates.tolist()
    while left and len(chosen) < limit:
        gains = [(1 / (1 + covered[cells[row]])).sum() * (0.5 + rank[row]) * np.sqrt(count[row]) for row in left]
        row = left.pop(int(np.argmax(gains)))
        covered[cells[row]] += 1
        chosen.append(row)
    return np.sort(np.array(chosen, np.int64))


def board_poses(camera: Camera, corners: NDArray[np.float64], board: Board) -> list[tuple[NDArray[np.float64], float]]:
    """Returns the poses of a board before a camera: two fit nearly equally well where it is small or far away.

    Args:
        camera: The camera; its own pose is ignored.
        corners: (K, 2) pixels, NaN where not seen.
        board: The board.

    Returns:
        (4, 4) motion from the board's frame to the camera's, and its RMS error in pixels; the better one first.
    """
    import cv2

    normalized = camera.undistort(corners)
    seen = np.isfinite(normalized).all(axis=1)
    if seen.sum() < 4:
        return []
    points, pixels = board.points[seen], normalized[seen]
    try:
        found = cv2.solvePnPGeneric(points, pixels, np.eye(3), None, flags=cv2.SOLVEPNP_IPPE)
    except cv2.error:
        return []
    poses = []
    for rotation, translation in zip(found[1], found[2], strict=True):
        rotation, translation = cv2.solvePnPRefineLM(points, pixels, np.eye(3), None, rotation, translation)
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = cv2.Rodrigues(rotation)[0], translation.reshape(3)
        moved = points @ pose[:3, :3].T + pose[:3, 3]
        if (moved[:, 2] <= 0).any():
            continue
        error = camera.to_pixels(moved[:, :2] / moved[:, 2:]) - corners[seen]
        poses.append((pose, float(np.sqrt((error**2).sum(axis=1).mean()))))
    return sorted(poses, key=lambda entry: entry[1])


def _fit(
    sightings: Sightings, rows: NDArray[np.int64], board: Board, fisheye: bool
) -> tuple[Camera, NDArray[np.float64]]:
    """The camera, and the RMS error of each row in pixels."""
    import cv2

    seen = sightings.seen
    points = [board.points[seen[row]].astype(np.float32) for row in rows]
    pixels = [sightings.corners[row, seen[row]].astype(np.float32) for row in rows]
    size = sightings.size[::-1]
    try:
        if fisheye:
            matrix, distortion = _fit_fisheye(points, pixels, size)
        else:
            _, matrix, distortion, _, _ = cv2.calibrateCamera(points, pixels, size, None, None)
    except cv2.error as error:
        raise CameraError(
            f"camera {sightings.name}: no {'fisheye ' if fisheye else ''}camera fits the {len(rows)} images of the "
            f"board ({' '.join(str(error.err).split()):.120}): record the board from more angles"
        ) from None
    try:
        camera = Camera(
            sightings.name, matrix, np.ravel(distortion)[:5], np.eye(3), np.zeros(3), sightings.size, fisheye
        )
    except CameraError as error:
        raise CameraError(f"no camera fits the images of the board: {error}: record it from more angles") from None
    return camera, _errors(camera, sightings.take(rows), board)


def _fit_fisheye(
    points: Sequence[NDArray[np.float32]], pixels: Sequence[NDArray[np.float32]], size: tuple[int, int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    import cv2

    names = cv2.fisheye if hasattr(cv2.fisheye, "CALIB_FIX_SKEW") else cv2  # OpenCV 4 and 5
    flags = names.CALIB_RECOMPUTE_EXTRINSIC | names.CALIB_FIX_SKEW
    _, matrix, distortion, _, _ = cv2.fisheye.calibrate(
        [each[None].astype(np.float64) for each in points],
        [each[None].astype(np.float64) for each in pixels],
        size,
        None,
        None,
        flags=flags,
    )
    return matrix, np.ravel(distortion)


def _errors(camera: Camera, sightings: Sightings, board: Board) -> NDArray[np.float64]:
    """(N,) RMS error of each board in pixels, at its best pose; infinite where there is none."""
    errors = [board_poses(camera, corners, board) for corners in sightings.corners]
    return np.array([poses[0][1] if poses else np.inf for poses in errors])


def _check(camera: Camera, rms: float, sightings: Sightings, fisheye: bool) -> None:
    height, width = sightings.size
    focal = camera.matrix[0, 0], camera.matrix[1, 1]
    if not (0.1 < focal[0] / max(width, height) < 20 and 0.5 < focal[0] / focal[1] < 2):
        raise CameraError(
            f"camera {camera.name}: its images of the board fit a focal length of {focal[0]:.0f} x {focal[1]:.0f} "
            f"pixels at {width}x{height}, which is implausible: tilt the board more between images"
        )
    if not rms <= MAX_RMS * max(width, height) / 1280:
        hint = "" if fisheye else ", or pass --fisheye for a fisheye lens"
        raise CameraError(
            f"camera {camera.name}: the board fits no camera (RMS {rms:.1f} pixels): check the rows and columns of the "
            f"board and that it is flat{hint}"
        )
