"""Several models on the same labels, side by side: one table, one plot of each kind, one page."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.errors import LabelError, MissingExtra
from cairn.evaluation.evaluate import Evaluation
from cairn.evaluation.metrics.summary import headline, metrics, name_of, number, parts
from cairn.evaluation.reports.diagnosis import Diagnosis, diagnosis_sections
from cairn.evaluation.reports.plots import joint_bars, pck_curves
from cairn.evaluation.reports.report import free_of_reports, meaning_line, title_of, write_files
from cairn.evaluation.reports.worst import TILE, object_errors, tile
from cairn.visualization.page import heading, image, paragraph, table

SHOWN = 6  # objects on which all are worst, and as many on which the models differ most

Models = Mapping[str, Evaluation]
"""Evaluations by the models' names, all of the same labels."""


@dataclass(frozen=True)
class Shown:
    """A labeled object, by its row in all the evaluations' pairs, with each model's mean error."""

    row: int
    image: str
    why: str
    errors: dict[str, float]

    @property
    def caption(self) -> str:
        return f"{self.image}, {self.why}: " + ", ".join(f"{name} {value:.2f}" for name, value in self.errors.items())

    def to_dict(self) -> dict[str, Any]:
        return {"image": self.image, "why": self.why, "errors": self.errors}


def write_comparison(
    models: Models, diagnoses: Mapping[str, Diagnosis], folder: Path, about: Mapping[str, Any]
) -> list[Path]:
    """Writes `report.FILES` into the folder, pck.png where there is a matplotlib, and returns what was written.

    about  what stands at the head of metrics.json and of the page
    Raises OutputError where the folder cannot be written to, or has a report already; LabelError where the
    evaluations are not of the same labels.
    """
    check_same_labels(models)
    free_of_reports(folder)
    first = next(iter(models.values()))
    joints = parts(first.labels.skeleton)
    shown = shown_objects(models)
    figures = {
        **about,
        "models": {name: {**metrics(entry), **diagnoses[name].to_dict()} for name, entry in models.items()},
        "worst": [entry.to_dict() for entry in shown],
    }
    pcks = {name: entry.pck for name, entry in models.items()}
    plot = bars = None
    with suppress(MissingExtra):  # a plot is no reason to install anything: the figures are all in metrics.json
        plot, bars = pck_curves(pcks), joint_bars(pcks, joints)
    sections = [
        paragraph(meaning_line(first)),
        *(paragraph(line) for line in told_where(models)),
        table(figure_rows(models), ("", *models)),
        heading("Joints"),
        paragraph(f"{name_of(first.pck)}, in percent."),
        table(compared_joints(models), ("joint", "keypoints", "OKS sigma", *models)),
        *([image(bars, "png", "PCK by joint")] if bars else []),
        *([heading("Curves"), image(plot, "png", "PCK by threshold")] if plot else []),
        *diagnosis_sections(diagnoses),
        paragraph(f"In each line of the images below, from left to right: {', '.join(models)}."),
    ]
    captions = [entry.caption for entry in shown]
    return write_files(folder, figures, plot, sheet(models, shown), captions, title_of(about), sections)


def figure_rows(models: Models) -> list[tuple[str, ...]]:
    """A row for each figure that any model has, a cell for each model."""
    lines = {name: headline(entry) for name, entry in models.items()}
    order = max(lines.values(), key=len)
    names = [*order, *(figure for line in lines.values() for figure in line if figure not in order)]
    return [(figure, *(line.get(figure, "-") for line in lines.values())) for figure in dict.fromkeys(names)]


def compared_joints(models: Models) -> list[tuple[str, ...]]:
    """(joint, keypoints, sigma, each model's PCK) of every joint."""
    first = next(iter(models.values()))
    skeleton, values = first.labels.skeleton, zip(*(entry.pck.per_joint for entry in models.values()), strict=True)
    rows = zip(skeleton.joints, first.pck.counts, skeleton.sigmas, values, strict=True)
    return [
        (joint, str(n), f"{sigma:.3f}", *(number(float(value)) for value in each)) for joint, n, sigma, each in rows
    ]


def told_where(models: Models) -> list[str]:
    """A warning where some models are told where the objects are, and others look for them."""
    told = [name for name, entry in models.items() if entry.task == "crop"]
    if not told or len(told) == len(models):
        return []
    return [f"Not the same task: {', '.join(told)} {'is' if len(told) == 1 else 'are'} told where the objects are."]


def shown_objects(models: Models, count: int = SHOWN) -> list[Shown]:
    """Those with the greatest mean error over all models, then those where the models' errors differ most."""
    first = next(iter(models.values()))
    errors = np.stack([object_errors(entry) for entry in models.values()])  # (M, N)
    measured = np.flatnonzero(np.isfinite(errors).all(axis=0))
    worst = measured[np.argsort(-errors[:, measured].mean(axis=0), kind="stable")[:count]]
    others = np.setdiff1d(measured, worst)
    spread = np.ptp(errors[:, others], axis=0)
    differ = others[np.argsort(-spread, kind="stable")[:count]]
    differ = differ[np.ptp(errors[:, differ], axis=0) > 0]
    return [
        Shown(
            row=int(row),
            image=first.labels.images[first.pairs.images[row]].path.name,
            why=why,
            errors={name: float(value) for name, value in zip(models, errors[:, row], strict=True)},
        )
        for rows, why in ((worst, "worst"), (differ, "most different"))
        for row in rows
    ]


def sheet(models: Models, shown: list[Shown]) -> NDArray[np.uint8]:
    """(H, W, 3) uint8: a numbered line for each object, a tile for each model."""
    result = np.full((max(1, len(shown)) * TILE, len(models) * TILE, 3), 255, np.uint8)
    for i, entry in enumerate(shown):
        for j, evaluation in enumerate(models.values()):
            caption = str(i + 1) if j == 0 else ""
            result[i * TILE : (i + 1) * TILE, j * TILE : (j + 1) * TILE] = tile(evaluation, entry.row, caption)
    return result


def check_same_labels(models: Models) -> None:
    """Raises LabelError where they cannot stand in one table."""
    first, *others = models.values()
    for entry in others:
        if [p.path for p in entry.labels] != [p.path for p in first.labels]:
            raise LabelError("models can be compared on the same images only")
        if entry.labels.skeleton.joints != first.labels.skeleton.joints or entry.pck.protocol != first.pck.protocol:
            raise LabelError("models can be compared on the same joints, in the same length only")
