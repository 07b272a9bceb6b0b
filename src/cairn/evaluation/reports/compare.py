"""Comparison of several models on the same labels: metrics.json, a PCK plot, images, and an HTML page."""

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
from cairn.evaluation.reports.report import definition_line, prepare_report_folder, title_of, write_files
from cairn.evaluation.reports.worst import instance_errors, tile
from cairn.evaluation.tasks import TASKS
from cairn.visualization.page import heading, image, paragraph, table
from cairn.visualization.sheet import compose_sheet

MAX_EXAMPLES = 6
"""Instances with the largest mean error over all models, and as many on which the models differ most."""

Models = Mapping[str, Evaluation]
"""Evaluations on the same labels, by the names of the models."""


@dataclass(frozen=True)
class Example:
    """An annotated instance with the errors of all models.

    Attributes:
        row: Its row in the pairs of every evaluation.
        image: File name of its image.
        reason: Why it is an example: "worst" or "most different".
        errors: Mean normalized error by model.
    """

    row: int
    image: str
    reason: str
    errors: dict[str, float]

    @property
    def caption(self) -> str:
        """The image, the reason and the errors in one line."""
        errors = ", ".join(f"{name} {value:.2f}" for name, value in self.errors.items())
        return f"{self.image}, {self.reason}: {errors}"

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values for JSON."""
        return {"image": self.image, "reason": self.reason, "errors": self.errors}


def write_comparison(
    models: Models, diagnoses: Mapping[str, Diagnosis], folder: Path, about: Mapping[str, Any]
) -> list[Path]:
    """Writes `report.FILES` into the folder and returns the paths of the written files.

    Args:
        models: The evaluations to compare.
        diagnoses: The diagnosis of each evaluation.
        folder: Created if it does not exist.
        about: First entries of metrics.json and title of the page.

    Raises:
        OutputError: The folder cannot be written to, or contains a report.
        LabelError: The evaluations are not on the same labels.
    """
    check_same_labels(models)
    prepare_report_folder(folder)
    first = next(iter(models.values()))
    joints = parts(first.labels.skeleton)
    examples = example_instances(models)
    content = {
        **about,
        "models": {name: {**metrics(entry), **diagnoses[name].to_dict()} for name, entry in models.items()},
        "worst": [entry.to_dict() for entry in examples],
    }
    pcks = {name: entry.pck for name, entry in models.items()}
    plot = bars = None
    with suppress(MissingExtra):  # plots are optional: metrics.json has the same numbers
        plot, bars = pck_curves(pcks), joint_bars(pcks, joints)
    sections = [
        paragraph(definition_line(first)),
        *(paragraph(line) for line in given_boxes(models)),
        table(metric_rows(models), ("", *models)),
        heading("Joints"),
        paragraph(f"{name_of(first.pck)}, in percent."),
        table(joint_comparison(models), ("joint", "keypoints", "OKS sigma", *models)),
        *([image(bars, "png", "PCK by joint")] if bars else []),
        *class_sections(models),
        *([heading("PCK curves"), image(plot, "png", "PCK by threshold")] if plot else []),
        *diagnosis_sections(diagnoses),
        paragraph(f"Each row of the images below shows one instance, from left to right: {', '.join(models)}."),
    ]
    captions = [entry.caption for entry in examples]
    return write_files(folder, content, plot, sheet(models, examples), captions, title_of(about), sections)


def metric_rows(models: Models) -> list[tuple[str, ...]]:
    """Returns a row for each metric of any model, with a cell for each model."""
    columns = {name: headline(entry) for name, entry in models.items()}
    order = max(columns.values(), key=len)
    names = [*order, *(metric for column in columns.values() for metric in column if metric not in order)]
    return [(metric, *(column.get(metric, "-") for column in columns.values())) for metric in dict.fromkeys(names)]


def joint_comparison(models: Models) -> list[tuple[str, ...]]:
    """Returns a row for each joint: (joint, labeled keypoints, sigma, PCK of each model)."""
    first = next(iter(models.values()))
    skeleton, values = first.labels.skeleton, zip(*(entry.pck.per_joint for entry in models.values()), strict=True)
    rows = zip(skeleton.joints, first.pck.counts, skeleton.sigmas, values, strict=True)
    return [
        (joint, str(n), f"{sigma:.3f}", *(number(float(value)) for value in each)) for joint, n, sigma, each in rows
    ]


def class_comparison(models: Models) -> list[tuple[str, ...]]:
    """Returns a row for each class: (class, labeled instances, OKS AP / PCK of each model); none without classes."""
    results = {name: {each.name: each for each in entry.classes} for name, entry in models.items()}
    instances = {each.name: each.instances for entry in models.values() for each in entry.classes}
    rows = []
    for name, count in instances.items():
        cells = [
            f"{number(own[name].ap)} / {number(own[name].pck)}" if name in own else "-" for own in results.values()
        ]
        rows.append((name, str(count), *cells))
    return rows


def class_sections(models: Models) -> list[str]:
    """Returns HTML sections with the metrics of each class; none without classes."""
    rows = class_comparison(models)
    if not rows:
        return []
    return [
        heading("Classes"),
        paragraph("OKS AP / PCK in percent."),
        table(rows, ("class", "labeled instances", *models)),
    ]


def given_boxes(models: Models) -> list[str]:
    """Returns a warning if some models get the annotated bounding boxes as input and others do not."""
    given = [name for name, entry in models.items() if TASKS[entry.task].given_boxes]
    if not given or len(given) == len(models):
        return []
    verb = "gets" if len(given) == 1 else "get"
    return [f"Not the same task: {', '.join(given)} {verb} the annotated bounding boxes as input."]


def example_instances(models: Models, count: int = MAX_EXAMPLES) -> list[Example]:
    """Returns the instances with the largest mean error over all models, then those whose errors differ most."""
    first = next(iter(models.values()))
    errors = np.stack([instance_errors(entry) for entry in models.values()])  # (M, N)
    measured = np.flatnonzero(np.isfinite(errors).all(axis=0))
    worst = measured[np.argsort(-errors[:, measured].mean(axis=0), kind="stable")[:count]]
    others = np.setdiff1d(measured, worst)
    spread = np.ptp(errors[:, others], axis=0)
    differ = others[np.argsort(-spread, kind="stable")[:count]]
    differ = differ[np.ptp(errors[:, differ], axis=0) > 0]
    return [
        Example(
            row=int(row),
            image=first.labels.images[first.pairs.images[row]].path.name,
            reason=reason,
            errors={name: float(value) for name, value in zip(models, errors[:, row], strict=True)},
        )
        for rows, reason in ((worst, "worst"), (differ, "most different"))
        for row in rows
    ]


def sheet(models: Models, examples: list[Example]) -> NDArray[np.uint8]:
    """Returns (H, W, 3) a numbered row of tiles for each instance, a tile for each model."""
    tiles = [
        tile(evaluation, entry.row, "" if column else str(number))
        for number, entry in enumerate(examples, start=1)
        for column, evaluation in enumerate(models.values())
    ]
    return compose_sheet(tiles, columns=len(models))


def check_same_labels(models: Models) -> None:
    """Raises LabelError if the evaluations differ in images, joints or reference length."""
    first, *others = models.values()
    for entry in others:
        if [image.path for image in entry.labels] != [image.path for image in first.labels]:
            raise LabelError("models can be compared on the same images only")
        if entry.labels.skeleton.joints != first.labels.skeleton.joints or entry.pck.protocol != first.pck.protocol:
            raise LabelError("models can be compared on the same joints, under the same protocol only")
