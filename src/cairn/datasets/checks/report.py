"""A check for people and programs: check.json, sheets of examples and suspects, and one page with all of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.checks.findings import Check, joint_counts
from cairn.datasets.checks.sheet import MOST, example_sheet, suspect_sheet
from cairn.datasets.labels import Labels
from cairn.errors import OutputError
from cairn.files import atomic_write, ensure_writable_folder
from cairn.media.images import write_image
from cairn.visualization.page import heading, image, numbered, page, paragraph, table

FILES = ("check.json", "examples.jpg", "suspects.jpg", "check.html")

VERDICTS = (
    "Training may start: nothing speaks against it.",
    "Training may start, but look at this first.",
    "Training cannot start.",
)
"""By the check's status."""

LEVELS = {"stop": "STOP", "look": "look", "note": "note"}
LISTED = 50  # suspects on the page


def write_check(check: Check, folder: Path) -> list[Path]:
    """Writes FILES into the folder, suspects.jpg where there are any, and returns what was written.

    Raises OutputError where the folder cannot be written to, or has one of FILES already.
    """
    free_of_checks(folder)
    written = [folder / "check.json", folder / "examples.jpg"]
    with atomic_write(written[0]) as path:
        path.write_text(json.dumps(content(check), indent=2) + "\n", encoding="utf-8")
    write_image(written[1], example_sheet(check))
    sections = [
        paragraph(VERDICTS[check.status]),
        table(finding_rows(check), ("", "what was found")),
        heading("Joints"),
        table(joint_rows(check), ("joint", *check.sets)),
        heading("Sizes"),
        table(size_rows(check), ("", *check.sets)),
    ]
    if check.suspects:
        written.append(folder / "suspects.jpg")
        write_image(written[-1], suspect_sheet(check))
        sections += [
            heading("Suspects"),
            paragraph(f"The joints in question are ringed; the first {MOST} are shown."),
            image(written[-1].read_bytes(), "jpeg", "suspects"),
            numbered([suspect.caption for suspect in check.suspects[:LISTED]]),
        ]
    sections += [heading("Examples"), image(written[1].read_bytes(), "jpeg", "examples")]
    written.append(folder / "check.html")
    with atomic_write(written[-1]) as path:
        path.write_text(page(" and ".join(check.sets), sections), encoding="utf-8")
    return written


def free_of_checks(folder: Path) -> Path:
    """The folder, made and writable. Raises OutputError where it is not, or an earlier check lies there."""
    taken = [name for name in FILES if (folder / name).exists()]
    if taken:
        raise OutputError(f"{folder / taken[0]} is there already: give another folder with --out")
    return ensure_writable_folder(folder)


def content(check: Check) -> dict[str, Any]:
    """All that was found, as JSON can say it."""
    skeleton = next(iter(check.sets.values())).skeleton
    return {
        "status": check.status,
        "verdict": VERDICTS[check.status],
        "skeleton": skeleton.to_dict(),
        "sets": {name: _figures(labels) for name, labels in check.sets.items()},
        "findings": [
            {"level": f.level, "kind": f.kind, "line": f.line, "cases": list(f.cases)} for f in check.findings
        ],
        "suspects": [suspect.to_dict() for suspect in check.suspects],
    }


def finding_rows(check: Check) -> list[tuple[str, str]]:
    return [(LEVELS[finding.level], finding.line) for finding in check.findings]


def joint_rows(check: Check) -> list[tuple[str, ...]]:
    """(joint, labels in each set), the hidden ones in brackets."""
    skeleton = next(iter(check.sets.values())).skeleton
    columns = [(joint_counts(labels), _hidden(labels)) for labels in check.sets.values()]
    return [
        (joint, *(f"{counts[k]}" + (f" ({hidden[k]} hidden)" if hidden[k] else "") for counts, hidden in columns))
        for k, joint in enumerate(skeleton.joints)
    ]


def size_rows(check: Check) -> list[tuple[str, ...]]:
    """(what, in each set)."""
    figures = [_figures(labels) for labels in check.sets.values()]

    def middle(values: list[float]) -> str:
        return f"{values[1]:.0f} ({values[0]:.0f} to {values[2]:.0f})" if values else "-"

    rows = {
        "images": [f"{f['images']}" for f in figures],
        "labeled objects": [f"{f['objects']}" for f in figures],
        "objects an image, at most": [f"{f['objects_a_image']}" for f in figures],
        "longer side of images: median (range)": [middle(f["image_side"]) for f in figures],
        "longer side of objects: median (5 to 95 %)": [middle(f["object_side"]) for f in figures],
    }
    return [(name, *values) for name, values in rows.items()]


def _figures(labels: Labels) -> dict[str, Any]:
    sides = np.array([max(p.size) for p in labels], dtype=np.float64)
    rows = [p.annotation[p.annotation.labeled] for p in labels]
    objects = np.concatenate([np.zeros(0), *(r.boxes[:, 2:].max(axis=1, initial=0) for r in rows)])
    return {
        "images": len(labels),
        "objects": len(objects),
        "objects_a_image": max((len(r) for r in rows), default=0),
        "joints": dict(zip(labels.skeleton.joints, joint_counts(labels).tolist(), strict=True)),
        "hidden": dict(zip(labels.skeleton.joints, _hidden(labels).tolist(), strict=True)),
        "image_side": np.quantile(sides, (0, 0.5, 1)).tolist() if len(sides) else [],
        "object_side": np.quantile(objects, (0.05, 0.5, 0.95)).round(1).tolist() if len(objects) else [],
    }


def _hidden(labels: Labels) -> NDArray[np.int64]:
    counts = np.zeros(len(labels.skeleton), np.int64)
    for labeled in labels:
        counts += (labeled.annotation.visibility == 1).sum(axis=0)
    return counts
