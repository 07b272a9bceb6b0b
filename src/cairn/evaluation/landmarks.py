"""Errors of landmarks on shapes: distances between predicted and true positions, in the unit of the shapes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cairn.errors import CloudError
from cairn.pointclouds.io import read_cloud
from cairn.pointclouds.io.landmarks import read_landmarks
from cairn.pointclouds.shapes.names import find_landmarks, find_shapes
from cairn.structures.cloud import Cloud, Landmarks
from cairn.wording import counted

if TYPE_CHECKING:  # these need scipy
    from cairn.pointclouds.shapes.model import ShapeModel
    from cairn.pointclouds.shapes.specimens import Specimen

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LandmarkErrors:
    """Predicted and true landmarks of some specimens.

    Attributes:
        names: Names of the S specimens.
        landmarks: Names of the L landmarks.
        predicted: (S, L, 3) positions; NaN where there is none.
        true: (S, L, 3), likewise.
        unit: Unit of all coordinates; None where it is unknown.
        spread: (S, L) spread of the predictions over the templates; None where there are no templates.
        clouds: Their shapes, for views; None where there are none.

    Raises:
        CloudError: No landmark has both positions.
    """

    names: tuple[str, ...]
    landmarks: tuple[str, ...]
    predicted: Array
    true: Array
    unit: str | None = None
    spread: Array | None = None
    clouds: tuple[Cloud, ...] | None = None

    def __post_init__(self) -> None:
        if not np.isfinite(self.distances).any():
            raise CloudError("no landmark has both a predicted and a true position: there is nothing to measure")

    @property
    def distances(self) -> Array:
        """(S, L) errors; NaN where a position is missing."""
        return np.asarray(np.linalg.norm(self.predicted - self.true, axis=2))

    @property
    def mean(self) -> float:
        """Mean error over all landmarks of all specimens."""
        return float(np.nanmean(self.distances))

    def metrics(self) -> dict[str, float]:
        """Mean, median, 95th percentile and largest error, and how well the spread predicts errors (correlation)."""
        known = self.distances[np.isfinite(self.distances)]
        values = {"mean": known.mean(), "median": np.median(known), "p95": np.percentile(known, 95), "max": known.max()}
        if self.spread is not None:
            both = np.isfinite(self.spread) & np.isfinite(self.distances)
            if both.sum() > 2 and np.ptp(self.spread[both]) > 0 and np.ptp(self.distances[both]) > 0:
                values["spread_correlation"] = np.corrcoef(self.spread[both], self.distances[both])[0, 1]
        return {name: float(value) for name, value in values.items()}

    def per_landmark(self) -> list[dict[str, Any]]:
        """A row for each landmark: its name, the number of specimens, its mean, median and largest error."""
        return [_row("landmark", name, column) for name, column in zip(self.landmarks, self.distances.T, strict=True)]

    def per_specimen(self) -> list[dict[str, Any]]:
        """A row for each specimen, likewise."""
        return [_row("specimen", name, row) for name, row in zip(self.names, self.distances, strict=True)]

    def worst(self, count: int) -> list[int]:
        """Returns the rows of the specimens with the largest mean errors."""
        means = [row["mean"] if row["mean"] is not None else -1.0 for row in self.per_specimen()]
        return [int(row) for row in np.argsort(means, kind="stable")[::-1][:count]]


def _row(kind: str, name: str, values: Array) -> dict[str, Any]:
    known = values[np.isfinite(values)]
    numbers = (known.mean(), np.median(known), known.max()) if len(known) else (None, None, None)
    mean, median, largest = (None if value is None else float(value) for value in numbers)
    return {kind: name, "count": len(known), "mean": mean, "median": median, "max": largest}


def errors_of_model(
    model: ShapeModel, specimens: Sequence[Specimen], tick: Callable[[int, int], None] | None = None
) -> LandmarkErrors:
    """Runs a model on labeled specimens.

    Raises:
        CloudError: A specimen cannot be used, or has none of the landmarks.
    """
    truths = [_ordered(each.landmarks, model.names) for each in specimens]  # errors before the work
    predicted, spreads = [], []
    for done, each in enumerate(specimens, start=1):
        found = model(each.cloud)
        predicted.append(found.points)
        spreads.append(found.scores)
        if tick:
            tick(done, len(specimens))
    clouds = tuple(each.cloud for each in specimens)
    names = tuple(each.name for each in specimens)
    return LandmarkErrors(
        names, model.names, np.stack(predicted), np.stack(truths), clouds[0].unit, np.stack(spreads), clouds
    )


def errors_of_files(predicted: Path, truth: Path, shapes: Path | None = None) -> LandmarkErrors:
    """Compares files of predicted landmarks with those of true ones, matched by their names.

    Args:
        predicted: Folder or file.
        truth: Folder or file.
        shapes: Meshes for views; None for none.

    Raises:
        CloudError: A file cannot be read, no names match, or the frames contradict one another.
    """
    found, labels = find_landmarks(predicted), find_landmarks(truth)
    if predicted.is_file() and truth.is_file():
        labels = {next(iter(found)): truth}
    names = tuple(name for name in labels if name in found)
    if not names:
        raise CloudError(f"{predicted}: no landmarks have the name of a file in {truth}")
    true = [read_landmarks(labels[name]) for name in names]
    head = true[0]
    rows, truths = [], []
    for name, each in zip(names, true, strict=True):
        own = read_landmarks(found[name])
        own = own.in_unit(each.unit).in_system(each.coordinate_system)
        known = own.points[own.known]
        if len(known) and each.known.any():
            _check_frames(own, each)
        rows.append(_ordered(own.in_unit(head.unit), head.names))
        truths.append(_ordered(each.in_unit(head.unit), head.names))
    meshes = {} if shapes is None else find_shapes(shapes)
    clouds = tuple(read_cloud(meshes[name]) for name in names) if all(name in meshes for name in names) else None
    unit = head.unit
    return LandmarkErrors(names, head.names, np.stack(rows), np.stack(truths), unit, None, clouds)


def _check_frames(predicted: Landmarks, true: Landmarks) -> None:
    """Raises CloudError where predicted landmarks fit the true ones only in another coordinate system or unit."""
    shared = [name for name in true.names if name in predicted.names]
    pairs = np.array([[predicted[name], true[name]] for name in shared]).reshape(-1, 2, 3)
    pairs = pairs[np.isfinite(pairs).all(axis=(1, 2))]
    if len(pairs) < 3:
        return
    size = float(np.linalg.norm(np.ptp(pairs[:, 1], axis=0)))
    here, flipped = (
        float(np.median(np.linalg.norm(pairs[:, 0] * signs - pairs[:, 1], axis=1)))
        for signs in ([1, 1, 1], [-1, -1, 1])
    )
    if here > 0.1 * size and flipped < here / 3:
        raise CloudError(
            f"{predicted.source}: the landmarks fit those of {true.source} only with x and y negated: LPS is taken for "
            "RAS; correct the coordinate system in one of the files"
        )
    ratio = float(np.linalg.norm(np.ptp(pairs[:, 0], axis=0))) / size if size > 0 else 1.0
    if not 0.1 < ratio < 10:
        raise CloudError(
            f"{predicted.source}: the landmarks are {ratio:.3g} times as far apart as those of {true.source}: the "
            "units differ; convert one of them"
        )


def _ordered(landmarks: Landmarks, names: Sequence[str]) -> Array:
    """Returns the positions of some landmarks, NaN for those that are missing."""
    own = {name: row for row, name in enumerate(landmarks.names)}
    if not any(name in own for name in names):
        raise CloudError(
            f"{landmarks.source}: expected the {counted(len(names), 'landmark')} {', '.join(names[:5])}, ..., got "
            f"{', '.join(landmarks.names[:5])}, ...: give them the same names"
        )
    points = np.full((len(names), 3), np.nan)
    for row, name in enumerate(names):
        if name in own:
            points[row] = landmarks.points[own[name]]
    return points
