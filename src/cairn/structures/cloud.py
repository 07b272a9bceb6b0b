"""Point clouds, meshes, their landmarks and their keypoints, as values."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cairn.errors import CloudError
from cairn.wording import counted

UNITS = {"um": 1e-6, "mm": 1e-3, "cm": 1e-2, "m": 1.0, "km": 1e3, "in": 0.0254, "ft": 0.3048}
"""Units of length, in meters."""

SYSTEMS = ("LPS", "RAS")
"""Coordinate systems of medical images: toward left, posterior, superior; or right, anterior, superior."""


@dataclass(frozen=True, eq=False, repr=False)
class Cloud:
    """Points in 3D; with faces, the vertices of a triangle mesh.

    Attributes:
        points: (N, 3) float64, finite, in `unit`.
        normals: (N, 3) float64, unit length; (0, 0, 0) where a point has none. None where there are none at all.
        colors: (N, 3) uint8 RGB; None without colors.
        faces: (M, 3) int64, indices of points; None for a cloud without faces.
        unit: Unit of the coordinates, of `UNITS`; None where the file does not state one.
        coordinate_system: "LPS" or "RAS"; None where the file does not state one.
        rows: (N,) int64, the number of each point in its file, from 0; None where the file has no other points.
        source: Where the cloud is from, for messages.

    Raises:
        CloudError: There is no point, or a value has the wrong shape or is not finite.
    """

    points: NDArray[np.float64]
    normals: NDArray[np.float64] | None = None
    colors: NDArray[np.uint8] | None = None
    faces: NDArray[np.int64] | None = None
    unit: str | None = None
    coordinate_system: str | None = None
    rows: NDArray[np.int64] | None = None
    source: str = "the cloud"

    def __post_init__(self) -> None:
        points = _array(self.points, np.float64, f"{self.source}: points")
        if points.ndim != 2 or points.shape[1] != 3:
            raise CloudError(f"{self.source}: expected points (N, 3), got an array of shape {points.shape}")
        if not len(points):
            raise CloudError(f"{self.source}: expected points, but it has none")
        if bad := int((~np.isfinite(points).all(axis=1)).sum()):
            raise CloudError(
                f"{self.source}: {bad} of {counted(len(points), 'point')} are NaN or infinite: remove them"
            )
        object.__setattr__(self, "points", points)
        for name, kind in (("normals", np.float64), ("colors", np.uint8), ("faces", np.int64), ("rows", np.int64)):
            self._check(name, kind)
        if self.faces is not None and len(self.faces) and not 0 <= self.faces.min() <= self.faces.max() < len(points):
            wrong = next(int(each) for each in self.faces.ravel() if not 0 <= each < len(points))
            raise CloudError(f"{self.source}: a face has vertex {wrong}, but there are {counted(len(points), 'point')}")
        if self.unit is not None:
            object.__setattr__(self, "unit", check_unit(self.unit))
        if self.coordinate_system is not None:
            object.__setattr__(self, "coordinate_system", check_system(self.coordinate_system))

    def _check(self, name: str, kind: type) -> None:
        """Makes an optional value an array, and checks its shape."""
        if getattr(self, name) is None:
            return
        values = _array(getattr(self, name), kind, f"{self.source}: {name}")
        if name == "faces" and not values.size:
            object.__setattr__(self, name, None)
            return
        expected = ("M", 3) if name == "faces" else (len(self),) if name == "rows" else (len(self), 3)
        if values.shape != (expected if name != "faces" else (len(values), 3)):
            shape = "(" + ", ".join(map(str, expected)) + ("," if len(expected) == 1 else "") + ")"
            raise CloudError(f"{self.source}: expected {name} {shape}, got an array of shape {values.shape}")
        object.__setattr__(self, name, values)

    def __len__(self) -> int:
        return len(self.points)

    def __repr__(self) -> str:
        parts = [counted(len(self), "point")]
        parts += [counted(len(self.faces), "face")] if self.faces is not None else []
        parts += [name for name in ("normals", "colors") if getattr(self, name) is not None]
        size = " x ".join(f"{length:.3g}" for length in np.ptp(self.points, axis=0))
        return f"Cloud({', '.join(parts)}, {size} {self.unit or 'units'})"

    @property
    def diagonal(self) -> float:
        """Length of the diagonal of the bounding box."""
        return float(np.linalg.norm(np.ptp(self.points, axis=0)))

    def file_rows(self, indices: ArrayLike) -> NDArray[np.int64]:
        """Returns the numbers of points in their file, from 0."""
        indices = np.asarray(indices, np.int64)
        return indices if self.rows is None else np.asarray(self.rows[indices])

    def select(self, indices: ArrayLike) -> Cloud:
        """Returns the cloud of some points, without faces.

        Args:
            indices: (S,) indices, or (N,) bool.
        """
        chosen = np.asarray(indices)
        return replace(
            self,
            points=self.points[chosen],
            normals=None if self.normals is None else self.normals[chosen],
            colors=None if self.colors is None else self.colors[chosen],
            faces=None,
            rows=(np.arange(len(self)) if self.rows is None else self.rows)[chosen],
        )

    def moved(self, transform: ArrayLike) -> Cloud:
        """Returns the cloud after a rigid motion, a 4x4 matrix: p -> R p + t."""
        matrix = np.asarray(transform, np.float64)
        normals = None if self.normals is None else self.normals @ matrix[:3, :3].T
        return replace(self, points=move(matrix, self.points), normals=normals)


@dataclass(frozen=True, eq=False, repr=False)
class Landmarks:
    """Named points of a shape.

    `landmarks["nasion"]` is (3,), one point.

    Attributes:
        names: L names.
        points: (L, 3) float64; NaN where a landmark has no position.
        coordinate_system: "LPS" or "RAS"; None where the file does not state one.
        unit: Unit of the coordinates, of `UNITS`; None where the file does not state one.
        source: Where the landmarks are from, for messages.

    Raises:
        CloudError: There is no landmark, two have one name, or the points have the wrong shape.
    """

    names: tuple[str, ...]
    points: NDArray[np.float64]
    coordinate_system: str | None = None
    unit: str | None = None
    source: str = "the landmarks"

    def __post_init__(self) -> None:
        names = tuple(map(str, self.names))
        points = _array(self.points, np.float64, f"{self.source}: landmarks")
        if points.shape != (len(names), 3):
            raise CloudError(f"{self.source}: expected landmarks ({len(names)}, 3), got an array of {points.shape}")
        if not names:
            raise CloudError(f"{self.source}: expected landmarks, but it has none")
        if np.isinf(points).any():
            raise CloudError(f"{self.source}: landmark {names[int(np.isinf(points).any(axis=1).argmax())]} is infinite")
        if repeated := [name for i, name in enumerate(names) if name in names[:i]]:
            raise CloudError(f"{self.source}: two landmarks have the name {repeated[0]!r}: give each its own")
        object.__setattr__(self, "names", names)
        object.__setattr__(self, "points", points)
        if self.unit is not None:
            object.__setattr__(self, "unit", check_unit(self.unit))
        if self.coordinate_system is not None:
            object.__setattr__(self, "coordinate_system", check_system(self.coordinate_system))

    @property
    def known(self) -> NDArray[np.bool_]:
        """(L,): which landmarks have a position."""
        return np.asarray(np.isfinite(self.points).all(axis=1))

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, name: str) -> NDArray[np.float64]:
        if name not in self.names:
            raise CloudError(f"there is no landmark {name!r}; there are {', '.join(self.names)}")
        return np.asarray(self.points[self.names.index(name)])

    def __repr__(self) -> str:
        system = f", {self.coordinate_system}" if self.coordinate_system else ""
        missing = len(self) - int(self.known.sum())
        without = f", {missing} without a position" if missing else ""
        return f"Landmarks({counted(len(self), 'landmark')}{without}{system}, {self.unit or 'no unit'})"

    def in_system(self, system: str | None) -> Landmarks:
        """Returns the landmarks in another coordinate system; as they are where either is unknown."""
        if system is None or self.coordinate_system is None:
            return self
        target = check_system(system)
        sign = 1.0 if target == self.coordinate_system else -1.0
        return replace(self, points=self.points * [sign, sign, 1.0], coordinate_system=target)

    def in_unit(self, unit: str | None) -> Landmarks:
        """Returns the landmarks in another unit; as they are where either is unknown."""
        if unit is None or self.unit is None:
            return self
        target = check_unit(unit)
        return replace(self, points=self.points * (UNITS[self.unit] / UNITS[target]), unit=target)


@dataclass(frozen=True, eq=False, repr=False)
class CloudKeypoints:
    """Keypoints of a cloud, the best first unless they have names.

    Attributes:
        points: (K, 3) float64, in the cloud's coordinates.
        scores: (K,) float64, what `score_name` says.
        indices: (K,) int64, the point of the cloud at each keypoint, or the nearest one.
        cloud: The cloud.
        score_name: What a score is: "saliency" (higher is better), "sigma" or "spread" (lower is better).
        names: K names; empty where keypoints have none.
        method: Name of the method.
        summary: What the method used, for people: resolution and radii.

    Raises:
        CloudError: The shapes contradict one another.
    """

    points: NDArray[np.float64]
    scores: NDArray[np.float64]
    indices: NDArray[np.int64]
    cloud: Cloud
    score_name: str = "saliency"
    names: tuple[str, ...] = ()
    method: str = ""
    summary: str = ""

    def __post_init__(self) -> None:
        count = len(self.points)
        shapes = (self.points.shape, self.scores.shape, self.indices.shape)
        if shapes != ((count, 3), (count,), (count,)) or len(self.names) not in (0, count):
            raise CloudError(f"expected {count} keypoints, scores and indices, got arrays of {shapes}")

    def __len__(self) -> int:
        return len(self.points)

    def __getitem__(self, rows: Any) -> CloudKeypoints:
        """Returns some of the keypoints: a slice, indices or a mask."""
        chosen = np.atleast_1d(np.arange(len(self))[rows])
        return replace(
            self,
            points=self.points[chosen],
            scores=self.scores[chosen],
            indices=self.indices[chosen],
            names=tuple(self.names[row] for row in chosen) if self.names else (),
        )

    def __repr__(self) -> str:
        return f"CloudKeypoints({counted(len(self), 'keypoint')} of {counted(len(self.cloud), 'point')}, {self.method})"

    @property
    def landmarks(self) -> Landmarks:
        """The keypoints as landmarks; those without names are numbered from 1."""
        names: Sequence[str] = self.names or [str(row) for row in range(1, len(self) + 1)]
        cloud = self.cloud
        return Landmarks(tuple(names), self.points, cloud.coordinate_system, cloud.unit, f"keypoints of {cloud.source}")


def move(transform: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns points (..., 3) after a 4x4 transform: p -> R p + t."""
    moved: NDArray[np.float64] = points @ transform[:3, :3].T + transform[:3, 3]
    return moved


