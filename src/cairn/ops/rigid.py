"""Rigid motions between point sets, with their standard errors."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cairn.ops.procrustes import procrustes

Array = NDArray[np.float64]


class Rigid(NamedTuple):
    """Motions of B point sets: a point x is moved to R x + t.

    Attributes:
        rotation: (B, 3, 3).
        translation: (B, 3).
        angle_error: (B,) radians, the standard error of the rotation: the root mean square angle.
        translation_error: (B,) the standard error of the position of the mean point, in the unit of the points.
    """

    rotation: Array
    translation: Array
    angle_error: Array
    translation_error: Array


def rigid(first: Array, second: Array) -> Rigid:
    """Returns the motions with the least squared error from the first to the second points.

    The errors are those of least squares with equal, independent noise on all points, whose size is that of the
    residuals: they say nothing of errors that all points share.

    Args:
        first: (B, N, 3) with N of at least 3.
        second: (B, N, 3).
    """
    count = first.shape[1]
    motion = procrustes(first, second, scaled=False)
    residuals = second - motion.apply(first)
    variance = (residuals**2).sum(axis=(1, 2)) / max(1, 3 * count - 6)
    centered = first - first.mean(axis=1, keepdims=True)
    outer = np.swapaxes(centered, 1, 2) @ centered
    information = np.trace(outer, axis1=1, axis2=2)[:, None, None] * np.eye(3) - outer
    inverse = np.linalg.pinv(information)
    angle = np.sqrt(variance * np.trace(inverse, axis1=1, axis2=2))
    flat = np.linalg.eigvalsh(information)[:, 0] < 1e-9 * np.trace(information, axis1=1, axis2=2)
    angle = np.where(flat, np.pi, np.minimum(angle, np.pi))  # points on a line may turn about it
    return Rigid(motion.rotation, motion.translation, angle, np.sqrt(3 * variance / count))
