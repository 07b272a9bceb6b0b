"""A model of the landmarks of a kind of shape."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cairn.errors import CloudError
from cairn.pointclouds.shapes.alignment import Alignment, align
from cairn.pointclouds.shapes.deformation import deform
from cairn.pointclouds.shapes.shape import Shape
from cairn.pointclouds.shapes.similarity import Points, Similarity
from cairn.structures.cloud import UNITS, Cloud, CloudKeypoints
from cairn.wording import counted

MAX_RATIO = 4.0
"""Largest ratio of the size of a specimen to those of training, or inversely."""

FOREIGN = 1.8
"""Multiple of the largest residual of training above which a specimen is reported as a different kind of shape."""

HINTED = ("um", "mm", "cm", "m")
"""Units that a specimen of another size may be in."""

CLEARLY_BETTER = 0.8
"""Ratio of two residuals below which one of them is clearly better."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Template:
    """A labeled specimen in the frame of its model, where the reference has a radius of 1.

    Attributes:
        name: Name of the specimen.
        shape: Its surface, thinned.
        landmarks: (L, 3); NaN where unknown.
    """

    name: str
    shape: Shape
    landmarks: Points


@dataclass(frozen=True, eq=False, repr=False)
class ShapeKeypoints(CloudKeypoints):
    """Landmarks that a model placed on a specimen. Scores are the spread: how far the templates differ.

    The spread of a landmark is the mean distance between the result and the points of the templates, in the unit of
    the cloud; NaN for a model with one template.

    Attributes:
        mirrored: Whether the specimen is a mirror image of the shapes in training; None where both fit.
        residual: Distance between the specimen and the reference after rigid alignment, in radii of the reference.
    """

    mirrored: bool | None = False
    residual: float = 0.0


@dataclass(frozen=True, eq=False, repr=False)
class ShapeModel:
    """Places the landmarks of some labeled specimens on others: `model(cloud)`.

    Attributes:
        name: Name of the model.
        names: Names of the L landmarks.
        templates: The labeled specimens.
        radius: Radius of the reference, which is the first template, in `unit`.
        diagonals: (T,) diagonals of the bounding boxes of the specimens, in `unit`.
        on_surface: (L,) bool, which landmarks lie on the surface.
        residual: Largest residual of the alignment of a labeled specimen to the reference.
        symmetric: Whether a labeled specimen and its mirror image fit the reference about as well, so that a mirrored
            specimen is like others.
        unit: Unit of the specimens in training; None where it is unknown.
        coordinate_system: "LPS", "RAS" or None, likewise.
        error: Mean error in `unit` on labeled specimens that were held out; None where there are too few.
    """

    name: str
    names: tuple[str, ...]
    templates: tuple[Template, ...]
    radius: float
    diagonals: Points
    on_surface: NDArray[np.bool_]
    residual: float = 0.0
    symmetric: bool = False
    unit: str | None = None
    coordinate_system: str | None = None
    error: float | None = None

    def __repr__(self) -> str:
        error = "" if self.error is None else f", error {self.error:.3g} {self.unit or 'units'} on held-out specimens"
        counts = f"{counted(len(self.names), 'landmark')} from {counted(len(self.templates), 'specimen')}"
        return f"ShapeModel({self.name}: {counts}{error})"

    def __call__(self, cloud: Cloud) -> ShapeKeypoints:
        """Returns the landmarks of a specimen, in its coordinates.

        Raises:
            CloudError: The specimen is no shape, or its size differs much from those in training.
        """
        self._check_size(cloud)
        specimen = Shape.of(cloud)
        placed = self.place(specimen)
        combined, spread = placed.combined()
        if (residual := placed.alignment.residual) > FOREIGN * self.residual > 0:
            log.warning(
                "%s: it differs from the shapes in training: the surfaces differ by %.2f of the radius, in training by "
                "at most %.2f; the landmarks may be wrong",
                *(cloud.source, residual, self.residual),
            )
        elif placed.alignment.ambiguous:
            log.warning("%s: two different rotations fit about as well: check the landmarks", cloud.source)
        if specimen.inward and not placed.mirrored:
            log.warning("%s: its faces point inward: the mesh is mirrored or inside out", cloud.source)
        if placed.mirrored:
            log.warning(
                "%s: it is a mirror image of the shapes in training; the landmarks are placed on it as such",
                cloud.source,
            )
        indices = ((cloud.points[None] - combined[:, None]) ** 2).sum(axis=2).argmin(axis=1)
        return ShapeKeypoints(
            combined,
            spread,
            indices,
            replace(
                cloud,
                unit=cloud.unit or self.unit,
                coordinate_system=cloud.coordinate_system or self.coordinate_system,
            ),
            "spread",
            self.names,
            f"model {self.name}",
            self._summary(placed, spread, cloud.unit or self.unit),
            placed.mirrored,
            placed.alignment.residual,
        )

    def place(self, specimen: Shape) -> Placement:
        """Places the landmarks of each template on a specimen in any position, rotation, scale and mirroring."""
        rotation, reflection = self.alignments(specimen)
        mirrored = is_mirrored(rotation, reflection)
        return replace(self.placed(specimen, reflection if mirrored else rotation), mirrored=mirrored)

    def alignments(self, specimen: Shape) -> tuple[Alignment, Alignment]:
        """Returns the rotation and the reflection of a specimen to the reference."""
        reference = self.templates[0].shape
        return align(specimen, reference), align(specimen, reference, reflection=True)

    def placed(self, specimen: Shape, alignment: Alignment, templates: Sequence[int] | None = None) -> Placement:
        """Places the landmarks of each template on an aligned specimen.

        Args:
            specimen: The surface, in its own coordinates.
            alignment: How it fits the reference.
            templates: Rows of the templates. Default: all.
        """
        aligned, back = specimen.moved(alignment.transform), alignment.transform.inverse()
        rows = range(len(self.templates)) if templates is None else templates
        points = np.stack([back(deform(*_of(self.templates[row]), aligned)) for row in rows])
        for each in points:
            each[self.on_surface] = specimen.closest(each[self.on_surface])
        return Placement(points, alignment, alignment.transform.is_reflection, specimen, self.on_surface)

    def _check_size(self, cloud: Cloud) -> None:
        """Checks that a specimen is about as large as those in training."""
        own, expected = cloud.diagonal, float(np.median(self.diagonals))
        hint = "convert it to the unit of training"
        if cloud.unit is not None and self.unit is not None:
            own *= UNITS[cloud.unit] / UNITS[self.unit]
        elif self.unit is not None:
            fitting = {
                unit: own * meters / UNITS[self.unit] / expected for unit, meters in UNITS.items() if unit in HINTED
            }
            closest = min(fitting, key=lambda unit: abs(np.log(max(fitting[unit], 1e-300))))
            if 1 / MAX_RATIO <= fitting[closest] <= MAX_RATIO:
                hint = f"its coordinates seem to be in {closest}: pass --unit {closest}"
        if not 1 / MAX_RATIO <= own / expected <= MAX_RATIO:
            unit = self.unit or "units"
            raise CloudError(
                f"{cloud.source}: expected a shape of about {expected:.3g} {unit} (diagonal of the bounding box, as in "
                f"training), got {own:.3g} {unit}; {hint}"
            )

    def _summary(self, placed: Placement, spread: Points, unit: str | None) -> str:
        parts = [counted(len(self.templates), "template")]
        if len(self.templates) > 1:
            parts.append(f"mean spread {np.nanmean(spread):.3g} {unit or 'units'}")
        notes = {True: ["mirrored"], False: [], None: ["too symmetric to tell a mirror image"]}
        parts += notes[placed.mirrored]
        return ", ".join(parts)


