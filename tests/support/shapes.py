"""Shapes made for tests: closed surfaces with bumps, and landmarks on them."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cairn.pointclouds.shapes.model import ShapeModel
from cairn.pointclouds.shapes.similarity import Similarity
from cairn.pointclouds.shapes.specimens import Specimen
from cairn.pointclouds.shapes.teaching import teach
from cairn.structures.cloud import Cloud, Landmarks

Array = NDArray[np.float64]

BUMPS = np.array([[1.0, 0.2, 0.3], [-0.5, 0.9, 0.2], [0.1, -0.4, 1.0], [-0.7, -0.6, -0.5], [0.3, 0.5, -0.9]])
HEIGHTS = np.array([0.45, 0.3, 0.35, 0.25, 0.4])
SYMMETRIC = (np.array([[0.6, 0.8, 0.1], [-0.6, 0.8, 0.1], [0, -0.5, 1.0]]), np.array([0.4, 0.4, 0.3]))


def sphere(rings: int = 13) -> tuple[Array, NDArray[np.int64]]:
    """Returns the vertices of a unit sphere, and its faces, which point outward."""
    columns = 2 * rings
    polar = np.linspace(0, np.pi, rings + 1)[1:-1]
    around = np.arange(columns) * 2 * np.pi / columns
    ring = np.stack([np.cos(around), np.sin(around), np.zeros(columns)], axis=1)
    body = [np.sin(angle) * ring + [0, 0, np.cos(angle)] for angle in polar]
    vertices = np.concatenate([*body, [[0, 0, 1.0], [0, 0, -1.0]]])
    north, south = len(vertices) - 2, len(vertices) - 1
    faces = []
    for column in range(columns):
        following = (column + 1) % columns
        faces.append([north, column, following])
        last = (rings - 2) * columns
        faces.append([south, last + following, last + column])
        for row in range(rings - 2):
            a, b = row * columns + column, row * columns + following
            faces += [[a, a + columns, b], [b, a + columns, b + columns]]
    return vertices, np.array(faces)


def raised(directions: Array, heights: Array = HEIGHTS, bumps: Array = BUMPS) -> Array:
    """Returns points of an ellipsoid with bumps in some directions (N, 3)."""
    cosines = directions @ (bumps / np.linalg.norm(bumps, axis=1, keepdims=True)).T
    radii = 1 + (heights * np.exp((cosines - 1) / 0.08)).sum(axis=1)
    return directions * radii[:, None] * [1.3, 1.0, 0.8]


def specimen(seed: int = 0, variation: float = 0.08, symmetric: bool = False) -> tuple[Cloud, Landmarks]:
    """Returns a mesh of about 20 mm, and nine landmarks on it; seeds differ in their bumps."""
    rng = np.random.default_rng(seed)
    bumps, heights = SYMMETRIC if symmetric else (BUMPS, HEIGHTS)
    heights = heights * (1 + variation * rng.normal(size=len(heights)))
    if symmetric:
        heights[1] = heights[0]
    vertices, faces = sphere()
    marks = np.concatenate([bumps, np.eye(3), [[-1.0, 0.3, 0.1]]])
    marks = marks / np.linalg.norm(marks, axis=1, keepdims=True)
    names = tuple(f"mark {row}" for row in range(1, len(marks) + 1))
    cloud = Cloud(7 * raised(vertices, heights, bumps), faces=faces, unit="mm", source=f"specimen {seed}")
    return cloud, Landmarks(names, 7 * raised(marks, heights, bumps), unit="mm", source=f"landmarks {seed}")


def pose(seed: int, scale: float = 1.0, mirrored: bool = False) -> Similarity:
    """Returns a rotation and a translation, with a scale and a reflection."""
    rng = np.random.default_rng(seed)
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    rotation[0] *= np.sign(np.linalg.det(rotation)) * (-1.0 if mirrored else 1.0)
    return Similarity(scale, rotation, 30 * rng.normal(size=3))


@cache
def taught() -> ShapeModel:
    """Returns a model of two specimens."""
    return teach([Specimen(f"s{seed}", *specimen(seed)) for seed in range(2)], "bumps")[0]


def write_specimen(folder: Path, name: str, cloud: Cloud, landmarks: Landmarks | None) -> None:
    """Writes NAME.off and NAME.mrk.json."""
    folder.mkdir(parents=True, exist_ok=True)
    faces = [] if cloud.faces is None else cloud.faces.tolist()
    lines = [f"OFF\n{len(cloud)} {len(faces)} 0", *(" ".join(map(repr, point)) for point in cloud.points.tolist())]
    lines += [f"3 {a} {b} {c}" for a, b, c in faces]
    (folder / f"{name}.off").write_text("\n".join(lines) + "\n")
    if landmarks is not None:
        points = [
            {"label": label, "position": None if np.isnan(point).any() else point.tolist(), "positionStatus": status}
            for label, point in zip(landmarks.names, landmarks.points, strict=True)
            for status in (["undefined"] if np.isnan(point).any() else ["defined"])
        ]
        markup = {"coordinateSystem": "LPS", "coordinateUnits": "mm", "controlPoints": points}
        (folder / f"{name}.mrk.json").write_text(json.dumps({"markups": [markup]}))
