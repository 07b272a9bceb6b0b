"""Where views come from: folders or label files, and a camera for each of their images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cairn.errors import CameraError, ImageError
from cairn.media.images import IMAGE_SUFFIXES, read_image
from cairn.methods.keypointnet.masks import BACKGROUND, FOLDER
from cairn.methods.keypointnet.recipe import Data, ViewSource
from cairn.structures.camera import Camera, Rig, rotation_matrix
from cairn.structures.geometry import Size
from cairn.wording import counted

CAMERAS = "cameras.toml"
"""File of cameras in a folder of views."""

TURNTABLE_DISTANCE = 4.0
"""Distance of the camera of a turntable, which has no unit."""


class ObjectViews(NamedTuple):
    """The views of an object: the folder of its images, the images, and a camera for each of them."""

    folder: Path
    paths: list[Path]
    rig: Rig


def objects_of(source: ViewSource, data: Data) -> list[ObjectViews]:
    """Returns the objects of a source: the subfolders of a folder, or itself where it has images; or of a label file.

    Raises:
        CameraError: A view has no camera.
        ImageError: There is no such folder or file.
        LabelError: The label file cannot be read.
    """
    if source.path.is_dir():
        folders, shared = _of_folder(source.path), source.path
    elif source.path.is_file():
        folders, shared = _of_labels(source), source.images or source.path.parent
    else:
        raise ImageError(f"no folder of views, and no label file, at {source.path}")
    file = source.cameras or shared / CAMERAS
    return [ObjectViews(folder, paths, _rig(folder, paths, file, data)) for folder, paths in folders.items()]


def cameras_of(data: Data) -> dict[Path, Camera]:
    """Returns the cameras of all views of a recipe, by the path of the image."""
    found = [each for source in (*data.train, *data.val) for each in objects_of(source, data)]
    return {path.resolve(): camera for _, paths, rig in found for path, camera in zip(paths, rig, strict=True)}


def turntable(names: Sequence[str], size: Size, data: Data) -> Rig:
    """Returns the cameras of a turntable: equally spaced around the z axis, at `TURNTABLE_DISTANCE`.

    Args:
        names: Names of the views, in their order.
        size: (height, width) of the images in pixels.
        data: Elevation and field of view.
    """
    height, width = size
    focal = width / 2 / np.tan(np.radians(data.field_of_view) / 2)
    matrix = np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]])
    tilt = rotation_matrix([np.radians(90 + data.elevation), 0, 0])
    away = np.array([0, 0, TURNTABLE_DISTANCE])
    turns = 2 * np.pi * np.arange(len(names)) / len(names)
    return Rig(
        tuple(
            Camera(name, matrix, np.zeros(0), tilt @ rotation_matrix([0, 0, turn]), away, size)
            for name, turn in zip(names, turns, strict=True)
        )
    )


def _of_folder(folder: Path) -> dict[Path, list[Path]]:
    """Returns the images of each object by its folder."""
    if paths := _images(folder):
        return {folder: paths}
    folders = sorted(path for path in folder.iterdir() if path.is_dir() and path.name not in (FOLDER, BACKGROUND))
    return {each: paths for each in folders if (paths := _images(each))}


def _of_labels(source: ViewSource) -> dict[Path, list[Path]]:
    """Returns the images that a label file lists, by their folder."""
    from cairn.datasets.reading import read_image_paths

    found: dict[Path, list[Path]] = {}
    for path in sorted(read_image_paths(source.path, source.images)):
        found.setdefault(path.parent, []).append(path)
    return found


def _images(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file())


def _rig(folder: Path, paths: list[Path], shared: Path, data: Data) -> Rig:
    """Returns the cameras of the views of an object, in their order."""
    from cairn.multiview.cameras import read_cameras

    if data.turntable:
        if len(paths) != data.turntable:
            expected = counted(data.turntable, "view")
            raise CameraError(f"{folder} has {counted(len(paths), 'image')}: expected {expected} of a turntable")
        return turntable([path.stem for path in paths], read_image(paths[0]).shape[:2], data)
    own = folder / CAMERAS
    file = own if own.is_file() else shared
    if not file.is_file() and shared.name != CAMERAS:
        raise CameraError(f"no file of cameras at {shared}, for the views in {folder}")
    if not file.is_file():
        raise CameraError(
            f"no cameras for the views in {folder}: give --cameras FILE, put {CAMERAS} there, or give --turntable VIEWS"
        )
    rig = read_cameras(file)
    missing = [path for path in paths if path.stem not in rig.names]
    if missing:
        some = ", ".join(rig.names[:8]) + (", ..." if len(rig) > 8 else "")
        raise CameraError(f"{file} has no camera {missing[0].stem!r} for {missing[0]}; it has {some}")
    return rig[[path.stem for path in paths]]