def check_unit(unit: str) -> str:
    """Returns a unit of length by its symbol or its name.

    Raises:
        CloudError: It is none of `UNITS`.
    """
    names = {"micrometer": "um", "micron": "um", "µm": "um", "μm": "um", "millimeter": "mm", "centimeter": "cm"}
    names |= {"meter": "m", "kilometer": "km", "inch": "in", "inches": "in", "foot": "ft", "feet": "ft"}
    text = re.sub(r"metre(s?)$", r"meter\1", unit.strip().lower())  # vocabulary: allow
    found = names.get(text) or names.get(text.removesuffix("s")) or text
    if found not in UNITS:
        raise CloudError(f"expected a unit of length, one of {', '.join(UNITS)}; got {unit!r}")
    return found


def check_system(system: str) -> str:
    """Returns a coordinate system in its standard spelling.

    Raises:
        CloudError: It is none of `SYSTEMS`.
    """
    if system.strip().upper() not in SYSTEMS:
        raise CloudError(f"expected the coordinate system {' or '.join(SYSTEMS)}, got {system!r}")
    return system.strip().upper()


def _array(values: Any, kind: type, name: str) -> NDArray[Any]:
    try:
        return np.ascontiguousarray(values, kind)
    except (TypeError, ValueError, OverflowError):
        raise CloudError(f"{name} must be numbers, got {type(values).__name__}") from None
