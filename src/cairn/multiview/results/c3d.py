"""C3D (https://www.c3d.org), the binary format of biomechanics: one subject, millimeters, the axes of the cameras."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cairn.extras import require
from cairn.structures.poses3d import Trajectories

SCREENS = {
    "x": ("+Y", "+X"),
    "y": ("+X", "+Y"),
    "z": ("+X", "+Z"),
    "-x": ("+Y", "-X"),
    "-y": ("+X", "-Y"),
    "-z": ("+X", "-Z"),
}
"""Axis that points up -> the axes to the right and upward on a screen, C3D's parameters X_SCREEN and Y_SCREEN."""


def write_c3d(track: Trajectories, up: str, path: Path, name: str) -> None:
    """Writes the track of one instance.

    A keypoint that is not known in a frame has the residual -1, as the format demands; others have the reprojection
    error as their residual, in pixels.

    Raises:
        MissingExtra: ezc3d is not installed.
    """
    require("ezc3d", extra="multiview", purpose="the format c3d")
    import ezc3d

    points = 1000 * track.keypoints[:, 0]
    known = np.isfinite(points).all(axis=-1)
    file = ezc3d.c3d()
    parameters = file["parameters"]["POINT"]
    parameters["RATE"]["value"] = [float(track.rate)]
    parameters["LABELS"]["value"] = list(track.skeleton.joints)
    parameters["DESCRIPTIONS"]["value"] = list(track.skeleton.joints)
    parameters["UNITS"]["value"] = ["mm"]
    right, upward = SCREENS[up]
    file.add_parameter("POINT", "X_SCREEN", [right])
    file.add_parameter("POINT", "Y_SCREEN", [upward])
    homogeneous = np.ones((4, *known.T.shape))
    homogeneous[:3] = np.where(known[..., None], points, 0).transpose(2, 1, 0)
    file["data"]["points"] = homogeneous
    errors = np.zeros(known.shape) if track.errors is None else np.nan_to_num(track.errors[:, 0])
    file["data"]["meta_points"]["residuals"] = np.where(known, errors, -1).T[None]
    file["data"]["meta_points"]["camera_masks"] = np.zeros((7, *known.T.shape), bool)
    file["header"]["points"]["first_frame"] = track.start
    file.write(str(path))
