"""The report of landmarks on shapes: metrics.json, errors.csv, a plot, and a page with the worst specimens in 3D."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from cairn.errors import MissingExtra
from cairn.evaluation.landmarks import LandmarkErrors
from cairn.evaluation.reports.plots import landmark_boxes
from cairn.files import atomic_write, ensure_unused_names
from cairn.visualization.clouds import cloud_item
from cairn.visualization.page import heading, image, page, paragraph, table
from cairn.visualization.scene3d import LineSet, PointSet, Surface, scene
from cairn.wording import counted

FILES = ("metrics.json", "errors.csv", "errors.png", "report.html")
"""The files of a report; errors.png is written if matplotlib is installed."""

NUM_WORST = 3
"""Number of specimens in 3D."""

TRUE, PREDICTED = (30, 140, 60), (210, 50, 40)


def prepare_landmark_folder(folder: Path) -> Path:
    """Creates the folder if needed and returns it.

    Raises:
        OutputError: The folder cannot be written to, or contains an earlier report.
    """
    return ensure_unused_names(folder, FILES)


def write_landmark_report(errors: LandmarkErrors, folder: Path, about: Mapping[str, Any]) -> list[Path]:
    """Writes FILES into the folder and returns the paths of the written files.

    Args:
        errors: What was measured.
        folder: Created if it does not exist.
        about: First entries of metrics.json and title of the page: the names of the model and of the landmarks.

    Raises:
        OutputError: The folder cannot be written to, or contains one of FILES.
    """
    prepare_landmark_folder(folder)
    unit = errors.unit or "units"
    content = {
        **about,
        "unit": errors.unit,
        "specimens": len(errors.names),
        **errors.metrics(),
        "per_landmark": errors.per_landmark(),
        "per_specimen": errors.per_specimen(),
    }
    texts = {"metrics.json": json.dumps(content, indent=2, allow_nan=False) + "\n"}
    plot = None
    with suppress(MissingExtra):  # the table has the same numbers
        plot = landmark_boxes(errors)
    sections = [
        paragraph(
            f"{counted(len(errors.names), 'specimen')}, {counted(len(errors.landmarks), 'landmark')}; errors are "
            f"distances in {unit}."
        ),
        table([[name, f"{value:.3g}"] for name, value in errors.metrics().items()]),
        *([image(plot, "png", "errors by landmark")] if plot else []),
        *_worst(errors),
        heading("Landmarks"),
        table(_cells(errors.per_landmark()), ("landmark", "specimens", "mean", "median", "largest")),
        heading("Specimens"),
        table(_cells(errors.per_specimen()), ("specimen", "landmarks", "mean", "median", "largest")),
    ]
    texts["report.html"] = page(" on ".join(map(str, about.values())), sections)
    written = []
    for name in FILES:
        path = folder / name
        if name in texts:
            with atomic_write(path) as partial:
                partial.write_text(texts[name], encoding="utf-8")
        elif name == "errors.csv":
            _write_csv(path, errors)
        elif plot:
            with atomic_write(path) as partial:
                partial.write_bytes(plot)
        else:
            continue
        written.append(path)
    return written


def _write_csv(path: Path, errors: LandmarkErrors) -> None:
    """Writes one row for each specimen and one column for each landmark; missing errors are empty."""
    with atomic_write(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["specimen", *errors.landmarks])
        for name, row in zip(errors.names, errors.distances, strict=True):
            writer.writerow([name, *(f"{value:.6g}" if np.isfinite(value) else "" for value in row)])


def _cells(rows: list[dict[str, Any]]) -> list[list[str]]:
    """Returns the cells of a table, the largest mean first."""
    ranked = sorted(rows, key=lambda row: -(row["mean"] or 0))
    return [
        [value if isinstance(value, str) else "" if value is None else f"{value:.3g}" for value in row.values()]
        for row in ranked
    ]


def _worst(errors: LandmarkErrors) -> list[str]:
    """Returns a 3D view of each of the worst specimens: its shape, the true and the predicted landmarks, and lines."""
    sections = [heading("Worst specimens")]
    for row in errors.worst(NUM_WORST):
        labels = tuple(
            f"{name}: {distance:.3g} {errors.unit or 'units'}"
            for name, distance in zip(errors.landmarks, errors.distances[row], strict=True)
        )
        lines = np.stack([errors.true[row], errors.predicted[row]], axis=1)
        items: list[PointSet | LineSet | Surface] = [
            PointSet("true", errors.true[row], TRUE, 8, labels),
            PointSet("predicted", errors.predicted[row], PREDICTED, 8, labels),
            LineSet("errors", lines, PREDICTED),
        ]
        if errors.clouds is not None:
            items.insert(0, cloud_item(errors.clouds[row], "shape"))
        mean = errors.per_specimen()[row]["mean"]
        caption = f"{errors.names[row]}: mean error {0 if mean is None else mean:.3g} {errors.unit or 'units'}"
        sections.append(scene(items, caption=caption, height=420))
    return sections
