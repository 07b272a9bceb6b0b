"""Tables of tracks in 3D, CSV and Parquet: one row for each known keypoint of each instance and frame.

frame,seconds,id,joint,x_m,y_m,z_m,confidence,error_px,views,interpolated,up
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from cairn.extras import require
from cairn.structures.poses3d import Trajectories

COLUMNS = (
    *("frame", "seconds", "id", "joint", "x_m", "y_m", "z_m"),
    *("confidence", "error_px", "views", "interpolated", "up"),
)
"""Columns of the table.

- frame: number of the frame.
- seconds: since the start of the recording.
- id: track ID, from 1.
- joint: name of the keypoint.
- x_m, y_m, z_m: in meters in the world of the cameras.
- confidence: mean confidence of the detections used.
- error_px: reprojection error in pixels.
- views: number of cameras used.
- interpolated: 1 for a keypoint of a filled gap, 0 for the others.
- up: axis of the world that points up.
"""


def write_csv(tracks: Trajectories, up: str, path: Path) -> None:
    """Writes a CSV table."""
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS)
        for row in _rows(tracks, up):
            table.writerow(["" if value is None else value for value in row])


def write_parquet(tracks: Trajectories, up: str, path: Path) -> None:
    """Writes a Parquet table; units, axes and skeleton are in its metadata, too.

    Raises:
        MissingExtra: pyarrow is not installed.
    """
    require("pyarrow", extra="parquet", purpose="the format parquet")
    import pyarrow
    from pyarrow import parquet

    whole, text = pyarrow.int64(), pyarrow.string()
    types = {"frame": whole, "id": whole, "views": whole, "joint": text, "up": text, "interpolated": whole}
    columns = list(zip(*_rows(tracks, up), strict=True)) or [()] * len(COLUMNS)
    arrays = [
        pyarrow.array(values, types.get(name, pyarrow.float64())) for name, values in zip(COLUMNS, columns, strict=True)
    ]
    about = {"units": "m", "up": up, "rate": f"{tracks.rate:g}", "skeleton": json.dumps(tracks.skeleton.to_dict())}
    metadata = {f"cairn.{key}": value for key, value in about.items()}
    parquet.write_table(pyarrow.table(arrays, list(COLUMNS), metadata=metadata), path)


def _rows(tracks: Trajectories, up: str) -> Iterator[tuple[Any, ...]]:
    """Yields a row for each known keypoint."""
    places = np.argwhere(tracks.known)
    for frame, person, joint in places.tolist():
        at = (frame, person, joint)
        x, y, z = (round(value, 6) for value in tracks.keypoints[at].tolist())
        error = None if tracks.errors is None or np.isnan(tracks.errors[at]) else round(float(tracks.errors[at]), 2)
        yield (
            tracks.start + frame,
            round((tracks.start + frame) / tracks.rate, 6),
            int(tracks.ids[person]),
            tracks.skeleton.joints[joint],
            x,
            y,
            z,
            round(float(tracks.confidence[at]), 4),
            error,
            None if tracks.views is None else int(tracks.views[at]),
            int(tracks.interpolated is not None and tracks.interpolated[at]),
            up,
        )
