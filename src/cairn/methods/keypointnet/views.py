"""Views of objects: images with cameras and masks, in object units."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cairn.errors import ImageError
from cairn.inference.keypoints3d import half_sides, square
from cairn.media.images import read_image
from cairn.methods.keypointnet.checks import check_agreement, check_repeated, check_sizes
from cairn.methods.keypointnet.hull import Outlines, hull, longest_axis
from cairn.methods.keypointnet.masks import foreground
from cairn.methods.keypointnet.recipe import Data, ViewSource
from cairn.methods.keypointnet.sources import objects_of
from cairn.structures.camera import Camera
from cairn.structures.geometry import Affine

Array = NDArray[np.float64]

CHECKED, CHECKED_VIEWS = 4, 20
"""Number of objects, and of their views, whose masks are compared with the cameras."""


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
        found = self.rows(np.flatnonzero(np.isin(self.objects, chosen)))
        numbers = np.array([chosen.index(each) for each in found.objects], np.int64)
        return replace(found, objects=numbers, names=tuple(names))

    def rows(self, rows: NDArray[np.int64]) -> Views:
        """Returns some views, of the same objects."""
        own = ("images", "masks", "objects", "rotations", "translations", "intrinsics")
        return replace(self, **{name: getattr(self, name)[rows] for name in own})

    def in_unit(self, radius: float) -> Views:
        """Returns the same views with another object unit.

        Args:
            radius: Meters of the unit.
        """
        return replace(self, translations=self.translations * (self.radius / radius), radius=radius)

    def apart(self) -> tuple[float, float]:
        """Returns the smallest and the largest angle in degrees between the viewing directions of an object's views."""
        found = [_between(self.rotations[self.objects == number, 2]) for number in range(len(self.names))]
        angles = np.concatenate(found)
        return (float(angles.min()), float(angles.max())) if len(angles) else (0.0, 0.0)

    def outlines(self, number: int, most: int) -> Outlines:
        """Returns the masks and cameras of one object, of a number of views at most."""
        rows = np.flatnonzero(self.objects == number)
        rows = rows[np.linspace(0, len(rows) - 1, min(most, len(rows))).astype(int)]
        return Outlines(self.masks[rows], self.rotations[rows], self.translations[rows], self.intrinsics[rows])

    def longest_axis(self) -> Array:
        """Returns the direction (3,) in the world in which the objects are longest across the images."""
        return longest_axis([hull(each) for each in self.checked()], self.rotations[:, 0])

    def checked(self) -> list[Outlines]:
        """Returns the masks and cameras of some views of some objects, that shapes are carved from."""
        return [self.outlines(number, CHECKED_VIEWS) for number in range(min(CHECKED, len(self.names)))]

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
    """Reads the views of folders or label files.

    Args:
        sources: The folders or label files.
        data: Masks and turntable.
        size: Side of the square images in pixels.

    Raises:
        CameraError: A view has no camera, or an image has another size than its camera states.
        ImageError: There are no images, two views are the same, or a mask is empty.
        LabelError: A label file cannot be read.
    """
    found = [each for source in sources for each in objects_of(source, data)]
    if not found:
        where = ", ".join(str(source.path) for source in sources)
        raise ImageError(f"no views in {where}: expected a subfolder for each object, with an image for each camera")
    images = [[read_image(path) for path in paths] for _, paths, _ in found]
    masks = foreground([paths for _, paths, _ in found], images, data.masks)
    cameras = [camera for _, _, rig in found for camera in rig]
    flat = [image for each in images for image in each]
    covered = [mask for each in masks for mask in each]
    check_sizes(flat, [path for _, paths, _ in found for path in paths], cameras)
    check_repeated(found, images, masks, data.angles[0])
    squares, covers, affines = _squares(flat, covered, size)
    intrinsics = np.stack([half_sides(camera, affine, size) for camera, affine in zip(cameras, affines, strict=True)])
    center = nearest_point(cameras, _middles(covers, intrinsics))
    rotations = np.stack([camera.rotation for camera in cameras])
    translations = np.stack([camera.translation + camera.rotation @ center for camera in cameras])
    radius = _radius(covers, intrinsics, translations)
    objects = np.repeat(np.arange(len(found)), [len(paths) for _, paths, _ in found])
    names = _names([each.folder for each in found])
    views = Views(squares, covers, objects, names, rotations, translations / radius, intrinsics, center, radius)
    check_agreement(views)
    return views


def _between(directions: Array) -> Array:
    """Returns the angles in degrees between each two of unit vectors (V, 3)."""
    cosines = (directions @ directions.T)[np.triu_indices(len(directions), 1)]
    return np.asarray(np.degrees(np.arccos(np.clip(cosines, -1, 1))))


def _names(folders: Sequence[Path]) -> tuple[str, ...]:
    """Returns the names of folders, with as much of their paths as tells them apart."""
    short = tuple(folder.name for folder in folders)
    if len(set(short)) == len(short):
        return short
    above = os.path.commonpath([folder.parent for folder in folders])
    return tuple(folder.relative_to(above).as_posix() for folder in folders)


def nearest_point(cameras: Sequence[Camera], directions: Array) -> Array:
    """Returns the point (3,) with the least squared distance from rays of cameras.

    Args:
        cameras: V cameras.
        directions: (V, 3) unit vectors in the frame of each.
    """
    centers = np.stack([camera.center for camera in cameras])
    axes = np.stack([direction @ camera.rotation for camera, direction in zip(cameras, directions, strict=True)])
    across = np.eye(3) - axes[:, :, None] * axes[:, None]
    point: Array = np.linalg.lstsq(across.sum(axis=0), (across @ centers[..., None]).sum(axis=0)[:, 0], rcond=1e-9)[0]
    return point


def _middles(masks: NDArray[np.bool_], intrinsics: Array) -> Array:
    """Returns the directions (V, 3) of the centroids of masks (V, S, S), in the frame of each camera."""
    size = masks.shape[1]
    cells = (2 * np.arange(size) + 1) / size - 1
    counts = np.maximum(masks.sum(axis=(1, 2)), 1)[:, None]
    uv = np.column_stack([masks.sum(axis=1) @ cells, masks.sum(axis=2) @ cells]) / counts
    rays = np.column_stack([(uv - intrinsics[:, 2:]) / intrinsics[:, :2], np.ones(len(uv))])
    return np.asarray(rays / np.linalg.norm(rays, axis=1, keepdims=True))


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
