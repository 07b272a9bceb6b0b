"""OpenSim's .trc (Track Row Column, of Motion Analysis): one subject, meters, Y up.

    PathFileType  4  (X/Y/Z)  walk.trc
    DataRate  CameraRate  NumFrames  NumMarkers  Units  OrigDataRate  OrigDataStartFrame  OrigNumFrames
    60        60          100        25          m      60            1                   100
    Frame#    Time      nose              left_eye
                        X1   Y1   Z1      X2        Y2  Z2

    1         0.000000  0.1  1.6  0.2     ...

Cells are separated by tabs. A marker that is not known in a frame is nan.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cairn.multiview.axes import with_y_up
from cairn.structures.poses3d import Trajectories

KEYS = (
    *("DataRate", "CameraRate", "NumFrames", "NumMarkers", "Units"),
    *("OrigDataRate", "OrigDataStartFrame", "OrigNumFrames"),
)


def write_trc(track: Trajectories, up: str, path: Path, name: str) -> None:
    """Writes the track of one instance.

    Args:
        track: The track of one instance.
        up: Axis of its world that points up.
        path: The file.
        name: Name of the file in its header.
    """
    frames, markers = len(track), [joint.replace("\t", " ") for joint in track.skeleton.joints]
    rate, first = f"{track.rate:.10g}", track.start + 1
    values = (rate, rate, frames, len(markers), "m", rate, first, frames)
    lines = [
        f"PathFileType\t4\t(X/Y/Z)\t{name}",
        "\t".join(KEYS),
        "\t".join(map(str, values)),
        "\t".join(["Frame#", "Time", *("\t\t".join([marker, ""]) for marker in markers)]).rstrip("\t"),
        "\t".join(["", "", *(f"{axis}{i}" for i in range(1, len(markers) + 1) for axis in "XYZ")]),
        "",
    ]
    points = with_y_up(track.keypoints[:, 0], up).reshape(frames, -1)
    for i, row in enumerate(points):
        cells = ("nan" if np.isnan(value) else f"{value:.6f}" for value in row)
        lines.append("\t".join([str(first + i), f"{i / track.rate:.6f}", *cells]))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
