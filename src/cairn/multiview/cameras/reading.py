"""Reads cameras from any file that is known."""

from __future__ import annotations

import logging
from itertools import combinations
from pathlib import Path

import numpy as np

from cairn.errors import CameraError
from cairn.multiview.cameras import anipose, caliscope, easymocap, json_file, opencv_yaml, qualisys
from cairn.multiview.cameras.camera_file import CameraFile, Format
from cairn.structures.camera import UNITS, Camera, Rig

log = logging.getLogger(__name__)

FORMATS: tuple[Format, ...] = (
    anipose.CAIRN,
    anipose.ANIPOSE,
    anipose.POSE2SIM,
    caliscope.FORMAT,
    qualisys.FORMAT,
    easymocap.FORMAT,
    opencv_yaml.FORMAT,
    json_file.FORMAT,
)
"""File formats of cameras, in the order in which they are asked."""

MAX_DISTANCE, MIN_DISTANCE = 50.0, 0.01
"""Median distance in meters between cameras beyond which the unit is doubtful."""


def read_cameras(path: str | Path, unit: str | None = None) -> Rig:
    """Reads calibrated cameras from a file.

    The format follows from the content: Cairn's cameras.toml, Anipose's and FreeMoCap's calibration.toml, Pose2Sim's
    Calib.toml, caliscope's camera_array.toml, Qualisys' .qca.txt, OpenCV's YAML, EasyMocap's intri.yml and extri.yml
    (or their folder), and JSON with K, R and t of each camera. A warning is logged where the cameras are so far apart
    that the unit is probably another one.

    Args:
        path: The file, or a folder of EasyMocap.
        unit: Unit of lengths in the file: m, cm or mm. Default: as the file or its format states, otherwise m.

    Raises:
        CameraError: The file cannot be read, is of no known format, or a camera has no pose or an impossible value.
    """
    stored = _read(Path(path))
    if not_posed := [camera.name for camera in stored.cameras if not camera.posed]:
        raise CameraError(
            f"{path} has no pose of camera {', '.join(not_posed)}, only intrinsics: pass it to cairn calibrate as "
            "--intrinsics"
        )
    for name in stored.skipped:
        log.warning("%s: camera %s is skipped: it is not calibrated, or marked as ignored", path, name)
    rig = Rig(_cameras(stored, Path(path), unit))
    if doubt := doubtful_unit(rig):
        log.warning("%s: %s: state the unit of the file (m, cm or mm)", path, doubt)
    return rig


def read_intrinsics(path: str | Path) -> dict[str, Camera]:
    """Reads the intrinsics of cameras, whether or not the file has their poses.

    Args:
        path: A file that `read_cameras` reads, or one with intrinsics alone.

    Returns:
        Name -> camera at the origin of the world.

    Raises:
        CameraError: The file cannot be read, is of no known format, or has an impossible value.
    """
    cameras = _cameras(_read(Path(path)), Path(path), None)
    return {camera.name: camera.posed(np.eye(3), np.zeros(3)) for camera in cameras}


def doubtful_unit(rig: Rig) -> str | None:
    """Returns why lengths of a rig are probably in another unit than meters; None where they are plausible."""
    pairs = combinations([camera.center for camera in rig], 2)
    distances = [float(np.linalg.norm(a - b)) for a, b in pairs]
    if not distances:
        return None
    median = float(np.median(distances))
    if median > MAX_DISTANCE:
        return f"its cameras are {median:.0f} m apart (median), so its unit is probably millimeters or centimeters"
    if 0 < median < MIN_DISTANCE:
        return f"its cameras are {1000 * median:.2g} mm apart (median), so its unit is probably larger"
    return None


def _read(path: Path) -> CameraFile:
    if not path.exists():
        raise CameraError(f"no cameras at {path}")
    for each in FORMATS:
        if each.sniff(path):
            stored = each.read(path)
            if not stored.cameras:
                raise CameraError(f"{path} has no calibrated camera")
            return stored
    raise CameraError(f"{path} is no file of cameras: expected {', '.join(each.title for each in FORMATS)}")


def _cameras(stored: CameraFile, path: Path, unit: str | None) -> tuple[Camera, ...]:
    if unit is not None and unit not in UNITS:
        raise CameraError(f"unknown unit {unit!r}: expected {', '.join(UNITS)}")
    scale = UNITS[unit or stored.unit or "m"]
    try:
        return Rig(tuple(camera.camera(scale) for camera in stored.cameras)).cameras
    except CameraError as error:
        raise CameraError(f"{path}: {error}") from None
