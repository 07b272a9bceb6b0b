"""Rotations of a world with another axis up."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Y_UP: dict[str, tuple[tuple[int, int, int], ...]] = {
    "y": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "z": ((0, 1, 0), (0, 0, 1), (1, 0, 0)),
    "x": ((0, 0, 1), (1, 0, 0), (0, 1, 0)),
    "-y": ((1, 0, 0), (0, -1, 0), (0, 0, -1)),
    "-z": ((1, 0, 0), (0, 0, -1), (0, 1, 0)),
    "-x": ((0, 1, 0), (-1, 0, 0), (0, 0, 1)),
}
"""Axis that points up -> the rotation that turns it to Y. Those of y, z and x are cyclic permutations."""


def with_y_up(points: NDArray[np.float64], up: str) -> NDArray[np.float64]:
    """Returns points (..., 3) of a world whose axis `up` points up, turned so that Y does."""
    turned: NDArray[np.float64] = points @ np.array(Y_UP[up], np.float64).T + 0.0
    return turned
