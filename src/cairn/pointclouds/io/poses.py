"""Pairs of scans with their true motions: pairs.json, and `.conf` of the Stanford 3D Scanning Repository."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.errors import CloudError
from cairn.pointclouds.rigid import inverse


@dataclass(frozen=True, eq=False)
class ScanPair:
    """Two scans, and the motion (4, 4) from the coordinates of the first to those of the second."""

    first: Path
    second: Path
    transform: NDArray[np.float64]


def read_pairs(path: str | Path) -> list[ScanPair]:
    """Reads pairs of scans.

    JSON has "pairs", each with "a", "b" and the 4x4 "transform" that moves a onto b; or "poses", the 4x4 matrix of
    each file that moves it to the world, with "pairs" of names, or without for all pairs. Of a `.conf` file all pairs
    are returned. Files are relative to the file of pairs.

    Raises:
        CloudError: The file is missing, or a pair has no rigid motion.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise CloudError(f"cannot read {path}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise CloudError(f"{path}: expected pairs of scans (JSON or .conf), got binary data") from None
    if any(line.split()[:1] == ["bmesh"] for line in text.splitlines()):
        poses = _stanford(path, text)
        return [_posed(path, poses, first, second) for first, second in combinations(poses, 2)]
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise CloudError(f"{path}: expected JSON with pairs of scans: {error.msg} in line {error.lineno}") from None
    if not isinstance(content, Mapping) or not {"pairs", "poses"} & set(content):
        raise CloudError(f'{path}: expected {{"pairs": [{{"a": FILE, "b": FILE, "transform": 4x4}}, ...]}}')
    poses = {str(name): _matrix(path, name, values) for name, values in _mapping(path, content.get("poses")).items()}
    given = content.get("pairs")
    if given is None:
        given = [list(pair) for pair in combinations(poses, 2)]
    if not isinstance(given, list) or not given:
        raise CloudError(f"{path}: expected pairs of scans, but it has none")
    return [_pair(path, poses, number, pair) for number, pair in enumerate(given, start=1)]


def _mapping(path: Path, poses: Any) -> Mapping[str, Any]:
    if not isinstance(poses or {}, Mapping):
        raise CloudError(f"{path}: expected poses as a mapping from files to 4x4 matrices")
    return poses or {}


def _pair(path: Path, poses: Mapping[str, NDArray[np.float64]], number: int, pair: Any) -> ScanPair:
    if isinstance(pair, Mapping) and {"a", "b"} <= set(pair):
        names = str(pair["a"]), str(pair["b"])
        if "transform" in pair:
            transform = _matrix(path, f"pair {number}", pair["transform"])
            return ScanPair(path.parent / names[0], path.parent / names[1], transform)
    elif isinstance(pair, list) and len(pair) == 2:
        names = str(pair[0]), str(pair[1])
    else:
        raise CloudError(f'{path}: expected pair {number} as {{"a": FILE, "b": FILE, "transform": 4x4}}')
    return _posed(path, poses, *names)


def _posed(path: Path, poses: Mapping[str, NDArray[np.float64]], first: str, second: str) -> ScanPair:
    for name in (first, second):
        if name not in poses:
            raise CloudError(f"{path}: {name} has no pose, and its pair no transform")
    return ScanPair(path.parent / first, path.parent / second, inverse(poses[second]) @ poses[first])


def _matrix(path: Path, name: str, values: Any) -> NDArray[np.float64]:
    try:
        matrix = np.array(values, np.float64)
    except (TypeError, ValueError):
        matrix = np.zeros(0)
    rigid = matrix.shape == (4, 4) and np.allclose(matrix[3], [0, 0, 0, 1])
    if not rigid or not np.allclose(matrix[:3, :3] @ matrix[:3, :3].T, np.eye(3), atol=1e-3):
        raise CloudError(f"{path}: expected a rigid 4x4 matrix [R t; 0 0 0 1] of {name}")
    if np.linalg.det(matrix[:3, :3]) < 0:
        raise CloudError(f"{path}: expected a rotation of {name}, got a mirroring matrix")
    return matrix


def _stanford(path: Path, text: str) -> dict[str, NDArray[np.float64]]:
    """Returns the poses of `bmesh FILE tx ty tz qx qy qz qw`; the rotation is the inverse of the quaternion's."""
    poses = {}
    for line in text.splitlines():
        words = line.split()
        if words[:1] != ["bmesh"]:
            continue
        try:
            *position, x, y, z, w = map(float, words[2:9])
            if len(position) != 3 or not x * x + y * y + z * z + w * w > 0:
                raise ValueError
        except ValueError:
            raise CloudError(f"{path}: expected bmesh FILE tx ty tz qx qy qz qw, got {line[:80]!r}") from None
        x, y, z, w = np.array([x, y, z, w]) / np.linalg.norm([x, y, z, w])
        pose = np.eye(4)
        pose[:3, :3] = [
            [1 - 2 * (y * y + z * z), 2 * (x * y + z * w), 2 * (x * z - y * w)],
            [2 * (x * y - z * w), 1 - 2 * (x * x + z * z), 2 * (y * z + x * w)],
            [2 * (x * z + y * w), 2 * (y * z - x * w), 1 - 2 * (x * x + y * y)],
        ]
        pose[:3, 3] = position
        poses[words[1]] = pose
    return poses
