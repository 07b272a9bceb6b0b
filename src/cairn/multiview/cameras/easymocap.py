"""EasyMocap's intri.yml and extri.yml: `names`, and K_NAME, dist_NAME, H_NAME, W_NAME; R_NAME, Rot_NAME, T_NAME.

Lengths are in meters.
"""

from __future__ import annotations

import re
from pathlib import Path

from cairn.errors import CameraError
from cairn.files import atomic_write
from cairn.multiview.cameras.camera_file import CameraFile, Format, StoredCamera, image_size, padded
from cairn.multiview.cameras.file_storage import SUFFIXES, Storage, matrix
from cairn.structures.camera import Rig, rotation_vector

INTRINSICS, EXTRINSICS = "intri.yml", "extri.yml"
LENGTHS = (4, 5)
NAME = re.compile(r"[A-Za-z0-9_-]+")
"""Names of which OpenCV reads the keys."""


def read(path: Path) -> CameraFile:
    """Reads both files: given their folder or one of them. A folder with intri.yml alone has cameras without poses.

    Raises:
        CameraError: A file cannot be read, or a camera lacks a value.
    """
    folder = path if path.is_dir() else path.parent
    if not (folder / INTRINSICS).is_file():
        raise CameraError(f"{folder} has no {INTRINSICS}")
    intrinsics = Storage(folder / INTRINSICS)
    extrinsics = Storage(folder / EXTRINSICS) if (folder / EXTRINSICS).is_file() else None
    cameras = []
    for name in intrinsics.strings("names"):
        width, height = intrinsics.number(f"W_{name}"), intrinsics.number(f"H_{name}")
        distortion = intrinsics.array(f"dist_{name}", f"D_{name}")
        cameras.append(
            StoredCamera(
                name,
                intrinsics.required(f"K_{name}"),
                [] if distortion is None else distortion,
                image_size([width, height], name) if width and height else None,
                False,
                None if extrinsics is None else extrinsics.array(f"Rot_{name}", f"R_{name}"),
                None if extrinsics is None else extrinsics.array(f"T_{name}"),
            )
        )
    return CameraFile(tuple(cameras), "m")


def _sniff(path: Path) -> bool:
    if path.is_dir():
        return (path / INTRINSICS).is_file()
    if path.suffix.lower() not in SUFFIXES:
        return False
    return path.name in (INTRINSICS, EXTRINSICS) and "names" in Storage(path)


def _write(rig: Rig, folder: Path) -> None:
    for camera in rig:
        if not NAME.fullmatch(camera.name):
            raise CameraError(
                f"EasyMocap has names of letters, digits, _ and - alone, and a camera is named {camera.name!r}"
            )
    names = "names:\n" + "".join(f'   - "{name}"\n' for name in rig.names)
    intrinsics, extrinsics = ["%YAML:1.0\n---\n", names], ["%YAML:1.0\n---\n", names]
    for camera in rig:
        intrinsics += [
            matrix(f"K_{camera.name}", camera.matrix),
            matrix(f"dist_{camera.name}", padded(camera.distortion, LENGTHS)),
        ]
        if camera.size is not None:
            intrinsics.append(f"H_{camera.name}: {camera.size[0]}\nW_{camera.name}: {camera.size[1]}\n")
        extrinsics += [
            matrix(f"R_{camera.name}", rotation_vector(camera.rotation)[:, None]),
            matrix(f"Rot_{camera.name}", camera.rotation),
            matrix(f"T_{camera.name}", camera.translation[:, None]),
        ]
    with atomic_write(folder / INTRINSICS) as one, atomic_write(folder / EXTRINSICS) as other:
        one.write_text("".join(intrinsics), encoding="utf-8")
        other.write_text("".join(extrinsics), encoding="utf-8")


FORMAT = Format(
    "easymocap", "intri.yml and extri.yml of EasyMocap", ("",), _sniff, read, _write, lengths=(0, 4, 5), fisheye=False
)
