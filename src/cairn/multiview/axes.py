"""Which axis of a world points up, and rotations to another one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cairn.structures.camera import Rig

AXES = ("x", "y", "z")

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


def with_z_up(points: NDArray[np.float64], up: str) -> NDArray[np.float64]:
    """Returns points (..., 3) of a world whose axis `up` points up, turned so that Z does."""
    turned: NDArray[np.float64] = with_y_up(points, up)[..., [2, 0, 1]]
    return turned


def up_axis(rig: Rig) -> str:
    """Returns the axis of the world nearest to the cameras' mean upward direction."""
    up = -np.mean([camera.rotation[1] for camera in rig], axis=0)
    axis = int(np.abs(up).argmax())
    return ("-" if up[axis] < 0 else "") + AXES[axis]
