"""From labeled specimens to a model, and its error on specimens that are held out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cairn.errors import CloudError
from cairn.pointclouds.shapes.alignment import align
from cairn.pointclouds.shapes.model import MAX_RATIO, Placement, ShapeModel, Template, is_mirrored, model_frame
from cairn.pointclouds.shapes.shape import Shape
from cairn.pointclouds.shapes.similarity import Points, Similarity, fit_similarity
from cairn.pointclouds.shapes.specimens import Specimen
from cairn.structures.cloud import UNITS
from cairn.wording import counted

TEMPLATE_POINTS = 2500
"""Number of points of a template."""

MIN_SHARED = 4
"""Fewest landmarks, not in one line, that templates are aligned by; with fewer, their surfaces are."""

MAX_HELD_OUT = 5
"""Largest number of specimens that are held out in turn."""

NUM_DRAWS = 3
"""Number of sets of templates that the error of each number of templates is averaged over."""

OFF_SURFACE = 0.02
"""Median distance from the surface, in radii, above which a landmark is not snapped to it."""

Tick = Callable[[int, int], None]
"""Called with the number of specimens done and their total."""


@dataclass(frozen=True)
class Row:
    """Mean error on held-out specimens, in the unit of the model, with a number of templates."""

    templates: int
    error: float


def teach(specimens: Sequence[Specimen], name: str, tick: Tick | None = None) -> tuple[ShapeModel, list[Row]]:
    """Returns a model, and its error against the number of templates, on each specimen with the others as templates.

    Args:
        specimens: At least one.
        name: Name of the model.
        tick: Reports the progress.

    Raises:
        CloudError: The specimens have different landmarks, or one differs in size or is mirrored.
    """
    return _measured(*build(specimens, name), tick)


def build(specimens: Sequence[Specimen], name: str) -> tuple[ShapeModel, list[Shape], list[Points]]:
    """Returns a model before its error is measured, and the shapes and landmarks of its templates."""
    specimens = _alike(specimens)
    landmarks = [each.landmarks.points for each in specimens]
    first = _most_typical(landmarks)
    order = [first, *(row for row in range(len(specimens)) if row != first)]
    specimens, landmarks = [specimens[row] for row in order], [landmarks[row] for row in order]
    shapes = [Shape.of(each.cloud) for each in specimens]
    frame = model_frame(shapes[0])
    reference = shapes[0].moved(frame).thinned(TEMPLATE_POINTS)
    to_model = [
        frame,
        *(
            _to_reference(s, x, frame, reference, landmarks[0])
            for s, x in zip(specimens[1:], landmarks[1:], strict=True)
        ),
    ]
    templates = [
        Template(each.name, replace(shape.moved(move), triangles=None).thinned(TEMPLATE_POINTS), move(points))
        for each, shape, move, points in zip(specimens, shapes, to_model, landmarks, strict=True)
    ]
    head = specimens[0]
    model = ShapeModel(
        name,
        head.landmarks.names,
        tuple(templates),
        shapes[0].radius,
        np.array([each.cloud.diagonal for each in specimens]),
        _on_surface(shapes, landmarks, shapes[0].radius),
        unit=head.cloud.unit,
        coordinate_system=head.cloud.coordinate_system,
    )
    return model, shapes, landmarks


def _measured(
    model: ShapeModel, shapes: Sequence[Shape], landmarks: Sequence[Points], tick: Tick | None
) -> tuple[ShapeModel, list[Row]]:
    """Aligns each specimen as a new one, and returns the model with its residual, symmetry and error."""
    residuals, symmetric, errors = [], [], []
    for row, (shape, points) in enumerate(zip(shapes, landmarks, strict=True)):
        rotation, reflection = model.alignments(shape)
        residuals.append(rotation.residual)
        others = [other for other in range(len(shapes)) if other != row]
        symmetric += [is_mirrored(rotation, reflection) is not False] if row or not others else []
        if others and row < MAX_HELD_OUT:
            errors.append(_errors(model.placed(shape, rotation, others), points))
        if tick:
            tick(row + 1, len(shapes))
    counts = range(1, len(shapes)) if errors else ()
    rows = [Row(count, float(np.mean([each[count] for each in errors]))) for count in counts]
    error = rows[-1].error if rows else None
    return replace(model, residual=max(residuals), symmetric=any(symmetric), error=error), rows


def _errors(placed: Placement, points: Points) -> dict[int, float]:
    """Returns the mean error on one specimen by the number of templates."""
    templates = len(placed.points)
    rng = np.random.default_rng(0)
    errors = {}
    for count in range(1, templates + 1):
        sets = [rng.permutation(templates)[:count].tolist() for _ in range(1 if count == templates else NUM_DRAWS)]
        distances = [np.linalg.norm(placed.combined(each)[0] - points, axis=1) for each in sets]
        errors[count] = float(np.nanmean(distances))
    return errors


def _alike(specimens: Sequence[Specimen]) -> list[Specimen]:
    """Returns the specimens with their landmarks in one order, and in one unit."""
    if not specimens:
        raise CloudError("expected at least one specimen with landmarks")
    first = specimens[0]
    names, unit = first.landmarks.names, first.cloud.unit
    alike = []
    for each in specimens:
        own = each.landmarks.names
        if set(own) != set(names):
            missing, extra = [x for x in names if x not in own], [x for x in own if x not in names]
            parts = {"without": missing, "with": extra}
            listed = [f"{word} {', '.join(some[:5])}" for word, some in parts.items() if some]
            raise CloudError(
                f"{each.landmarks.source}: expected the {counted(len(names), 'landmark')} of {first.landmarks.source}, "
                f"got {len(own)}, {' and '.join(listed)}: give all specimens the same names; a landmark that a "
                "specimen does not have stays in the file, without a position"
            )
        points = each.landmarks.points[[own.index(name) for name in names]]
        cloud = each.cloud
        factor = UNITS[cloud.unit] / UNITS[unit] if cloud.unit and unit else 1.0
        alike.append(
            Specimen(
                each.name,
                replace(cloud, points=factor * cloud.points, unit=unit or cloud.unit),
                replace(each.landmarks, names=names, points=factor * points, unit=unit or cloud.unit),
            )
        )
    known = np.any([each.landmarks.known for each in alike], axis=0)
    if not known.all():
        raise CloudError(f"landmark {names[int(known.argmin())]} has no position in any specimen: place it in one")
    diagonals = np.array([each.cloud.diagonal for each in alike])
    middle = float(np.median(diagonals))
    for each, diagonal in zip(alike, diagonals, strict=True):
        if not 1 / MAX_RATIO < diagonal / middle < MAX_RATIO:
            raise CloudError(
                f"{each.cloud.source}: expected a shape of about {middle:.3g} {unit or 'units'} as the others "
                f"(diagonal of the bounding box), got {diagonal:.3g}: convert it to their unit"
            )
    return alike


def _most_typical(landmarks: Sequence[Points]) -> int:
    """Returns the row of the specimen whose landmarks are closest to those of the others."""
    sums = [sum(_residual(own, other) for other in landmarks) for own in landmarks]
    return int(np.argmin(sums))


def _to_reference(
    specimen: Specimen, points: Points, frame: Similarity, reference: Shape, landmarks: Points
) -> Similarity:
    """Returns the transform of a specimen into the frame of the model: by the landmarks, or by the surface."""
    shared = _shared(points, landmarks)
    if shared is None:
        return align(Shape.of(specimen.cloud), reference).transform
    if _residual(points, landmarks, reflection=True) < 0.5 * _residual(points, landmarks):
        raise CloudError(
            f"{specimen.landmarks.source}: the landmarks fit those of the other specimens only as a mirror image: left "
            "and right are swapped, or the mesh is mirrored; correct one of them"
        )
    return fit_similarity(points[shared], frame(landmarks[shared]))


def _residual(points: Points, reference: Points, reflection: bool = False) -> float:
    """Returns the distance of landmarks from others after the best similarity; 0 where too few are shared."""
    shared = _shared(points, reference)
    if shared is None:
        return 0.0
    fitted = fit_similarity(points[shared], reference[shared], reflection)(points[shared])
    return float(np.sqrt(((fitted - reference[shared]) ** 2).sum(axis=1).mean()))


def _shared(points: Points, reference: Points) -> NDArray[np.bool_] | None:
    """Returns the mask of the landmarks that both have; None where they are too few or in one line."""
    both = np.asarray(np.isfinite(points).all(axis=1) & np.isfinite(reference).all(axis=1))
    if both.sum() < MIN_SHARED:
        return None
    for each in (points[both], reference[both]):
        singular = np.linalg.svd(each - each.mean(axis=0), compute_uv=False)
        if not singular[1] > 0.05 * singular[0]:
            return None
    return both


def _on_surface(shapes: Sequence[Shape], landmarks: Sequence[Points], radius: float) -> NDArray[np.bool_]:
    """Returns which landmarks lie on the surface, by their median distance over the specimens."""
    distances = [
        np.linalg.norm(shape.closest(points) - points, axis=1) for shape, points in zip(shapes, landmarks, strict=True)
    ]
    return np.asarray(np.nanmedian(distances, axis=0) <= OFF_SURFACE * radius)
