"""Where things are. The only file that knows the pixel convention.

Integer coordinates are pixel centers, points are (x, y), sizes are (height, width). An image of
width W therefore spans x from -0.5 to W - 0.5, and cell i of a field of stride s lies at image
coordinate (i + 0.5)·s - 0.5.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Size = tuple[int, int]
"""(height, width) in pixels."""


@dataclass(frozen=True, eq=False)
class Affine:
    """A map of the plane: p -> A p + b, held as the (2, 3) float64 matrix [A | b]."""

    matrix: NDArray[np.float64]

    @classmethod
    def identity(cls) -> Affine:
        return cls(np.eye(2, 3))

    @classmethod
    def translation(cls, x: float, y: float) -> Affine:
        return cls(np.array([[1.0, 0.0, x], [0.0, 1.0, y]]))

    @classmethod
    def scaling(cls, x: float, y: float | None = None) -> Affine:
        """Multiplies coordinates as numbers. To resize an image use `resize`."""
        return cls(np.array([[x, 0.0, 0.0], [0.0, x if y is None else y, 0.0]]))

    @classmethod
    def rotation(cls, degrees: float) -> Affine:
        """About the origin, from the x axis towards the y axis (clockwise on the screen)."""
        c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        return cls(np.array([[c, -s, 0.0], [s, c, 0.0]]))

    @classmethod
    def mirror(cls, width: int) -> Affine:
        """Left becomes right in an image of this width: x -> width - 1 - x."""
        return cls(np.array([[-1.0, 0.0, width - 1.0], [0.0, 1.0, 0.0]]))

    def apply(self, points: NDArray) -> NDArray:
        """Points (..., 2) -> (..., 2), of the same floating type; NaN stays NaN."""
        moved = points @ self.matrix[:, :2].T + self.matrix[:, 2]
        return moved.astype(np.result_type(points.dtype, np.float32), copy=False)

    def inverse(self) -> Affine:
        a = np.linalg.inv(self.matrix[:, :2])
        return Affine(np.concatenate([a, -a @ self.matrix[:, 2:]], axis=1))

    def then(self, after: Affine) -> Affine:
        """The map that does this one first and `after` second."""
        a, b = after.matrix[:, :2] @ self.matrix[:, :2], after.apply(self.matrix[:, 2])
        return Affine(np.concatenate([a, b[:, None]], axis=1))

    @property
    def scale(self) -> float:
        """How many times longer a line becomes (root of the area's factor)."""
        return math.sqrt(abs(np.linalg.det(self.matrix[:, :2])))

    def warp(self, image: NDArray, size: Size, border: float = 127.0, smooth: bool = True) -> NDArray:
        """Move an image as `apply` moves its points.

        image (H, W) or (H, W, C); size is that of the result; what lies outside the image gets
        the value `border`. Where the map shrinks by two or more, the image is first reduced by
        area, so that it does not alias. With `smooth=False` the nearest pixel is taken (masks).
        """
        import cv2

        moving, matrix = image, self
        halvings = int(math.log2(1 / self.scale)) if self.scale > 0 else 0
        if smooth and halvings > 0:
            height, width = image.shape[:2]
            reduced = max(height >> halvings, 1), max(width >> halvings, 1)
            moving = cv2.resize(image, reduced[::-1], interpolation=cv2.INTER_AREA)
            matrix = resize((height, width), reduced).inverse().then(self)
        return cv2.warpAffine(
            moving,
            matrix.matrix,
            size[::-1],
            flags=cv2.INTER_LINEAR if smooth else cv2.INTER_NEAREST,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=(border,) * 4,
        )


def resize(size: Size, to: Size) -> Affine:
    """The map from an image of one size onto the whole of another size."""
    fy, fx = to[0] / size[0], to[1] / size[1]
    return Affine(np.array([[fx, 0.0, (fx - 1) / 2], [0.0, fy, (fy - 1) / 2]]))


def letterbox(size: Size, longest: float, multiple: int = 1) -> tuple[Affine, Size]:
    """Scale an image so that its longest side becomes `longest`, then pad right and below.

    Returns the map and the padded size, each side of which is a multiple of `multiple`. The
    image stays anchored top-left and keeps its aspect ratio.
    """
    factor = longest / max(size)
    affine = Affine(np.array([[factor, 0.0, (factor - 1) / 2], [0.0, factor, (factor - 1) / 2]]))
    height, width = (max(1, math.ceil(round(side * factor) / multiple)) * multiple for side in size)
    return affine, (height, width)


def crop(center: tuple[float, float], side: float, size: Size, degrees: float = 0.0) -> Affine:
    """The map of a square around `center`, `side` image pixels wide, onto an image of `size`.

    The square fills the shorter side of `size`; what it shows is turned by `degrees` clockwise.
    """
    factor = min(size) / side
    return (
        Affine.translation(-center[0], -center[1])
        .then(Affine.rotation(degrees))
        .then(Affine.scaling(factor))
        .then(Affine.translation((size[1] - 1) / 2, (size[0] - 1) / 2))
    )


def field_to_image(points: NDArray, stride: float) -> NDArray:
    """Field cells (..., 2) -> pixels: (i + 0.5)·s - 0.5."""
    return (points + 0.5) * stride - 0.5


def image_to_field(points: NDArray, stride: float) -> NDArray:
    """Pixels (..., 2) -> field cells, the inverse of `field_to_image`."""
    return (points + 0.5) / stride - 0.5


def field_affine(stride: float) -> Affine:
    """`field_to_image` as an `Affine`."""
    shift = (stride - 1) / 2
    return Affine(np.array([[stride, 0.0, shift], [0.0, stride, shift]]))
