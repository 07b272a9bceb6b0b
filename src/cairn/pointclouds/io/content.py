"""What all readers of clouds share: limits, the points that cannot be used, and the meaning of columns."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.errors import CloudError
from cairn.structures.cloud import Cloud, check_unit
from cairn.wording import counted

MAX_POINTS = 20_000_000
"""Largest cloud that is read: 20 million points need about 3 GB while keypoints are detected."""

MAX_COORDINATE = 1e150
"""Larger coordinates count as infinite: their squares must be finite."""

COORDINATES = ("x", "y", "z")
NORMALS = (("nx", "ny", "nz"), ("normal_x", "normal_y", "normal_z"))
COLORS = (("red", "green", "blue"), ("r", "g", "b"), ("diffuse_red", "diffuse_green", "diffuse_blue"))

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Content:
    """What a file holds, before it is checked.

    Attributes:
        columns: (N,) values by their name: x, y, z, nx, red, ...
        faces: (M, 3) int64, indices of points; None without faces.
        unit: Unit, as the file states it.
        coordinate_system: LPS or RAS, as the file states it.
    """

    columns: Mapping[str, NDArray[Any]]
    faces: NDArray[np.int64] | None = None
    unit: str | None = None
    coordinate_system: str | None = None


def check_count(path: Path, count: int) -> None:
    """Checks the number of points that a file announces, before they are read.

    Raises:
        CloudError: There are none, or more than `MAX_POINTS`.
    """
    if count <= 0:
        raise CloudError(f"{path}: expected points, but it has none")
    if count > MAX_POINTS:
        raise CloudError(
            f"{path} has {count:,} points, more than the {MAX_POINTS:,} that fit into memory: thin it first, "
            "for example to one point in each voxel"
        )


def cloud_of(path: Path, content: Content) -> Cloud:
    """Returns the cloud of a file. Points that are NaN or infinite are dropped, with their faces, and reported.

    Raises:
        CloudError: The file has no coordinates, or no point can be used.
    """
    columns = {name.lower(): values for name, values in content.columns.items()}
    if missing := [name for name in COORDINATES if name not in columns]:
        has = ", ".join(content.columns) or "nothing"
        raise CloudError(f"{path}: expected coordinates x, y and z, but {', '.join(missing)} is missing; it has {has}")
    points = np.stack([np.asarray(columns[name], np.float64) for name in COORDINATES], axis=1)
    check_count(path, len(points))
    cloud_unit = None if content.unit is None else check_unit(content.unit)
    colors, normals = _colors(columns), _normals(columns)
    usable: NDArray[np.bool_] = np.asarray((np.abs(points) < MAX_COORDINATE).all(axis=1))  # False of NaN
    faces, rows = content.faces, None
    if not usable.all():
        if not usable.any():
            raise CloudError(f"{path}: all {counted(len(points), 'point')} are NaN or infinite")
        log.warning(
            "%s: %d of %s are NaN or infinite and are ignored; indices count all points of the file",
            *(path, int((~usable).sum()), counted(len(points), "point")),
        )
        faces, rows = _kept_faces(path, faces, usable), np.flatnonzero(usable)
        points = points[usable]
        colors = None if colors is None else colors[usable]
        normals = None if normals is None else normals[usable]
    return Cloud(points, normals, colors, faces, cloud_unit, content.coordinate_system, rows, str(path))


def _kept_faces(path: Path, faces: NDArray[np.int64] | None, usable: NDArray[np.bool_]) -> NDArray[np.int64] | None:
    """Returns the faces of usable points, in the numbers of these points."""
    if faces is None or not len(faces):
        return None
    if faces.min() < 0 or faces.max() >= len(usable):
        raise CloudError(f"{path}: a face has a vertex that does not exist; there are {counted(len(usable), 'point')}")
    number = np.cumsum(usable) - 1
    kept: NDArray[np.int64] = number[faces[usable[faces].all(axis=1)]]
    return kept


def _colors(columns: Mapping[str, NDArray[Any]]) -> NDArray[np.uint8] | None:
    """Returns colors as uint8: floats are from 0 to 1, 16 bits where a value is above 255."""
    names = next((names for names in COLORS if all(name in columns for name in names)), None)
    if names is None:
        return None
    values = np.nan_to_num(np.stack([np.asarray(columns[name], np.float64) for name in names], axis=1))
    highest = values.max(initial=0)
    is_share = 0 < highest <= 1 and all(np.issubdtype(columns[name].dtype, np.floating) for name in names)
    scale = 255.0 if is_share else 1 / 257 if 255 < highest <= 65535 else 1.0
    colors: NDArray[np.uint8] = np.clip(np.round(values * scale), 0, 255).astype(np.uint8)
    return colors


def _normals(columns: Mapping[str, NDArray[Any]]) -> NDArray[np.float64] | None:
    """Returns normals of length 1; None where all are 0, which stands for missing ones."""
    names = next((names for names in NORMALS if all(name in columns for name in names)), None)
    if names is None:
        return None
    values = np.nan_to_num(
        np.stack([np.asarray(columns[name], np.float64) for name in names], axis=1), posinf=0, neginf=0
    )
    lengths = np.linalg.norm(values, axis=1, keepdims=True)
    if not lengths.any():
        return None
    normals: NDArray[np.float64] = np.divide(values, lengths, out=np.zeros_like(values), where=lengths > 0)
    return normals


def stated_unit(lines: Sequence[str]) -> str | None:
    """Returns the unit that comments state, such as "units mm" or "unit: meters"; None where there is none."""
    for line in lines:
        found = re.search(r"\bunits?\b\s*[:=]?\s*\"?([a-zµμ]+)", line, re.IGNORECASE)
        if found:
            try:
                return check_unit(found[1])
            except CloudError:
                continue
    return None


def stated_system(lines: Sequence[str]) -> str | None:
    """Returns the coordinate system that comments state, such as "SPACE=LPS"; None where there is none."""
    for line in lines:
        found = re.search(r"\b(?:space|coordinate ?system)\b\s*[:=]?\s*(LPS|RAS)\b", line, re.IGNORECASE)
        if found:
            return found[1].upper()
    return None


def triangles(polygons: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Returns polygons, each (n,), as triangles (M, 3): a fan around the first vertex."""
    by_length: dict[int, list[NDArray[np.int64]]] = {}
    for polygon in polygons:
        by_length.setdefault(len(polygon), []).append(polygon)
    parts = [fan(np.stack(same)) for length, same in by_length.items() if length >= 3]
    return np.concatenate(parts) if parts else np.zeros((0, 3), np.int64)


def fan(polygons: NDArray[np.int64]) -> NDArray[np.int64]:
    """Returns polygons (M, n) of one length as triangles: a fan around the first vertex."""
    count = polygons.shape[1]
    corners = np.array([(0, i, i + 1) for i in range(1, count - 1)], np.int64).reshape(-1, 3)
    return polygons[:, corners].reshape(-1, 3)
