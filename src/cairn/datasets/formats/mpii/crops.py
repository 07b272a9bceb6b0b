"""Conventions that the ports of MPII share: which joints are missing, and the crop of a person."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.formats.instances import PERSON_HEIGHT, Box, square
from cairn.structures.annotation import MAX_VALUE

MISSING = np.array([[[0.0, 0.0]], [[-1.0, -1.0]]])
"""Places of joints that are not labeled."""

ROUNDING = 1e-3
"""Rounding of MATLAB's single precision, in pixels."""

LOWER = 15.0
"""Pixels of a person of scale 1 by which crops are moved down, so that feet are inside (Newell et al.)."""


def missing_joints(points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Returns (K,) which of the points (K, 2) of a port are not labeled: those at (0, 0) or (-1, -1).

    A point with the flag 0 is occluded. Joints may be outside the image.
    """
    missing: NDArray[np.bool_] = (np.abs(points[None] - MISSING) < ROUNDING).all(axis=2).any(axis=0)
    return missing


def crop_box(center: tuple[float, float], scale: float) -> Box | None:
    """Returns the square of the published crop before its margin; None where the center or the scale is no number.

    Args:
        center: `objpos` of MPII, from 1.
        scale: Height of the person in units of 200 pixels.
    """
    box = square((center[0] - 1, center[1] - 1 + LOWER * scale), PERSON_HEIGHT * scale)
    return box if scale > 0 and all(abs(value) <= MAX_VALUE for value in box) else None
