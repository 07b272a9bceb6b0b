"""Coordinates and the maps between them. The only module with the pixel convention.

Integer coordinates are pixel centers, points are (x, y), sizes are (height, width). An image of
width W therefore spans x from -0.5 to W - 0.5, and cell i of a map of stride s lies at image
coordinate (i + 0.5)·s - 0.5.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Size = tuple[int, int]
"""(height, width) in pixels."""


@dataclass(frozen=True, eq=False)
class Affine:
    """An affine map of the plane: p -> A p + b.

    Attributes:
        matrix: (2, 3) float64, [A | b].
    """

    matrix: NDArray[np.float64]

    @classmethod
    def identity(cls) -> Affine:
        """Returns the map that changes nothing."""
        return cls(np.eye(2, 3))

    @classmethod
    def translation(cls, x: float, y: float) -> Affine:
        """Returns the map that moves points by (x, y)."""
        return cls(np.array([[1.0, 0.0, x], [0.0, 1.0, y]]))

    @classmethod
    def scaling(cls, x: float, y: float | None = None) -> Affine:
        """Returns the map that multiplies coordinates about (0, 0), a pixel center. To resize an image use `resize`."""
        return cls(np.array([[x, 0.0, 0.0], [0.0, x if y is None else y, 0.0]]))

    @classmethod
    def rotation(cls, degrees: float) -> Affine:
        """Returns the rotation about the origin, from the x axis toward the y axis (clockwise on the screen)."""
        c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        return cls(np.array([[c, -s, 0.0], [s, c, 0.0]]))

    @classmethod
    def mirror(cls, width: int) -> Affine:
        """Returns the horizontal flip of an image of this width: x -> width - 1 - x."""
        return cls(np.array([[-1.0, 0.0, width - 1.0], [0.0, 1.0, 0.0]]))

    def apply(self, points: NDArray[Any]) -> NDArray[Any]:
        """Returns mapped points (..., 2) in the floating type of the input; NaN stays NaN."""
        moved: NDArray[Any] = points @ self.matrix[:, :2].T + self.matrix[:, 2]
        return moved.astype(np.result_type(points.dtype, np.float32), copy=False)

    def inverse(self) -> Affine:
        """Returns the inverse map."""
        a = np.linalg.inv(self.matrix[:, :2])
        return Affine(np.concatenate([a, -a @ self.matrix[:, 2:]], axis=1))

    def then(self, after: Affine) -> Affine:
        """Returns the map that applies this one first and `after` second."""
        a, b = after.matrix[:, :2] @ self.matrix[:, :2], after.apply(self.matrix[:, 2])
        return Affine(np.concatenate([a, b[:, None]], axis=1))

    @property
    def scale(self) -> float:
        """Scale factor of lengths: square root of the factor of areas."""
        return math.sqrt(abs(np.linalg.det(self.matrix[:, :2])))

    def warp(self, image: NDArray[Any], size: Size, border: float = 127.0, smooth: bool = True) -> NDArray[Any]:
        """Returns an image mapped as `apply` maps its points.

        Where the map shrinks by a factor of two or more, the image is first reduced by area averaging against aliasing.

        Args:
            image: (H, W) or (H, W, C).
            size: (height, width) of the result in pixels.
            border: Value of pixels outside the image.
            smooth: Bilinear interpolation; False for the nearest pixel, as for masks.
        """
        import cv2

        source, matrix = image, self
        halvings = int(math.log2(1 / self.scale)) if self.scale > 0 else 0
        if smooth and halvings > 0:
            height, width = image.shape[:2]
            reduced = max(height >> halvings, 1), max(width >> halvings, 1)
            source = cv2.resize(image, reduced[::-1], interpolation=cv2.INTER_AREA)
            matrix = resize((height, width), reduced).inverse().then(self)
        warped: NDArray[Any] = cv2.warpAffine(
            source,
            matrix.matrix,
            size[::-1],
            flags=cv2.INTER_LINEAR if smooth else cv2.INTER_NEAREST,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=(border,) * 4,
        )
        return warped


def from_corner() -> Affine:
    """Returns the map to our coordinates from those that count from the corner of the first pixel, as outlines do."""
    return Affine.translation(-0.5, -0.5)


def resize(size: Size, to: Size) -> Affine:
    """Returns the map from an image of one size onto the whole of another size."""
    fy, fx = to[0] / size[0], to[1] / size[1]
    return Affine(np.array([[fx, 0.0, (fx - 1) / 2], [0.0, fy, (fy - 1) / 2]]))


def letterbox(size: Size, longest: float, multiple: int = 1) -> tuple[Affine, Size]:
    """Returns the map that scales an image to a longest side and pads it on the right and below.

    The aspect ratio is kept, and the image stays in the top left corner.

    Args:
        size: (height, width) of the image in pixels.
        longest: Longest side of the scaled image in pixels.
        multiple: Divisor of both sides of the padded size.

    Returns:
        The map and the padded size (height, width).
    """
    factor = longest / max(size)
    affine = Affine(np.array([[factor, 0.0, (factor - 1) / 2], [0.0, factor, (factor - 1) / 2]]))
    height, width = (max(1, math.ceil(round(side * factor) / multiple)) * multiple for side in size)
    return affine, (height, width)


def crop(center: tuple[float, float], side: float, size: Size, degrees: float = 0.0) -> Affine:
    """Returns the map of a square of an image onto a crop.

    Args:
        center: (x, y) of the square in pixels of the image.
        side: Side of the square in pixels of the image; it fills the shorter side of the crop.
        size: (height, width) of the crop in pixels.
        degrees: Clockwise rotation of the content.
    """
    factor = min(size) / side
    return (
        Affine.translation(-center[0], -center[1])
        .then(Affine.rotation(degrees))
        .then(Affine.scaling(factor))
        .then(Affine.translation((size[1] - 1) / 2, (size[0] - 1) / 2))
    )


def in_image(points: NDArray[Any], size: Size) -> NDArray[np.bool_]:
    """Returns (...) whether points (..., 2) lie in an image of this (height, width); NaN does not."""
    with np.errstate(invalid="ignore"):
        within = (points >= -0.5) & (points <= np.array(size[::-1]) - 0.5)
    return np.asarray(within.all(axis=-1))


def field_to_image(points: NDArray[Any], stride: float) -> NDArray[Any]:
    """Returns cells (..., 2) of a map of stride s as pixels: (i + 0.5)·s - 0.5."""
    return (points + 0.5) * stride - 0.5


def image_to_field(points: NDArray[Any], stride: float) -> NDArray[Any]:
    """Returns pixels (..., 2) as cells of a map, the inverse of `field_to_image`."""
    return (points + 0.5) / stride - 0.5


def field_affine(stride: float) -> Affine:
    """Returns `field_to_image` as an `Affine`."""
    shift = (stride - 1) / 2
    return Affine(np.array([[stride, 0.0, shift], [0.0, stride, shift]]))