@dataclass(frozen=True, eq=False)
class Placement:
    """The landmarks that each template places on a specimen.

    Attributes:
        points: (T, L, 3) in the coordinates of the specimen; NaN where a template has no such landmark.
        alignment: How the specimen fits the reference.
        mirrored: Whether it is mirrored; None where both fit.
        specimen: The specimen.
        on_surface: (L,) bool, which landmarks lie on the surface.
    """

    points: Points
    alignment: Alignment
    mirrored: bool | None
    specimen: Shape
    on_surface: NDArray[np.bool_]

    def combined(self, templates: Sequence[int] | None = None) -> tuple[Points, Points]:
        """Returns the median over templates, snapped to the surface, and its spread over them.

        Args:
            templates: Rows of `points`. Default: all.
        """
        points = self.points if templates is None else self.points[list(templates)]
        combined = geometric_median(points)
        combined[self.on_surface] = self.specimen.closest(combined[self.on_surface])
        distances = np.linalg.norm(points - combined, axis=2)
        counts = np.isfinite(distances).sum(axis=0)
        spread = np.full(len(combined), np.nan)
        several = counts > 1
        spread[several] = np.nansum(distances[:, several], axis=0) / counts[several]
        return combined, spread


def geometric_median(points: Points, iterations: int = 50) -> Points:
    """Returns the points with the least sum of distances to those of the templates (Weiszfeld 1937).

    Args:
        points: (T, L, 3); NaN where unknown.
        iterations: Number of iterations.

    Returns:
        (L, 3); NaN for a landmark that no template has.
    """
    known = np.asarray(np.isfinite(points).all(axis=2))
    values = np.where(known[..., None], points, 0.0)
    counts = known.sum(axis=0)[:, None]
    median: Points = np.divide(values.sum(axis=0), counts, out=np.full(points.shape[1:], np.nan), where=counts > 0)
    if len(points) < 3:
        return median
    size = float(np.abs(values).max())
    for _ in range(iterations):
        distances = np.linalg.norm(values - median, axis=2)
        weights = known / np.maximum(distances, 1e-9 * size + 1e-300)
        total = weights.sum(axis=0)[:, None]
        median = np.divide((weights[..., None] * values).sum(axis=0), total, out=median.copy(), where=counts > 0)
    return median


def is_mirrored(rotation: Alignment, reflection: Alignment) -> bool | None:
    """Whether a specimen is mirrored, by how well it fits with and without a reflection; None where both fit."""
    if reflection.residual < CLEARLY_BETTER * rotation.residual:
        return True
    return False if rotation.residual < CLEARLY_BETTER * reflection.residual else None


def model_frame(shape: Shape) -> Similarity:
    """Returns the transform of a reference into the frame of its model: centered, with a radius of 1."""
    scale = 1 / shape.radius
    return Similarity(scale, np.eye(3), -scale * shape.points.mean(axis=0))


def _of(template: Template) -> tuple[Shape, Points]:
    return template.shape, template.landmarks
