"""caliscope's camera_array.toml: tables cameras.N with matrix, distortions, rotation and translation in meters.

The rotation is a matrix in older files and a Rodrigues vector in newer ones. Camera N is named cam_N, as its video.
"""

from __future__ import annotations

import re
from pathlib import Path

from cairn.errors import CameraError
from cairn.multiview.cameras.camera_file import CameraFile, Format, StoredCamera, image_size
from cairn.multiview.cameras.toml_text import read_toml, table
from cairn.structures.camera import Rig, rotation_vector

PREFIX = "cam_"


def read(path: Path) -> CameraFile:
    """Reads a file.

    Raises:
        CameraError: The file cannot be read, or a camera lacks a value.
    """
    cameras, skipped = [], []
    for number, values in read_toml(path)["cameras"].items():
        name = f"{PREFIX}{number}"
        if not isinstance(values, dict):
            raise CameraError(f"{path}: expected a table for camera {number}, got {values!r:.40}")
        if values.get("ignore") is True or "matrix" not in values:
            skipped.append(name)
            continue
        cameras.append(
            StoredCamera(
                name,
                values["matrix"],
                values.get("distortions", []),
                image_size(values.get("size"), name),
                values.get("fisheye") is True,
                values.get("rotation"),
                values.get("translation"),
            )
        )
    return CameraFile(tuple(cameras), "m", tuple(skipped))


def _sniff(path: Path) -> bool:
    if path.suffix.lower() != ".toml" or not path.is_file():
        return False
    cameras = read_toml(path).get("cameras")
    return isinstance(cameras, dict) and bool(cameras) and "matrix" not in cameras


def _write(rig: Rig, path: Path) -> None:
    numbers = [re.fullmatch(r"\D*(\d+)", camera.name) for camera in rig]
    own = [int(match[1]) for match in numbers if match]
    if len(set(own)) < len(rig):  # caliscope has numbers alone
        own = list(range(len(rig)))
    tables = []
    for number, camera in zip(own, rig, strict=True):
        if camera.size is None:
            raise CameraError(f"camera_array.toml needs the image size of camera {camera.name}, which is unknown")
        values = {
            "cam_id": number,
            "size": camera.size[::-1],
            "rotation_count": 0,
            "matrix": camera.matrix,
            "distortions": camera.distortion,
            "ignore": False,
            "fisheye": camera.fisheye,
            "rotation": rotation_vector(camera.rotation),
            "translation": camera.translation,
        }
        tables.append(table(f"cameras.{number}", values))
    path.write_text("\n".join(tables), encoding="utf-8")


FORMAT = Format("caliscope", "camera_array.toml of caliscope", ("camera_array.toml",), _sniff, read, _write)
