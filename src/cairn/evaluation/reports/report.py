"""An evaluation for people and programs: metrics.json, a plot, the worst images, and one page with all of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.errors import MissingExtra, OutputError
from cairn.evaluation.evaluate import Evaluation
from cairn.evaluation.metrics.summary import (
    NME,
    headline,
    joint_rows,
    meaning_of,
    meaning_of_error,
    metrics,
    name_of,
    parts,
)
from cairn.evaluation.reports.diagnosis import Diagnosis, diagnose, diagnosis_sections
from cairn.evaluation.reports.plots import joint_bars, pck_plot
from cairn.evaluation.reports.worst import worst_objects, worst_sheet
from cairn.files import atomic_write, ensure_writable_folder
from cairn.media.images import write_image
from cairn.visualization.page import heading, image, numbered, page, paragraph, table

FILES = ("metrics.json", "pck.png", "worst.jpg", "report.html")


def write_report(
    evaluation: Evaluation, folder: Path, about: Mapping[str, Any], diagnosis: Diagnosis | None = None
) -> list[Path]:
    """Writes FILES into the folder, pck.png where there is a matplotlib, and returns what was written.

    about      what stands at the head of metrics.json and of the page: names of the model and of the labels
    diagnosis  of this evaluation; None makes it
    Raises OutputError where the folder cannot be written to, or has one of FILES already.
    """
    free_of_reports(folder)
    diagnosis = diagnosis or diagnose(evaluation)
    pck, worst = evaluation.pck, worst_objects(evaluation)
    figures = {**about, **metrics(evaluation), **diagnosis.to_dict(), "worst": [entry.to_dict() for entry in worst]}
    joints = parts(evaluation.labels.skeleton)
    plot = bars = None
    with suppress(MissingExtra):  # a plot is no reason to install anything: the figures are all in metrics.json
        plot, bars = pck_plot(pck, joints), joint_bars({"": pck}, joints)
    sections = [
        paragraph(meaning_line(evaluation)),
        table(list(headline(evaluation).items())),
        heading("Joints"),
        table(joint_rows(evaluation), ("joint", "keypoints", name_of(pck), NME, "OKS sigma")),
        *([image(bars, "png", "PCK by joint")] if bars else []),
        *([heading("Curve"), image(plot, "png", "PCK by threshold")] if plot else []),
        *diagnosis_sections({"": diagnosis}),
    ]
    captions = [entry.caption for entry in worst]
    return write_files(folder, figures, plot, worst_sheet(evaluation, worst), captions, title_of(about), sections)


def write_files(
    folder: Path,
    figures: Mapping[str, Any],
    plot: bytes | None,
    sheet: NDArray[np.uint8],
    captions: list[str],
    title: str,
    sections: list[str],
) -> list[Path]:
    """FILES from their parts, and which were written; the sheet and its captions end the page."""
    written = [folder / "metrics.json"]
    with atomic_write(written[0]) as path:
        path.write_text(json.dumps(figures, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    if plot:
        written.append(folder / "pck.png")
        with atomic_write(written[-1]) as path:
            path.write_bytes(plot)
    written.append(folder / "worst.jpg")
    write_image(written[-1], sheet)
    shown = [
        heading("Worst objects"),
        paragraph("Colors: what was found. White rings: the labels, with a red line to what was found for them."),
        image(written[-1].read_bytes(), "jpeg", "the worst objects"),
        numbered(captions),
    ]
    written.append(folder / "report.html")
    with atomic_write(written[-1]) as path:
        path.write_text(page(title, [*sections, *shown]), encoding="utf-8")
    return written


def free_of_reports(folder: Path) -> Path:
    """The folder, made and writable. Raises OutputError where it is not, or an earlier report lies there."""
    taken = [name for name in FILES if (folder / name).exists()]
    if taken:
        raise OutputError(f"{folder / taken[0]} is there already: give another folder with --out")
    return ensure_writable_folder(folder)


def title_of(about: Mapping[str, Any]) -> str:
    return " on ".join(str(value) for value in about.values())


def meaning_line(evaluation: Evaluation) -> str:
    """How much the figures stand on, and what they mean."""
    return (
        f"{len(evaluation.labels)} images, {len(evaluation.pairs.truth)} labeled objects. "
        f"{name_of(evaluation.pck)}: {meaning_of(evaluation.pck)}. {NME}: {meaning_of_error(evaluation.error)}."
    )
