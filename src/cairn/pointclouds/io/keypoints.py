"""Keypoints of clouds in files: PLY, CSV, JSON, and `.mrk.json` and `.fcsv` of 3D Slicer."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from cairn.errors import CloudError
from cairn.files import atomic_write
from cairn.pointclouds.io.landmarks import write_landmarks
from cairn.pointclouds.io.ply import write_ply
from cairn.structures.cloud import CloudKeypoints


def write_keypoints(path: Path, keypoints: CloudKeypoints, format: str) -> None:
    """Writes keypoints.

    Args:
        path: The file.
        keypoints: The keypoints.
        format: One of `FORMATS`.

    Raises:
        CloudError: The format is unknown.
        OutputError: The file cannot be written.
    """
    if format not in FORMATS:
        raise CloudError(f"expected a format of keypoints, one of {', '.join(FORMATS)}; got {format!r}")
    FORMATS[format][1](path, keypoints)


def _write_csv(path: Path, keypoints: CloudKeypoints) -> None:
    """Writes one row for each keypoint, the index counts the points of the file from 0."""
    head = ["index", "x", "y", "z", keypoints.score_name]
    with atomic_write(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow((["name"] if keypoints.names else []) + head)
        rows = keypoints.cloud.file_rows(keypoints.indices)
        for i, (row, point, score) in enumerate(zip(rows, keypoints.points, keypoints.scores, strict=True)):
            values = [int(row), *map(_number, point), _number(score)]
            writer.writerow(([keypoints.names[i]] if keypoints.names else []) + values)


def _write_json(path: Path, keypoints: CloudKeypoints) -> None:
    rows = keypoints.cloud.file_rows(keypoints.indices).tolist()
    entries = []
    for i, (row, point, score) in enumerate(zip(rows, keypoints.points.tolist(), keypoints.scores, strict=True)):
        entry: dict[str, Any] = {"name": keypoints.names[i]} if keypoints.names else {}
        entries.append(entry | {"index": row, "position": point, keypoints.score_name: _number(score)})
    content = {
        "source": keypoints.cloud.source,
        "method": keypoints.method,
        "settings": keypoints.summary,
        "unit": keypoints.cloud.unit,
        "coordinate_system": keypoints.cloud.coordinate_system,
        "keypoints": entries,
    }
    with atomic_write(path) as partial:
        partial.write_text(json.dumps(content, indent=1), encoding="utf-8")


def _write_ply(path: Path, keypoints: CloudKeypoints) -> None:
    from cairn.visualization.clouds import score_colors

    x, y, z = keypoints.points.T
    red, green, blue = score_colors(keypoints.scores, lower_is_better=keypoints.score_name != "saliency").T
    columns = {"x": x, "y": y, "z": z, "red": red, "green": green, "blue": blue}
    columns |= {"index": keypoints.cloud.file_rows(keypoints.indices).astype(np.int32)}
    columns |= {keypoints.score_name: keypoints.scores}
    unit, system = keypoints.cloud.unit, keypoints.cloud.coordinate_system
    comments = [f"units {unit}"] * bool(unit) + [f"SPACE={system}"] * bool(system)
    write_ply(path, columns, comments)


def _number(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None


FORMATS: dict[str, tuple[str, Callable[[Path, CloudKeypoints], None]]] = {
    "ply": (".ply", _write_ply),
    "csv": (".csv", _write_csv),
    "json": (".json", _write_json),
    "mrk": (".mrk.json", lambda path, keypoints: write_landmarks(path, keypoints.landmarks, "mrk")),
    "fcsv": (".fcsv", lambda path, keypoints: write_landmarks(path, keypoints.landmarks, "fcsv")),
}
"""Suffix and writer of each format."""
