"""Augmentation: one affine map moves an image and its keypoints together; then colors change."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from cairn.structures.annotation import Annotation
from cairn.structures.geometry import Affine, Size, crop
from cairn.structures.skeleton import Skeleton

Share = Annotated[float, Field(ge=0, le=1)]

COVERED = (0.1, 0.4)
"""Minimum and maximum side of an occluding rectangle, divided by that of the image."""


class Augmentation(BaseModel):
    """Ranges and probabilities of augmentation.

    Attributes:
        rotation: Maximum rotation in degrees, uniform in ±.
        scale: Minimum and maximum factor on the size, log-uniform.
        shift: Maximum shift of the crop's center, uniform in ± this share of the crop's side.
        flip: Probability of a horizontal flip.
        color: Range of brightness, contrast, saturation and each channel: factors up to 1 ± this.
        gray: Probability of a conversion to gray.
        occlude: Probability of an occluding rectangle of one random color; keypoints behind it stay labeled.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    rotation: Annotated[float, Field(ge=0, le=180)] = 40.0  # as released with OpenPose; hourglass recipes have 30
    scale: tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]] = (0.7, 1.4)
    shift: Share = 0.1
    flip: Share = 0.5
    color: Share = 0.3
    gray: Share = 0.05
    occlude: Share = 0.0

    @model_validator(mode="after")
    def _scales_ascend(self) -> Augmentation:
        if self.scale[0] > self.scale[1]:
            raise ValueError("scale is [minimum, maximum]: the first factor must not exceed the second")
        return self


NO_AUGMENTATION = Augmentation(rotation=0, scale=(1, 1), shift=0, flip=0, color=0, gray=0)


@dataclass(frozen=True)
class View:
    """A random view of an image.

    Attributes:
        affine: Image pixels -> pixels of the view.
        mirrored: Whether it flips the image horizontally.
    """

    affine: Affine
    mirrored: bool


def random_view(
    augmentation: Augmentation, rng: np.random.Generator, center: tuple[float, float], side: float, size: Size
) -> View:
    """Returns a random view of a square.

    Args:
        augmentation: Ranges of rotation, scale, shift and flip.
        rng: Random generator.
        center: (x, y) of the square, in image pixels.
        side: Side of the square, in image pixels.
        size: (height, width) of the view, in pixels.
    """
    low, high = np.log(augmentation.scale)
    side = side / float(np.exp(rng.uniform(low, high)))
    reach = augmentation.shift * side
    x, y = center[0] + rng.uniform(-reach, reach), center[1] + rng.uniform(-reach, reach)
    affine = crop((x, y), side, size, rng.uniform(-augmentation.rotation, augmentation.rotation))
    mirrored = bool(rng.random() < augmentation.flip)
    return View(affine.then(Affine.mirror(size[1])) if mirrored else affine, mirrored)


def moved(annotation: Annotation, view: View, skeleton: Skeleton) -> Annotation:
    """Returns the annotations in pixels of the view.

    A flip exchanges left and right keypoints. Bounding boxes become those of their four moved corners. Outlines are
    omitted: `cairn.structures.outline.covered` takes the affine map.
    """
    order = list(skeleton.flip_order) if view.mirrored else slice(None)
    keypoints = view.affine.apply(annotation.keypoints)[:, order]
    x, y, width, height = np.moveaxis(annotation.boxes, -1, 0)
    corners = view.affine.apply(
        np.stack([np.stack([x + dx * width, y + dy * height], -1) for dx in (0, 1) for dy in (0, 1)], axis=1)
    )  # (P, 4, 2)
    low, high = corners.min(axis=1), corners.max(axis=1)
    return replace(
        annotation,
        keypoints=keypoints,
        visibility=annotation.visibility[:, order],
        boxes=np.concatenate([low, high - low], axis=1).astype(np.float32),
        areas=annotation.areas * np.float32(view.affine.scale**2),
        outlines=None,
    )


def recolored(image: NDArray[np.uint8], augmentation: Augmentation, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Returns an image (h, w, 3) with changed colors, by one linear map, and perhaps an occluding rectangle."""
    import cv2

    image = cv2.transform(image, color_map(augmentation, rng))
    if augmentation.occlude and rng.random() < augmentation.occlude:
        cover(image, rng)
    return image


def cover(image: NDArray[np.uint8], rng: np.random.Generator) -> None:
    """Draws an occluding rectangle of random size and color into an image (h, w, 3), in place."""
    sides = rng.uniform(*COVERED, 2) * image.shape[:2]
    top, left = (rng.random(2) * (image.shape[:2] - sides)).astype(int)
    height, width = np.ceil(sides).astype(int)
    image[top : top + height, left : left + width] = rng.integers(0, 256, 3)


def color_map(augmentation: Augmentation, rng: np.random.Generator) -> NDArray[np.float64]:
    """Returns a random linear map of colors, (3, 4): new color = first three columns times the color, plus the last.

    It combines contrast, gains of channels, saturation and brightness.
    """
    amount = augmentation.color
    gains = rng.uniform(1 - amount, 1 + amount, 3) * rng.uniform(1 - amount, 1 + amount)  # channels, contrast
    saturation = 0.0 if rng.random() < augmentation.gray else rng.uniform(1 - amount, 1 + amount)
    brightness = rng.uniform(-amount, amount) * 128
    luma = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
    matrix = gains[:, None] * (saturation * np.eye(3) + (1 - saturation) * luma[None, :])
    offset = 128 * (1 - gains) + brightness
    return np.concatenate([matrix, offset[:, None]], axis=1)
