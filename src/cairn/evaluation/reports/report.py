"""The report of an evaluation: metrics.json, a PCK plot, an image of the worst instances, and an HTML page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.errors import MissingExtra
from cairn.evaluation.evaluate import Evaluation
from cairn.evaluation.metrics.summary import (
    NME,
    VISIBILITY_AUC,
    class_rows,
    definition_of,
    definition_of_classes,
    definition_of_nme,
    definition_of_visibility,
    headline,
    joint_rows,
    metrics,
    name_of,
    parts,
)
from cairn.evaluation.reports.diagnosis import Diagnosis, diagnose, diagnosis_sections
from cairn.evaluation.reports.plots import joint_bars, pck_plot
from cairn.evaluation.reports.worst import worst_instances, worst_sheet
from cairn.files import atomic_write, ensure_unused_names
from cairn.media.images import write_image
from cairn.visualization.page import heading, image, numbered, page, paragraph, table

FILES = ("metrics.json", "pck.png", "worst.jpg", "report.html")
"""The files of a report; pck.png is written if matplotlib is installed."""


def write_report(
    evaluation: Evaluation, folder: Path, about: Mapping[str, Any], diagnosis: Diagnosis | None = None
) -> list[Path]:
    """Writes FILES into the folder and returns the paths of the written files.

    Args:
        evaluation: The evaluation to report.
        folder: Created if it does not exist.
        about: First entries of metrics.json and title of the page: the names of the model and of the labels.
        diagnosis: The diagnosis of this evaluation; None computes it.

    Raises:
        OutputError: The folder cannot be written to, or contains one of FILES.
    """
    prepare_report_folder(folder)
    diagnosis = diagnosis or diagnose(evaluation)
    pck, worst = evaluation.pck, worst_instances(evaluation)
    content = {**about, **metrics(evaluation), **diagnosis.to_dict(), "worst": [entry.to_dict() for entry in worst]}
    joints = parts(evaluation.labels.skeleton)
    plot = bars = None
    with suppress(MissingExtra):  # plots are optional: metrics.json has the same numbers
        plot, bars = pck_plot(pck, joints), joint_bars({"": pck}, joints)
    sections = [
        paragraph(definition_line(evaluation)),
        table(list(headline(evaluation).items())),
        heading("Joints"),
        table(joint_rows(evaluation), ("joint", "keypoints", name_of(pck), NME, "OKS sigma")),
        *class_sections(evaluation),
        *([image(bars, "png", "PCK by joint")] if bars else []),
        *([heading("PCK curve"), image(plot, "png", "PCK by threshold")] if plot else []),
        *diagnosis_sections({"": diagnosis}),
    ]
    captions = [entry.caption for entry in worst]
    return write_files(folder, content, plot, worst_sheet(evaluation, worst), captions, title_of(about), sections)


def class_sections(evaluation: Evaluation) -> list[str]:
    """Returns HTML sections with the metrics of each class; none where there is one class."""
    if not evaluation.classes:
        return []
    columns = ("class", "labeled instances", "OKS AP", name_of(evaluation.pck))
    return [heading("Classes"), table(class_rows(evaluation), columns)]


def write_files(
    folder: Path,
    content: Mapping[str, Any],
    plot: bytes | None,
    sheet: NDArray[np.uint8],
    captions: list[str],
    title: str,
    sections: list[str],
) -> list[Path]:
    """Writes FILES from their contents and returns the paths of the written files.

    Args:
        folder: An existing folder.
        content: Content of metrics.json.
        plot: Content of pck.png; None writes none.
        sheet: (H, W, 3) content of worst.jpg; it ends the page, followed by the captions.
        captions: One per worst instance.
        title: Title of the page.
        sections: HTML sections of the page.
    """
    written = [folder / "metrics.json"]
    with atomic_write(written[0]) as path:
        path.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    if plot:
        written.append(folder / "pck.png")
        with atomic_write(written[-1]) as path:
            path.write_bytes(plot)
    written.append(folder / "worst.jpg")
    write_image(written[-1], sheet)
    worst = [
        heading("Worst instances"),
        paragraph("Colors: predictions. White rings: labels; a red line connects each label with its prediction."),
        image(written[-1].read_bytes(), "jpeg", "the worst instances"),
        numbered(captions),
    ]
    written.append(folder / "report.html")
    with atomic_write(written[-1]) as path:
        path.write_text(page(title, [*sections, *worst]), encoding="utf-8")
    return written


def prepare_report_folder(folder: Path) -> Path:
    """Creates the folder if needed and returns it.

    Raises:
        OutputError: The folder cannot be written to, or contains an earlier report.
    """
    return ensure_unused_names(folder, FILES)


def title_of(about: Mapping[str, Any]) -> str:
    """Returns the title of the page: `MODEL on LABELS`."""
    return " on ".join(str(value) for value in about.values())


def definition_line(evaluation: Evaluation) -> str:
    """Returns the size of the data set, the definitions of PCK, NME and visibility, and how classes enter."""
    classes, visibility = definition_of_classes(evaluation), evaluation.visibility
    return (
        f"{len(evaluation.labels)} images, {len(evaluation.pairs.ground_truth)} labeled instances. "
        f"{name_of(evaluation.pck)}: {definition_of(evaluation.pck)}. {NME}: {definition_of_nme(evaluation.error)}."
        + (f" Classes: {classes}." if classes else "")
        + (f" {VISIBILITY_AUC}: {definition_of_visibility(visibility)}." if visibility is not None else "")
    )
