"""Views of objects: images with cameras and masks, in object units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cairn.errors import CameraError, ImageError
from cairn.inference.keypoints3d import half_sides, square
from cairn.media.images import IMAGE_SUFFIXES, read_image
from cairn.methods.keypointnet.masks import foreground
from cairn.methods.keypointnet.recipe import Data, ViewSource
from cairn.structures.camera import Camera, Rig, rotation_matrix
from cairn.structures.geometry import Affine, Size
from cairn.wording import counted

Array = NDArray[np.float64]

CAMERAS = "cameras.toml"


@dataclass(frozen=True, eq=False)
class Views:
    """The views of all objects.

    Attributes:
        images: (N, S, S, 3) uint8 RGB; black outside the image.
        masks: (N, S, S) bool, the foreground.
        objects: (N,) index of the object of each view.
        names: Names of the objects.
        rotations: (N, 3, 3) R of x_cam = R x + t, with the object at the origin.
        translations: (N, 3) t in object units.
        intrinsics: (N, 4) fx, fy, cx, cy in half image sides, so that u = fx x / z + cx.
        center: (3,) the origin of object units in the world of the cameras.
        radius: Meters of an object unit.
    """

    images: NDArray[np.uint8]
    masks: NDArray[np.bool_]
    objects: NDArray[np.int64]
    names: tuple[str, ...]
    rotations: Array
    translations: Array
    intrinsics: Array
    center: Array
    radius: float

    def __len__(self) -> int:
        return len(self.images)

    def of(self, names: Sequence[str]) -> Views:
        """Returns the views of some objects."""
        chosen = [self.names.index(name) for name in names]
        rows = np.flatnonzero(np.isin(self.objects, chosen))
        return replace(
            self,
            images=self.images[rows],
            masks=self.masks[rows],
            objects=np.array([chosen.index(each) for each in self.objects[rows]], np.int64),
            names=tuple(names),
            rotations=self.rotations[rows],
            translations=self.translations[rows],
            intrinsics=self.intrinsics[rows],
        )

    def pairs(self, angles: tuple[float, float]) -> NDArray[np.int64]:
        """Returns the pairs (M, 2) of views of one object whose viewing directions differ by an angle in a range.

        Args:
            angles: Smallest and largest angle in degrees.
        """
        low, high = np.cos(np.radians(angles[1])), np.cos(np.radians(angles[0]))
        found = []
        for number in range(len(self.names)):
            rows = np.flatnonzero(self.objects == number)
            directions = self.rotations[rows, 2]
            cosines = directions @ directions.T
            first, second = np.nonzero((cosines >= low - 1e-9) & (cosines <= high + 1e-9))
            found.append(np.column_stack([rows[first], rows[second]]))
        return np.concatenate(found).astype(np.int64)


def read_views(sources: Sequence[ViewSource], data: Data, size: int) -> Views:
    """Reads the views of folders.

    Args:
        sources: The folders.
        data: Masks and turntable.
        size: Side of the square images in pixels.

    Raises:
        CameraError: A view has no camera, or an image has another size than its camera states.
        ImageError: There are no images, two views are the same, or a mask is empty.
    """
    found = [each for source in sources for each in _objects(source, data)]
    if not found:
        where = ", ".join(str(source.path) for source in sources)
        raise ImageError(f"no views in {where}: expected a subfolder for each object, with an image for each camera")
    images = [[read_image(path) for path in paths] for _, paths, _ in found]
    masks = foreground([paths for _, paths, _ in found], images, data.masks)
    cameras = [camera for _, _, rig in found for camera in rig]
    flat = [image for each in images for image in each]
    _check_sizes(flat, cameras, [path for _, paths, _ in found for path in paths])
    squares, covers, affines = _squares(flat, [mask for each in masks for mask in each], size)
    intrinsics = np.stack([half_sides(camera, affine, size) for camera, affine in zip(cameras, affines, strict=True)])
    center = nearest_point(cameras)
    rotations = np.stack([camera.rotation for camera in cameras])
    translations = np.stack([camera.translation + camera.rotation @ center for camera in cameras])
    radius = _radius(covers, intrinsics, translations)
    objects = np.repeat(np.arange(len(found)), [len(paths) for _, paths, _ in found])
    names = tuple(name for name, _, _ in found)
    return Views(squares, covers, objects, names, rotations, translations / radius, intrinsics, center, radius)


def nearest_point(cameras: Sequence[Camera]) -> Array:
    """Returns the point (3,) with the least squared distance from the optical axes of cameras."""
    centers = np.stack([camera.center for camera in cameras])
    axes = np.stack([camera.rotation[2] for camera in cameras])
    across = np.eye(3) - axes[:, :, None] * axes[:, None]
    point: Array = np.linalg.lstsq(across.sum(axis=0), (across @ centers[..., None]).sum(axis=0)[:, 0], rcond=1e-9)[0]
    return point


def turntable(names: Sequence[str], size: Size, data: Data) -> Rig:
    """Returns the cameras of a turntable: equally spaced around the z axis, at a distance of 4 object radii.

    Args:
        names: Names of the views, in their order.
        size: (height, width) of the images in pixels.
        data: Elevation and field of view.
    """
    height, width = size
    focal = width / 2 / np.tan(np.radians(data.field_of_view) / 2)
    matrix = np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]])
    tilt = rotation_matrix([np.radians(90 + data.elevation), 0, 0])
    turns = 2 * np.pi * np.arange(len(names)) / len(names)
    return Rig(
        tuple(
            Camera(name, matrix, [], tilt @ rotation_matrix([0, 0, turn]), [0, 0, 4.0], size)
            for name, turn in zip(names, turns, strict=True)
        )
    )


def _objects(source: ViewSource, data: Data) -> list[tuple[str, list[Path], Rig]]:
    """Returns the name, the images and the cameras of each object of a folder."""
    from cairn.multiview.cameras import read_cameras

    if not source.path.is_dir():
        raise ImageError(f"no folder of views at {source.path}")
    shared = source.cameras or source.path / CAMERAS
    found = []
    for folder in sorted(path for path in source.path.iterdir() if path.is_dir()):
        paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
        if not paths:
            continue
        if data.turntable:
            if len(paths) != data.turntable:
                expected = counted(data.turntable, "view")
                raise CameraError(f"{folder} has {counted(len(paths), 'image')}: expected {expected} of a turntable")
            found.append((folder.name, paths, turntable([p.stem for p in paths], read_image(paths[0]).shape[:2], data)))
            continue
        own = folder / CAMERAS
        file = own if own.is_file() else shared
        if not file.is_file():
            raise CameraError(f"no cameras for the views in {folder}: give --cameras FILE, or put {CAMERAS} there")
        rig = read_cameras(file)
        missing = [path for path in paths if path.stem not in rig.names]
        if missing:
            raise CameraError(
                f"{file} has no camera {missing[0].stem!r} for {missing[0]}; it has {', '.join(rig.names[:8])}"
            )
        found.append((folder.name, paths, rig[[path.stem for path in paths]]))
    return found


def _check_sizes(images: Sequence[NDArray[np.uint8]], cameras: Sequence[Camera], paths: Sequence[Path]) -> None:
    for image, camera, path in zip(images, cameras, paths, strict=True):
        if camera.size is not None and camera.size != image.shape[:2]:
            got, stated = ("x".join(map(str, size[::-1])) for size in (image.shape[:2], camera.size))
            raise CameraError(f"{path} is {got}, but camera {camera.name} was calibrated for {stated}")
    for i in range(1, len(images)):
        if images[i].shape == images[i - 1].shape and np.array_equal(images[i], images[i - 1]):
            raise ImageError(f"{paths[i - 1]} and {paths[i]} are the same image: each view needs its own")


def _squares(
    images: Sequence[NDArray[np.uint8]], masks: Sequence[NDArray[np.bool_]], size: int
) -> tuple[NDArray[np.uint8], NDArray[np.bool_], list[Affine]]:
    """Returns images and masks scaled into squares, centered, and the maps from their pixels."""
    squares, covers, affines = [], [], []
    for image, mask in zip(images, masks, strict=True):
        affine = square(image.shape[:2], size)
        squares.append(affine.warp(image, (size, size), border=0))
        covers.append(affine.warp(mask.astype(np.float32), (size, size), border=0) > 0.5)
        affines.append(affine)
    return np.stack(squares), np.stack(covers), affines


def _radius(masks: NDArray[np.bool_], intrinsics: Array, translations: Array) -> float:
    """Returns the radius of the objects in the unit of the translations: that of their masks at their distance."""
    areas = masks.mean(axis=(1, 2)) * 4  # in squared half sides
    radii = np.sqrt(areas / np.pi) / intrinsics[:, 0] * np.linalg.norm(translations, axis=1)
    return float(np.median(radii))
