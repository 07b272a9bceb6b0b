"""YAML of OpenCV's calibration programs.

Read are: the result of the multi-view calibration (cam_ids, Ks, distortions, rvecs, Ts, image_sizes, is_fisheye), which
is written too; a stereo pair (M1, D1, M2, D2, R, T, in one file, or in intrinsics.yml and extrinsics.yml); and one
camera (camera_matrix, distortion_coefficients, image_width, image_height), with a pose where the file has rvec and
tvec. Lengths have the unit of the board, which OpenCV does not state.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cairn.errors import CameraError
from cairn.multiview.cameras.camera_file import CameraFile, Format, StoredCamera, image_size, padded
from cairn.multiview.cameras.file_storage import SUFFIXES, Storage, matrix
from cairn.structures.camera import FISHEYE_LENGTH, PINHOLE_LENGTHS, UNITS, Rig, rotation_vector

STEREO = ("M1", "M2")
ONE = ("camera_matrix", "K", "cameraMatrix", "Camera_Matrix")


def read(path: Path) -> CameraFile:
    """Reads a file, and of a stereo pair the file of its extrinsics beside it.

    Raises:
        CameraError: The file cannot be read, or a camera lacks a value.
    """
    storage = Storage(path)
    unit = next((unit for unit in storage.strings("units") if unit in UNITS), None)
    if "Ks" in storage:
        return CameraFile(_rig(storage), unit)
    if STEREO[0] in storage:
        return CameraFile(_stereo(storage), unit)
    return CameraFile((_one(storage),), unit)


def _rig(storage: Storage) -> tuple[StoredCamera, ...]:
    matrices = _shaped(storage, "Ks", (-1, 3, 3))
    count = len(matrices)
    names = [name for entry in storage.strings("cam_ids") for name in entry.split(",")]
    names = names or [f"cam_{i}" for i in range(count)]
    if len(names) != count:
        raise CameraError(f"{storage.path}: expected as many cam_ids as Ks ({count}), got {len(names)}")
    distortions = _shaped(storage, "distortions", (count, -1))
    sizes = _shaped(storage, "image_sizes", (count, 2)) if "image_sizes" in storage else None
    fisheye = _shaped(storage, "is_fisheye", (count,)) if "is_fisheye" in storage else None
    rotations = _shaped(storage, "rvecs", (count, 3)) if "rvecs" in storage else None
    translations = _shaped(storage, "Ts", (count, 3)) if "Ts" in storage else None
    cameras = []
    for i, name in enumerate(names):
        bent = bool(fisheye is not None and fisheye[i])
        cameras.append(
            StoredCamera(
                name,
                matrices[i],
                distortions[i][:FISHEYE_LENGTH] if bent else distortions[i],
                None if sizes is None else image_size(sizes[i], name),
                bent,
                None if rotations is None else rotations[i],
                None if translations is None else translations[i],
            )
        )
    return tuple(cameras)


def _shaped(storage: Storage, key: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """The matrix under a key in another shape, in which -1 is any length."""
    found = storage.required(key)
    try:
        return found.reshape(shape)
    except ValueError:
        wanted = " x ".join("any" if side == -1 else str(side) for side in shape)
        raise CameraError(f"{storage.path}: {key}: expected {wanted} numbers, got {found.size}") from None


def _stereo(storage: Storage) -> tuple[StoredCamera, ...]:
    """Camera 1 is the world; R and T lead from it to camera 2."""
    posed: Storage | None = storage
    if "R" not in storage:
        beside = storage.path.with_name(storage.path.name.replace("intrinsics", "extrinsics"))
        posed = Storage(beside) if beside != storage.path and beside.is_file() else None
    r, t = (None, None) if posed is None else (posed.required("R", "Rot"), posed.required("T"))
    first = StoredCamera("cam_1", storage.required("M1"), storage.required("D1"), None, False, np.eye(3), np.zeros(3))
    return first, StoredCamera("cam_2", storage.required("M2"), storage.required("D2"), None, False, r, t)


def _one(storage: Storage) -> StoredCamera:
    name = (storage.strings("camera_name") or [storage.path.stem])[0]
    width = storage.number("image_width", "image_Width")
    height = storage.number("image_height", "image_Height")
    distortion = storage.array("distortion_coefficients", "Distortion_Coefficients", "distCoeffs", "dist", "D")
    fisheye = any(model in ("fisheye", "equidistant") for model in storage.strings("distortion_model"))
    return StoredCamera(
        name,
        storage.required(*ONE),
        [] if distortion is None else distortion,
        image_size([width, height], name) if width and height else None,
        fisheye,
        storage.array("R", "rotation", "rvec"),
        storage.array("T", "t", "translation", "tvec"),
    )


def _sniff(path: Path) -> bool:
    if path.suffix.lower() not in SUFFIXES or not path.is_file():
        return False
    storage = Storage(path)
    return any(key in storage for key in ("Ks", *STEREO, *ONE))


def _write(rig: Rig, path: Path) -> None:
    if any("," in name or '"' in name or "\\" in name for name in rig.names):
        raise CameraError("YAML of OpenCV has names without commas, quotes and backslashes: rename the cameras")
    if any(camera.size is None for camera in rig):
        raise CameraError("YAML of OpenCV needs the image size of each camera, which is unknown")
    length = max(max((len(camera.distortion) for camera in rig), default=0), FISHEYE_LENGTH)
    length = min(each for each in PINHOLE_LENGTHS if each >= length)
    sizes = [camera.size[::-1] for camera in rig if camera.size is not None]
    parts = [
        '%YAML:1.0\n---\nunits: "m"\n',
        f'cam_ids: "{",".join(rig.names)}"\n',
        matrix("image_sizes", sizes),
        matrix("is_fisheye", [camera.fisheye for camera in rig]),
        _stack("Ks", np.stack([camera.matrix for camera in rig])),
        matrix("distortions", [padded(camera.distortion, (length,)) for camera in rig]),
        matrix("rvecs", [rotation_vector(camera.rotation) for camera in rig]),
        matrix("Ts", [camera.translation for camera in rig]),
    ]
    path.write_text("".join(parts), encoding="utf-8")


def _stack(name: str, values: NDArray[np.float64]) -> str:
    """Matrices (V, 3, 3) as FileStorage has an array of three dimensions."""
    numbers = ", ".join(repr(value) for value in values.reshape(-1).tolist())
    sizes = ", ".join(map(str, values.shape))
    return f"{name}: !!opencv-nd-matrix\n   sizes: [ {sizes} ]\n   dt: d\n   data: [ {numbers} ]\n"


FORMAT = Format("opencv", "YAML of OpenCV", SUFFIXES, _sniff, read, _write)
