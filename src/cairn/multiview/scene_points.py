"""Poses of cameras from points of the scene whose places are known, and where each camera sees them."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cairn.errors import CameraError
from cairn.multiview.cameras.camera_file import text_of
from cairn.structures.camera import Camera, Rig

COLUMNS = ("camera", "x", "y", "z", "u", "v")
MIN_POINTS = 4
MAX_RMS = 20.0
"""RMS in pixels above which points and pixels do not belong together."""


@dataclass(frozen=True, eq=False)
class ScenePoints:
    """What one camera sees.

    Attributes:
        points: (N, 3) in meters in the world.
        pixels: (N, 2).
    """

    points: NDArray[np.float64]
    pixels: NDArray[np.float64]


def read_scene_points(path: Path, names: Sequence[str]) -> dict[str, ScenePoints]:
    """Reads a table with columns camera, x, y, z in meters, and u, v in pixels: one row a point and camera.

    Raises:
        CameraError: The table cannot be read, or a camera has fewer than 4 points.
    """
    rows = list(csv.DictReader(text_of(path).splitlines()))
    if not rows or any(column not in rows[0] for column in COLUMNS):
        raise CameraError(f"{path}: expected the columns {', '.join(COLUMNS)}")
    found: dict[str, list[list[float]]] = {name: [] for name in names}
    for number, row in enumerate(rows, start=2):
        if row["camera"] not in found:
            raise CameraError(f"{path}: line {number} is of camera {row['camera']!r:.40}: expected {', '.join(names)}")
        try:
            values = [float(row[column]) for column in COLUMNS[1:]]
        except (TypeError, ValueError):
            values = [np.nan]
        if not np.isfinite(values).all():
            raise CameraError(f"{path}: line {number} has a value that is no number")
        found[row["camera"]].append(values)
    if few := [f"{name} {len(values)}" for name, values in found.items() if len(values) < MIN_POINTS]:
        raise CameraError(f"{path}: at least {MIN_POINTS} points of each camera are needed, got {', '.join(few)}")
    arrays = {name: np.array(values) for name, values in found.items()}
    return {name: ScenePoints(values[:, :3].copy(), values[:, 3:].copy()) for name, values in arrays.items()}


def rig_from_points(cameras: Sequence[Camera], points: Mapping[str, ScenePoints]) -> tuple[Rig, list[float]]:
    """Returns the rig in the world of the points, and the RMS error of each camera in pixels.

    Raises:
        CameraError: No pose of a camera fits.
    """
    posed, errors = [], []
    for camera in cameras:
        seen = points[camera.name]
        best = min(_poses(camera, seen), key=lambda entry: entry[1], default=None)
        if best is None or not best[1] <= MAX_RMS:
            got = "none" if best is None else f"RMS {best[1]:.0f} pixels"
            raise CameraError(
                f"camera {camera.name}: no pose fits its points of the scene ({got}): check their order, their unit "
                "(meters) and that y and z are not swapped"
            )
        posed.append(best[0])
        errors.append(best[1])
    return Rig(tuple(posed)), errors


def _poses(camera: Camera, seen: ScenePoints) -> list[tuple[Camera, float]]:
    import cv2

    normalized = camera.undistort(seen.pixels)
    found = []
    for method in (cv2.SOLVEPNP_SQPNP, cv2.SOLVEPNP_EPNP, cv2.SOLVEPNP_ITERATIVE):
        try:
            _, rotations, translations, *_ = cv2.solvePnPGeneric(seen.points, normalized, np.eye(3), None, flags=method)
        except cv2.error:
            continue
        for rotation, translation in zip(rotations, translations, strict=True):
            rotation, translation = cv2.solvePnPRefineLM(
                seen.points, normalized, np.eye(3), None, rotation, translation
            )
            posed = camera.posed(rotation.reshape(3), translation.reshape(3))
            error = np.nan_to_num(posed.project(seen.points) - seen.pixels, nan=1e4)
            found.append((posed, float(np.sqrt((error**2).sum(axis=1).mean()))))
    return found
