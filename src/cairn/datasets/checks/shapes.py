"""Shapes of instances, and the full Procrustes distance between them.

The distance is invariant to translation, scale and rotation but not to reflection (Dryden and Mardia, Statistical Shape
Analysis, 2016, section 4.2). With the centered keypoints as complex numbers z and w, it is
sqrt(1 - |<z, w>|² / |z|²|w|²). Joints that only one of two shapes has do not count, so that center and norm differ from
pair to pair: all sums over common joints are matrix products of real numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

MIN_PRODUCT = 1e-12
"""Minimum product of the squared norms of two shapes of unit norm, over their common joints."""


@dataclass(frozen=True, eq=False)
class Shapes:
    """N shapes of K joints, centered and of unit norm.

    Attributes:
        there: (N, K) float32, 1 where a joint is labeled.
        x: (N, K) float32, 0 where not labeled.
        y: (N, K) float32, 0 where not labeled.
        square: (N, K) float32, x² + y².
    """

    there: NDArray[np.float32]
    x: NDArray[np.float32]
    y: NDArray[np.float32]
    square: NDArray[np.float32]

    @classmethod
    def of(cls, keypoints: NDArray[Any]) -> Shapes:
        """Returns the shapes of keypoints.

        Args:
            keypoints: (N, K, 2) in pixels; NaN where not labeled.
        """
        there = np.isfinite(keypoints).all(axis=2)
        count = np.maximum(there.sum(axis=1), 1)[:, None]
        axes = []
        for i in (0, 1):  # contiguous: strided sums take several times as long
            values = np.where(there, keypoints[..., i], 0).astype(np.float64)
            values -= values.sum(axis=1, keepdims=True) / count
            values *= there
            axes.append(values)
        norm = np.sqrt(sum(np.einsum("nk,nk->n", values, values) for values in axes))
        x, y = ((values / np.maximum(norm, 1e-9)[:, None]).astype(np.float32) for values in axes)
        return cls(there.astype(np.float32), x, y, x**2 + y**2)

    def __getitem__(self, rows: NDArray[np.int64]) -> Shapes:
        """Returns the shapes of some rows."""
        return Shapes(*(getattr(self, field.name)[rows] for field in fields(self)))


def squared_distances(shapes: Shapes, others: Shapes) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Returns (N, M) squared distances over the common joints, and (N, M) the number of common joints.

    Rounding may make the smallest ones negative.

    Args:
        shapes: N shapes.
        others: M shapes of the same joints.
    """
    size = len(shapes.x)
    sums = np.concatenate([shapes.there, shapes.x, shapes.y, shapes.square]) @ others.there.T
    common, x, y, square = (sums[i * size : (i + 1) * size] for i in range(4))
    other_x, other_y, other_square = (shapes.there @ values.T for values in (others.x, others.y, others.square))
    plane = np.concatenate([others.x, others.y], axis=1).T
    real = np.concatenate([shapes.x, shapes.y], axis=1) @ plane
    imaginary = np.concatenate([shapes.y, -shapes.x], axis=1) @ plane
    # The product and the squared norms are centered, each times the number of common joints. All in place: new arrays
    # of this size cost more than the arithmetic.
    term = np.empty_like(real)
    real *= common
    real -= np.multiply(x, other_x, out=term)
    real -= np.multiply(y, other_y, out=term)
    imaginary *= common
    imaginary -= np.multiply(y, other_x, out=term)
    imaginary += np.multiply(x, other_y, out=term)
    real *= real
    imaginary *= imaginary
    real += imaginary
    for norm, first, second in ((square, x, y), (other_square, other_x, other_y)):
        norm *= common
        first *= first
        norm -= first
        second *= second
        norm -= second
    square *= other_square
    real /= np.maximum(square, MIN_PRODUCT, out=square)
    return np.subtract(1, real, out=real), common
