"""JSON with K, R, t, dist and size of each camera, as multi-view data sets publish it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cairn.errors import CameraError
from cairn.multiview.cameras.camera_file import CameraFile, Format, StoredCamera, image_size, text_of
from cairn.structures.camera import UNITS, Rig

MATRIX = ("K", "matrix", "camera_matrix", "intrinsic_matrix")
DISTORTION = ("dist", "distortions", "distortion", "distCoef", "distortion_coefficients")
ROTATION = ("R", "rotation", "rvec")
TRANSLATION = ("t", "T", "translation", "tvec")
SIZE = ("size", "resolution", "image_size")


def read(path: Path) -> CameraFile:
    """Reads a file: a table of cameras by name, or a list of cameras with names, alone or under `cameras`.

    Raises:
        CameraError: The file cannot be read, or a camera lacks a value.
    """
    content = _content(path)
    unit = content.get("units", content.get("unit")) if isinstance(content, dict) else None
    if unit is not None and unit not in UNITS:
        raise CameraError(f"{path}: unknown units {unit!r:.40}: expected {', '.join(UNITS)}")
    return CameraFile(tuple(_camera(name, values, path) for name, values in _entries(content)), unit)


def _camera(name: str, values: dict[str, Any], path: Path) -> StoredCamera:
    matrix, distortion = _first(values, MATRIX), _first(values, DISTORTION)
    if matrix is None:
        raise CameraError(f"{path}: camera {name} has no K")
    return StoredCamera(
        name,
        matrix,
        [] if distortion is None else distortion,
        image_size(_first(values, SIZE), name),
        values.get("fisheye") is True,
        _first(values, ROTATION),
        _first(values, TRANSLATION),
    )


def _first(values: dict[str, Any], keys: tuple[str, ...]) -> Any:
    return next((values[key] for key in keys if values.get(key) is not None), None)


def _entries(content: Any) -> list[tuple[str, dict[str, Any]]]:
    if isinstance(content, dict):
        content = content.get("cameras", content)
    if isinstance(content, dict):
        return [(str(name), values) for name, values in content.items() if isinstance(values, dict)]
    entries = [values for values in content if isinstance(values, dict)] if isinstance(content, list) else []
    return [(str(values.get("name", values.get("id", f"cam_{i}"))), values) for i, values in enumerate(entries)]


def _content(path: Path) -> Any:
    try:
        return json.loads(text_of(path))
    except (ValueError, RecursionError) as error:
        raise CameraError(f"{path} is not valid JSON: {error}") from None


def _sniff(path: Path) -> bool:
    if path.suffix.lower() != ".json" or not path.is_file():
        return False
    entries = _entries(_content(path))
    return any(_first(values, MATRIX) is not None for _, values in entries)


def _write(rig: Rig, path: Path) -> None:
    cameras = {
        camera.name: {
            "K": camera.matrix.tolist(),
            "R": camera.rotation.tolist(),
            "t": camera.translation.tolist(),
            "dist": camera.distortion.tolist(),
            **({} if camera.size is None else {"size": camera.size[::-1]}),
            **({"fisheye": True} if camera.fisheye else {}),
        }
        for camera in rig
    }
    content = {"units": "m", "convention": "x_cam = R x_world + t", "cameras": cameras}
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


FORMAT = Format("json", "JSON with K, R and t of each camera", (".json",), _sniff, read, _write)
