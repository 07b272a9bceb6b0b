"""Whether images, masks and cameras of views can be used, and belong together."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cairn.errors import CameraError, ImageError
from cairn.methods.keypointnet.hull import agreement
from cairn.methods.keypointnet.sources import ObjectViews
from cairn.structures.camera import Camera
from cairn.wording import counted

if TYPE_CHECKING:
    from cairn.methods.keypointnet.views import Views

log = logging.getLogger(__name__)

Image = NDArray[np.uint8]
Mask = NDArray[np.bool_]

ALIKE, COARSE = 1.0, 16
"""Mean difference, from 0 to 255, below which two views are one image but for noise; and the side at which they are
compared."""

SAME = 1e-6
"""Difference of rotations, and of positions relative to the distance from the world's origin, of one camera."""

MIRRORED = 0.08
"""Overlap of mirrored masks beyond that of the masks as given, from which the cameras are mirrored."""

DISAGREEING = 0.25
"""Overlap of the masks with the hull, below which cameras and masks contradict one another."""


def check_sizes(images: Sequence[Image], paths: Sequence[Path], cameras: Sequence[Camera]) -> None:
    """Raises CameraError where the intrinsics of a camera are those of another image size."""
    for image, camera, path in zip(images, cameras, paths, strict=True):
        height, width = image.shape[:2]
        if camera.size is not None and camera.size != (height, width):
            stated = f"{camera.size[1]}x{camera.size[0]}"
            raise CameraError(f"{path} is {width}x{height}, but camera {camera.name} was calibrated for {stated}")
        x, y = camera.matrix[:2, 2]
        if camera.size is None and not (0 < x < width and 0 < y < height):
            raise CameraError(
                f"the optical axis of camera {camera.name} is at ({x:.0f}, {y:.0f}) px, outside of {path}, which is "
                f"{width}x{height}: its intrinsics are of another image size; if the images are crops, state their size"
            )


def check_repeated(
    objects: Sequence[ObjectViews],
    images: Sequence[Sequence[Image]],
    masks: Sequence[Sequence[Mask]],
    smallest: float,
) -> None:
    """Raises where an object, a view of it, or a camera is there twice; warns of views that differ by noise alone.

    Args:
        objects: Paths and cameras.
        images: (H, W, 3) of the views of each object.
        masks: (H, W) likewise.
        smallest: Degrees between viewing directions from which views must look different.

    Raises:
        ImageError: An object or an image is there twice.
        CameraError: Two views of an object have the same camera.
    """
    known: dict[frozenset[bytes], Path] = {}
    for each, own, covers in zip(objects, images, masks, strict=True):
        seen: dict[bytes, Path] = {}
        for image, mask, path in zip(own, covers, each.paths, strict=True):
            key = blake2b(image.tobytes() + mask.tobytes()).digest()  # alpha is not in the image
            if key in seen:
                raise ImageError(f"{seen[key]} and {path} are the same image: each view needs its own")
            seen[key] = path
        contents = frozenset(seen)
        if contents in known:
            raise ImageError(f"{known[contents]} and {each.folder} have the same images: give each object once")
        known[contents] = each.folder
        _check_cameras(each)
        directions = np.stack([camera.rotation[2] for camera in each.rig])
        apart = directions @ directions.T < np.cos(np.radians(smallest))
        alike = np.argwhere(np.triu(_alike(own, covers) & apart, 1))
        if len(alike):
            first, second = (each.paths[i] for i in alike[0])
            log.warning("%s and %s look the same, and their cameras differ: is one a copy?", first, second)


def _alike(images: Sequence[Image], masks: Sequence[Mask]) -> Mask:
    """Returns (V, V) whether views differ by noise alone: in the colors of the foreground, and in its outline."""
    import cv2

    small = []
    for image, mask in zip(images, masks, strict=True):
        layers = np.dstack([image * mask[..., None], 255 * mask.astype(np.uint8)]).astype(np.float32)
        small.append(cv2.resize(layers, (COARSE, COARSE), interpolation=cv2.INTER_AREA).reshape(-1, 4))
    stacked = np.stack(small)
    covered = stacked[..., 3] > 0
    rows = []
    for own, cover in zip(stacked, covered, strict=True):
        either = covered | cover
        rows.append((np.abs(stacked - own).mean(axis=-1) * either).sum(axis=1) / either.sum(axis=1))
    return np.asarray(np.stack(rows) < ALIKE)


def _check_cameras(views: ObjectViews) -> None:
    cameras = list(views.rig)
    scale = max(float(np.linalg.norm(camera.center)) for camera in cameras) or 1.0
    places = np.stack([np.append(camera.rotation, camera.center / scale) for camera in cameras])
    for i, camera in enumerate(cameras):
        same = np.flatnonzero((np.abs(places[:i] - places[i]) < SAME).all(axis=1))
        if same.size:
            raise CameraError(
                f"cameras {cameras[same[0]].name} and {camera.name} of the views in {views.folder} are at one place "
                "with one direction: each view needs its own"
            )


def check_agreement(views: Views) -> None:
    """Raises where the cameras look away from the object, or the masks are those of other or mirrored cameras."""
    if (away := np.flatnonzero(views.translations[:, 2] <= 0)).size:
        name = views.names[views.objects[away[0]]]
        raise CameraError(
            f"{counted(len(away), 'camera')} of {len(views)} look away from the object, the first one of {name}: "
            "expected cameras with x right, y down and z forward"
        )
    outlines = views.checked()
    fit = float(np.mean([agreement(each) for each in outlines]))
    mirrored = float(np.mean([agreement(each.flipped()) for each in outlines]))
    if mirrored > fit + MIRRORED:
        raise CameraError(
            f"the cameras are mirrored: masks and cameras agree by {fit:.0%}, and by {mirrored:.0%} with flipped "
            "images; check the direction of the turntable, or the handedness of the cameras"
        )
    if fit < DISAGREEING:
        raise CameraError(
            f"the masks do not agree with the cameras: no solid object has these outlines (overlap {fit:.0%}); check "
            "that each image has the camera of its name, and the masks"
        )
