"""TOML in Anipose's form, which FreeMoCap, Pose2Sim and Cairn share: one table a camera, and a table `metadata`.

Each camera has name, size [width, height], matrix, distortions, rotation (Rodrigues vector), translation, and fisheye
where it is true. Anipose and FreeMoCap have the unit of the board, which the file does not state (FreeMoCap measures
boards in millimeters); Pose2Sim has meters. Cairn states it: `units` in `metadata`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cairn.errors import CameraError
from cairn.multiview.cameras.camera_file import CameraFile, Format, StoredCamera, image_size
from cairn.multiview.cameras.toml_text import key, read_toml, table
from cairn.structures.camera import UNITS, Camera, Rig, rotation_vector

METADATA = "metadata"
KEYS = ("matrix", "distortions", "rotation", "translation")
FREEMOCAP = ("charuco_square_size", "square_length_mm")
"""Keys of FreeMoCap's metadata, which measures boards in millimeters."""


def read(path: Path) -> CameraFile:
    """Reads a file.

    Raises:
        CameraError: The file cannot be read, or a camera lacks a value.
    """
    content = read_toml(path)
    metadata = content.pop(METADATA, {})
    cameras = []
    for name, values in content.items():
        if not isinstance(values, dict):  # a value beside the tables
            continue
        name = str(values.get("name", name))
        if missing := [entry for entry in ("matrix", "distortions") if entry not in values]:
            raise CameraError(f"{path}: camera {name} has no {' and no '.join(missing)}")
        cameras.append(
            StoredCamera(
                name,
                values["matrix"],
                values["distortions"],
                image_size(values.get("size", values.get("image_size")), name),
                values.get("fisheye") is True,
                values.get("rotation"),
                values.get("translation"),
            )
        )
    return CameraFile(tuple(cameras), _unit(metadata if isinstance(metadata, dict) else {}, path))


def _unit(metadata: dict[str, Any], path: Path) -> str | None:
    stated = metadata.get("units")
    if stated is None:
        board = metadata.get("board")
        known = {*metadata, *(board if isinstance(board, dict) else ())}
        return "mm" if known.intersection(FREEMOCAP) else None
    if stated not in UNITS:
        raise CameraError(f"{path}: unknown units {stated!r:.40} in metadata: expected {', '.join(UNITS)}")
    return str(stated)


def _sniff(path: Path) -> bool:
    if path.suffix.lower() != ".toml" or not path.is_file():
        return False
    tables = [values for name, values in read_toml(path).items() if name != METADATA and isinstance(values, dict)]
    return bool(tables) and all("matrix" in values for values in tables)


def _values(camera: Camera) -> dict[str, Any]:
    size = {} if camera.size is None else {"size": camera.size[::-1]}
    return {
        "name": camera.name,
        **size,
        "matrix": camera.matrix,
        "distortions": camera.distortion,
        "rotation": rotation_vector(camera.rotation),
        "translation": camera.translation,
    }


def _write_cairn(rig: Rig, path: Path) -> None:
    head = "# Cameras: x_cam = R x_world + t, x right, y down, z forward; lengths in meters, sizes (width, height).\n"
    _write(path, rig, {"units": "m"}, head, always=False)


def _write_anipose(rig: Rig, path: Path) -> None:
    _write(path, rig, {"adjusted": False, "error": 0.0}, "", always=False)


def _write(path: Path, rig: Rig, metadata: dict[str, Any], head: str, always: bool) -> None:
    tables = [
        table(f"cam_{i}", {**_values(camera), **({"fisheye": camera.fisheye} if camera.fisheye or always else {})})
        for i, camera in enumerate(rig)
    ]
    path.write_text("\n".join([*([head] if head else []), *tables, table(METADATA, metadata)]), encoding="utf-8")


def _write_pose2sim(rig: Rig, path: Path) -> None:
    tables = [table(key(camera.name), {**_values(camera), "fisheye": camera.fisheye}) for camera in rig]
    tables.append(table(METADATA, {"adjusted": False, "error": 0.0}))
    path.write_text("\n".join(tables), encoding="utf-8")


CAIRN = Format("cairn", "cameras.toml of Cairn", (".toml",), _sniff, read, _write_cairn)
ANIPOSE = Format("anipose", "calibration.toml of Anipose or FreeMoCap", (), _sniff, read, _write_anipose)
POSE2SIM = Format("pose2sim", "Calib.toml of Pose2Sim", (), _sniff, read, _write_pose2sim)
