"""The report of a check: check.json, sheets of examples and suspicious annotations, and an HTML page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from cairn.datasets.checks.check import Check
from cairn.datasets.checks.class_checks import class_rows
from cairn.datasets.checks.class_checks import instances as instances_of
from cairn.datasets.checks.findings import Level
from cairn.datasets.checks.joint_checks import joint_counts, occluded_counts
from cairn.datasets.checks.sheet import MAX_TILES, example_sheet, suspicious_sheet
from cairn.datasets.labels import Labels
from cairn.files import atomic_write, ensure_unused_names
from cairn.media.images import write_image
from cairn.visualization.page import heading, image, numbered, page, paragraph, table

FILES = ("check.json", "examples.jpg", "suspicious.jpg", "check.html")
"""The files of a report; suspicious.jpg is written if there are suspicious annotations."""

VERDICTS = (
    "No problems found: training can start.",
    "Training can start, but review these warnings first.",
    "Training cannot start: fix the errors first.",
)
"""By the status of the check."""

LEVELS: dict[Level, str] = {"error": "ERROR", "warning": "warning", "info": "info"}
MAX_LISTED = 50
"""Suspicious annotations that the page lists."""

MAX_CASES = 1000
"""Cases of a finding, and suspicious annotations, that check.json lists."""


def write_check(check: Check, folder: Path) -> list[Path]:
    """Writes FILES into the folder and returns the paths of the written files.

    Raises:
        OutputError: The folder cannot be written to, or contains one of FILES.
    """
    prepare_check_folder(folder)
    written = [folder / "check.json", folder / "examples.jpg"]
    with atomic_write(written[0]) as path:
        path.write_text(json.dumps(content(check), indent=2) + "\n", encoding="utf-8")
    write_image(written[1], example_sheet(check))
    classes = class_rows(check.sets)
    sections = [
        paragraph(VERDICTS[check.status]),
        table(finding_rows(check), ("", "finding")),
        heading("Joints"),
        table(joint_rows(check), ("joint", *check.sets)),
        *([heading("Classes"), table(classes, ("class", *check.sets))] if classes else []),
        heading("Sizes"),
        table(size_rows(check), ("", *check.sets)),
    ]
    if check.suspicious:
        written.append(folder / "suspicious.jpg")
        write_image(written[-1], suspicious_sheet(check))
        sections += [
            heading("Suspicious annotations"),
            paragraph(f"Rings mark the joints in question. The image has the first {MAX_TILES} annotations."),
            image(written[-1].read_bytes(), "jpeg", "suspicious annotations"),
            numbered([annotation.caption for annotation in check.suspicious[:MAX_LISTED]]),
        ]
    sections += [heading("Examples"), image(written[1].read_bytes(), "jpeg", "examples")]
    written.append(folder / "check.html")
    with atomic_write(written[-1]) as path:
        path.write_text(page(" and ".join(check.sets), sections), encoding="utf-8")
    return written


def prepare_check_folder(folder: Path) -> Path:
    """Creates the folder if needed and returns it.

    Raises:
        OutputError: The folder cannot be written to, or contains an earlier report.
    """
    return ensure_unused_names(folder, FILES)


def content(check: Check) -> dict[str, Any]:
    """Returns the content of check.json: of each finding the number of cases, and the first MAX_CASES of them."""
    skeleton = next(iter(check.sets.values())).skeleton
    return {
        "status": check.status,
        "verdict": VERDICTS[check.status],
        "skeleton": skeleton.to_dict(),
        "sets": {name: _statistics(labels) for name, labels in check.sets.items()},
        "findings": [
            {
                "level": entry.level,
                "kind": entry.kind,
                "line": entry.line,
                "count": len(entry.cases),
                "cases": list(entry.cases[:MAX_CASES]),
            }
            for entry in check.findings
        ],
        "suspicious_annotations": [annotation.to_dict() for annotation in check.suspicious[:MAX_CASES]],
    }


def finding_rows(check: Check) -> list[tuple[str, str]]:
    """Returns a row for each finding: (level, line)."""
    return [(LEVELS[finding.level], finding.line) for finding in check.findings]


def joint_rows(check: Check) -> list[tuple[str, ...]]:
    """Returns a row for each joint: (joint, number of labels in each set), occluded ones in parentheses."""
    skeleton = next(iter(check.sets.values())).skeleton
    columns = [(joint_counts(labels), occluded_counts(labels)) for labels in check.sets.values()]
    return [
        (
            joint,
            *(f"{counts[k]}" + (f" ({occluded[k]} occluded)" if occluded[k] else "") for counts, occluded in columns),
        )
        for k, joint in enumerate(skeleton.joints)
    ]


def size_rows(check: Check) -> list[tuple[str, ...]]:
    """Returns a row for each statistic: (name, value in each set)."""
    columns = [_statistics(labels) for labels in check.sets.values()]

    def median_and_range(values: list[float]) -> str:
        return f"{values[1]:.0f} ({values[0]:.0f} to {values[2]:.0f})" if values else "-"

    rows = {
        "images": [f"{column['images']}" for column in columns],
        "labeled instances": [f"{column['instances']}" for column in columns],
        "maximum instances per image": [f"{column['max_instances_per_image']}" for column in columns],
        "longer side of images: median (range)": [median_and_range(column["image_side"]) for column in columns],
        "longer side of instances: median (5 to 95 %)": [
            median_and_range(column["instance_side"]) for column in columns
        ],
    }
    return [(name, *values) for name, values in rows.items()]


def _statistics(labels: Labels) -> dict[str, Any]:
    """Counts and sizes (in pixels) of a set."""
    sides = np.array([max(image.size) for image in labels], dtype=np.float64)
    labeled = labels.instances[labels.instances.annotation.labeled]
    instances = labeled.annotation.boxes[:, 2:].max(axis=1, initial=0).astype(np.float64)
    return {
        "images": len(labels),
        "instances": len(instances),
        "max_instances_per_image": int(np.bincount(labeled.images).max(initial=0)),
        **({"classes": instances_of(labels)} if labels.classes else {}),
        "joints": dict(zip(labels.skeleton.joints, joint_counts(labels).tolist(), strict=True)),
        "occluded": dict(zip(labels.skeleton.joints, occluded_counts(labels).tolist(), strict=True)),
        "image_side": np.quantile(sides, (0, 0.5, 1)).tolist() if len(sides) else [],
        "instance_side": np.quantile(instances, (0.05, 0.5, 0.95)).round(1).tolist() if len(instances) else [],
    }
