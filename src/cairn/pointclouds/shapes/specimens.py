"""Labeled specimens: meshes with their landmarks, found by their names and checked against each other."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cairn.errors import CloudError
from cairn.pointclouds.io import read_cloud
from cairn.pointclouds.io.landmarks import read_landmarks
from cairn.pointclouds.shapes.names import SHAPE_SUFFIXES, find_landmarks, find_shapes
from cairn.pointclouds.shapes.shape import Shape
from cairn.structures.cloud import SYSTEMS, UNITS, Cloud, Landmarks
from cairn.wording import counted

NEAR = 0.02
"""Distance of landmarks from the surface, in diagonals of the shape, above which they are suspect."""

SPAN = 0.2
"""Smallest extent of landmarks, in diagonals, that says that another unit fits."""

FAR = 0.1
"""Distance above which they cannot belong to the shape."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Specimen:
    """A shape and its landmarks, in one coordinate system and unit."""

    name: str
    cloud: Cloud
    landmarks: Landmarks


@dataclass(frozen=True)
class Frame:
    """What the user states about all meshes: unit and coordinate system; None for what the files state."""

    unit: str | None = None
    coordinate_system: str | None = None


def read_specimens(shapes: Path, landmarks: Path | None = None, frame: Frame | None = None) -> list[Specimen]:
    """Reads the shapes that have landmarks, matched by the names of their files.

    Args:
        shapes: Folder of meshes, or one mesh.
        landmarks: Folder of landmark files, or one. Default: beside the meshes.
        frame: What the user states about the meshes.

    Raises:
        CloudError: A file cannot be read, no shape has landmarks, or landmarks are not on their shape.
    """
    meshes, labels = find_shapes(shapes), find_landmarks(landmarks or (shapes if shapes.is_dir() else shapes.parent))
    if landmarks is not None and shapes.is_file() and landmarks.is_file():
        labels = {next(iter(meshes)): landmarks}
    names = [name for name in meshes if name in labels]
    if not meshes:
        raise CloudError(f"{shapes}: expected shapes ({', '.join(SHAPE_SUFFIXES)}), but there are none")
    if not names:
        example = next(iter(meshes))
        raise CloudError(
            f"{landmarks or shapes}: no landmarks have the name of a shape, such as {example}.mrk.json, {example}.fcsv "
            f"or {example}.csv for {meshes[example].name}"
        )
    if len(names) < len(meshes):
        log.info("%s of %s have landmarks", len(names), counted(len(meshes), "shape"))
    alone = [labels[name].name for name in labels if name not in meshes and labels[name].suffix != ".json"]
    if alone:
        log.warning(
            "%s of landmarks without a shape of the same name, such as %s", counted(len(alone), "file"), alone[0]
        )
    frame = frame or Frame()
    return [
        placed(name, read_cloud(meshes[name], frame.unit, frame.coordinate_system), read_landmarks(labels[name]))
        for name in names
    ]


def placed(name: str, cloud: Cloud, landmarks: Landmarks) -> Specimen:
    """Returns a specimen whose landmarks are in the frame of its mesh, and checks that they lie on it.

    Where a mesh does not state its coordinate system, it is LPS if the landmarks state one, as in 3D Slicer; where it
    does not state its unit, it is that of the landmarks.

    Raises:
        CloudError: The landmarks are elsewhere: in another unit or coordinate system, or of another shape.
    """
    system = cloud.coordinate_system or (SYSTEMS[0] if landmarks.coordinate_system else None)
    cloud = replace(cloud, unit=cloud.unit or landmarks.unit, coordinate_system=system)
    moved = landmarks.in_unit(cloud.unit).in_system(system)
    if not moved.known.any():
        raise CloudError(f"{landmarks.source}: no landmark has a position")
    shape = Shape.of(cloud)
    size, here = cloud.diagonal, _distance(shape, moved)
    if here <= NEAR * size:
        return Specimen(name, cloud, moved)
    where = (
        f"{landmarks.source}: the landmarks are {here:.3g} {cloud.unit or 'units'} from the surface of {cloud.source}"
    )
    flipped = replace(moved, points=moved.points * [-1.0, -1.0, 1.0])
    if _distance(shape, flipped) < min(here / 3, NEAR * size):
        other = SYSTEMS[1] if system == SYSTEMS[0] else SYSTEMS[0]
        fix = f"pass --coordinate-system {other} if the mesh is {other}" if system else "negate x and y in one of them"
        stated = f"the landmarks are in {landmarks.coordinate_system}" if system else "no file states LPS or RAS"
        raise CloudError(f"{where} (median), but on it with x and y negated: LPS is taken for RAS; {stated}; {fix}")
    for factor in _factors():
        scaled = replace(moved, points=moved.points * factor)
        spans = float(np.linalg.norm(np.ptp(scaled.points[scaled.known], axis=0))) > SPAN * size
        if spans and _distance(shape, scaled) < min(here / 3, NEAR * size):
            fix = _unit_fix(cloud.unit, factor)
            raise CloudError(f"{where} (median), but on it if multiplied by {factor:g}: the units differ; {fix}")
    if here > FAR * size:
        raise CloudError(f"{where} (median), which is {size:.3g} large: give the landmarks of this shape")
    log.warning("%s (median): check that they belong to it", where)
    return Specimen(name, cloud, moved)


def _factors() -> list[float]:
    """Returns the ratios of units other than 1."""
    ratios = {float(f"{one / other:.6g}") for one in UNITS.values() for other in UNITS.values()}
    return sorted(ratios - {1.0}, key=lambda each: abs(np.log(each)))


def _unit_fix(unit: str | None, factor: float) -> str:
    """Returns what to do about a mesh whose unit is that of the landmarks divided by a factor."""
    mesh = (
        None if unit is None else next((u for u, m in UNITS.items() if abs(UNITS[unit] / factor / m - 1) < 1e-3), None)
    )
    return f"pass --unit {mesh} if the mesh is in {mesh}" if mesh else "convert one of them"


def _distance(shape: Shape, landmarks: Landmarks) -> float:
    """Returns the median distance of landmarks from the surface."""
    points = landmarks.points[landmarks.known]
    return float(np.median(np.linalg.norm(shape.closest(points) - points, axis=1)))
