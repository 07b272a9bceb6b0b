"""The foreground of views: from alpha, from files, from images of the background, or from black."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cairn.errors import ImageError
from cairn.media.images import read_image

Masks = Literal["auto", "alpha", "files", "background", "black"]

FOLDER = "masks"
"""Folder of the masks of an object."""

BACKGROUND = "background"
"""Folder of the images without an object, with the names of the cameras: beside the objects, or in that of one."""

DIFFERENCE = 24
"""Difference of a color channel from the background, from 0 to 255, that is foreground."""

BLACK_SHARE = 0.2
"""Minimum share of black pixels of images whose background is black."""

MIN_SHARE = 0.002
"""Minimum share of the image that a mask covers."""


def foreground(
    paths: Sequence[Sequence[Path]], images: Sequence[Sequence[NDArray[np.uint8]]], kind: Masks
) -> list[list[NDArray[np.bool_]]]:
    """Returns the masks (H, W) of the views of each object.

    Args:
        paths: Files of the views of each object.
        images: (H, W, 3) uint8 RGB of each view.
        kind: Where the masks come from; "auto" takes the first that applies.

    Raises:
        ImageError: There is no mask of that kind, or a mask is empty.
    """
    if kind == "auto":
        kind = _kind(paths, images)
    of = {"alpha": _of_alpha, "files": _of_file, "background": _of_background, "black": _of_black}[kind]
    masks = [[of(p, i) for p, i in zip(*each, strict=True)] for each in zip(paths, images, strict=True)]
    for own, files in zip(masks, paths, strict=True):
        for mask, path in zip(own, files, strict=True):
            if not MIN_SHARE <= mask.mean() < 1:
                share = f"{mask.mean():.1%} of the image"
                raise ImageError(f"the mask of {path} ({kind}) covers {share}: expected an object before a background")
    return masks


def _kind(paths: Sequence[Sequence[Path]], images: Sequence[Sequence[NDArray[np.uint8]]]) -> Masks:
    first = paths[0][0]
    if _alpha(first) is not None:
        return "alpha"
    if (first.parent / FOLDER).is_dir():
        return "files"
    if _background_of(first) is not None:
        return "background"
    if np.mean([(image == 0).all(axis=-1).mean() for each in images for image in each[:4]]) > BLACK_SHARE:
        return "black"
    raise ImageError(
        f"{first} has no alpha channel, no folder {FOLDER} beside it, no folder {BACKGROUND} beside the objects and no "
        "black background: give one of them, which separates the object from the background"
    )


def _alpha(path: Path) -> NDArray[np.uint8] | None:
    import cv2

    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    return image[..., 3] if image is not None and image.ndim == 3 and image.shape[2] == 4 else None


def _of_alpha(path: Path, image: NDArray[np.uint8]) -> NDArray[np.bool_]:
    alpha = _alpha(path)
    if alpha is None:
        raise ImageError(f"{path} has no alpha channel: choose other masks")
    return np.asarray(alpha > 127)


def _of_file(path: Path, image: NDArray[np.uint8]) -> NDArray[np.bool_]:
    found = sorted((path.parent / FOLDER).glob(f"{path.stem}.*"))
    if not found:
        raise ImageError(f"no mask {path.stem} in {path.parent / FOLDER} for {path}")
    mask = read_image(found[0])
    if mask.shape[:2] != image.shape[:2]:
        raise ImageError(f"the mask {found[0]} has another size than {path}")
    return np.asarray(mask.max(axis=-1) > 127)


def _of_black(path: Path, image: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return np.asarray(image.max(axis=-1) > 0)


def _background_of(path: Path) -> Path | None:
    """Returns the image without an object of the camera of a view; None where there is none."""
    for folder in (path.parent / BACKGROUND, path.parent.parent / BACKGROUND):
        if found := sorted(folder.glob(f"{path.stem}.*")):
            return found[0]
    return None


def _of_background(path: Path, image: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Returns what differs from the image without an object, without specks and small holes."""
    import cv2

    file = _background_of(path)
    if file is None:
        raise ImageError(f"no image {path.stem} in a folder {BACKGROUND} beside the objects, for {path}")
    background = read_image(file)
    if background.shape != image.shape:
        raise ImageError(f"the background {file} has another size than {path}")
    different = np.abs(image.astype(np.int16) - background).max(axis=-1) > DIFFERENCE
    kernel = np.ones((3, 3), np.uint8)
    opened = cv2.morphologyEx(different.astype(np.uint8), cv2.MORPH_OPEN, kernel)
    return np.asarray(cv2.morphologyEx(opened, cv2.MORPH_CLOSE, kernel) > 0)
