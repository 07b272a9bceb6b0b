"""Diagnosis of an evaluation: error types, their cost in AP, and metrics by instance size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from cairn.errors import MissingExtra
from cairn.evaluation.evaluate import Evaluation
from cairn.evaluation.metrics.errors import (
    BACKGROUND,
    ERROR_TYPES,
    GOOD,
    NEAR,
    Breakdown,
    breakdown,
    corrected_ap,
)
from cairn.evaluation.metrics.sizes import SizeBin, by_size
from cairn.evaluation.metrics.summary import finite, number
from cairn.evaluation.reports.plots import breakdown_bars, size_plot
from cairn.visualization.page import heading, image, paragraph, table

EXPLANATION = (
    f"Good: the keypoint similarity to the label is at least {GOOD:g}. Jitter: at least {NEAR:g}. Inversion: the "
    "keypoint is at its left-right counterpart. Swap: it is at a keypoint of another instance. Miss: none of these, or "
    "not detected. False negative: the whole instance was not detected. Background false positive: a prediction that "
    "is paired with no labeled instance (Ronchi and Perona, ICCV 2017)."
)
CORRECTED = "In parentheses: OKS AP if only the errors of this type were corrected."


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """Where the errors of a model come from.

    Attributes:
        breakdown: The labeled keypoints by error type.
        corrected_ap: OKS AP in percent after correcting one error type, by type; empty for a model without OKS.
        sizes: PCK and NME by instance size.
    """

    breakdown: Breakdown
    corrected_ap: dict[str, float]
    sizes: list[SizeBin]

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values for JSON."""
        bins = [finite(asdict(entry)) for entry in self.sizes]
        errors: dict[str, Any] = {
            "percent_of_keypoints": self.breakdown.shares,
            "background_false_positives": self.breakdown.background,
        }
        if self.corrected_ap:
            errors["corrected_ap"] = finite(self.corrected_ap)
        return {"errors": errors, "by_size": bins}


def diagnose(evaluation: Evaluation) -> Diagnosis:
    """Returns the diagnosis of an evaluation."""
    return Diagnosis(breakdown(evaluation), corrected_ap(evaluation), by_size(evaluation))


def error_rows(models: Mapping[str, Diagnosis]) -> list[tuple[str, ...]]:
    """Returns a row for each error type with a cell for each model: its share, and the corrected OKS AP if known."""
    rows = []
    for name in ERROR_TYPES:
        cells = [_with_ap(number(entry.breakdown.shares[name]), entry, name) for entry in models.values()]
        rows.append((f"{name}, %", *cells))
    cells = [_with_ap(str(entry.breakdown.background), entry, BACKGROUND) for entry in models.values()]
    return [*rows, (f"{BACKGROUND}s", *cells)]


def size_rows(models: Mapping[str, Diagnosis]) -> list[tuple[str, ...]]:
    """Returns a row for each size: its range in pixels, its instances, and NME / PCK of each model."""
    first = next(iter(models.values())).sizes
    rows = []
    for i, entry in enumerate(first):
        cells = [f"{number(model.sizes[i].nme, 2)} / {number(model.sizes[i].pck)}" for model in models.values()]
        rows.append((entry.name, str(entry.instances), *cells))
    return rows


def diagnosis_sections(models: Mapping[str, Diagnosis]) -> list[str]:
    """Returns HTML sections; they have plots if matplotlib is installed."""
    names = list(models)
    explanation = EXPLANATION
    if any(entry.corrected_ap for entry in models.values()):
        explanation = f"{EXPLANATION} {CORRECTED}"
    types = [heading("Error types"), paragraph(explanation), table(error_rows(models), ("", *names))]
    sizes = [
        heading("Error by instance size"),
        paragraph("Longer side of the bounding box in pixels; NME of detected keypoints / PCK, in percent."),
        table(size_rows(models), ("pixels", "instances", *names)),
    ]
    try:
        types.append(image(breakdown_bars({n: m.breakdown for n, m in models.items()}), "png", "error types"))
        sizes.append(image(size_plot({n: m.sizes for n, m in models.items()}), "png", "error by instance size"))
    except MissingExtra:  # plots are optional: the tables have the same numbers
        pass
    return [*types, *sizes]


def _with_ap(value: str, entry: Diagnosis, name: str) -> str:
    return f"{value} ({number(entry.corrected_ap[name])})" if name in entry.corrected_ap else value
