"""Why the figures are what they are: kinds of errors, what each costs, and what size has to do with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from cairn.errors import MissingExtra
from cairn.evaluation.evaluate import Evaluation
from cairn.evaluation.metrics.errors import BACKGROUND, GOOD, KINDS, NEAR, Breakdown, breakdown, repaired
from cairn.evaluation.metrics.sizes import SizeBin, by_size
from cairn.evaluation.metrics.summary import finite, number
from cairn.evaluation.reports.plots import breakdown_bars, size_plot
from cairn.visualization.page import heading, image, paragraph, table

MEANING = (
    f"A keypoint is good where its similarity to its label is {GOOD:g} at least, jitter from {NEAR:g} on; inversion: "
    "it is at the joint that changes places with it in a mirror; swap: at another object's; miss: at none of these, or "
    "not found; object missed: nothing was found of the whole object. False background: finds that are no labeled "
    "object (Ronchi and Perona, ICCV 2017)."
)


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """repaired  OKS AP in percent if one kind of errors had not been made; empty for a model without OKS"""

    breakdown: Breakdown
    repaired: dict[str, float]
    sizes: list[SizeBin]

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        bins = [finite(asdict(entry)) for entry in self.sizes]
        errors: dict[str, Any] = {
            "percent_of_keypoints": self.breakdown.shares,
            "background": self.breakdown.background,
        }
        if self.repaired:
            errors["ap_without"] = finite(self.repaired)
        return {"errors": errors, "by_size": bins}


def diagnose(evaluation: Evaluation) -> Diagnosis:
    return Diagnosis(breakdown(evaluation), repaired(evaluation), by_size(evaluation))


def error_rows(models: Mapping[str, Diagnosis]) -> list[tuple[str, ...]]:
    """A row for each kind of errors, a cell for each model: its share, and OKS AP without it where there is one."""
    rows = []
    for kind in KINDS:
        cells = [_with_ap(number(entry.breakdown.shares[kind]), entry, kind) for entry in models.values()]
        rows.append((f"{kind}, %", *cells))
    cells = [_with_ap(str(entry.breakdown.background), entry, BACKGROUND) for entry in models.values()]
    return [*rows, (f"{BACKGROUND}, finds", *cells)]


def size_rows(models: Mapping[str, Diagnosis]) -> list[tuple[str, ...]]:
    """A row for each size: its pixels, its objects, and each model's NME and PCK."""
    first = next(iter(models.values())).sizes
    rows = []
    for i, entry in enumerate(first):
        cells = [f"{number(m.sizes[i].error, 2)} / {number(m.sizes[i].pck)}" for m in models.values()]
        rows.append((entry.name, str(entry.objects), *cells))
    return rows


def diagnosis_sections(models: Mapping[str, Diagnosis]) -> list[str]:
    """HTML; plots only where there is a matplotlib."""
    names = list(models)
    meaning = MEANING
    if any(entry.repaired for entry in models.values()):
        meaning += " In brackets: OKS AP if such errors, and no others, had been put right."
    sections = [heading("Kinds of errors"), paragraph(meaning), table(error_rows(models), ("", *names))]
    after = [
        heading("Error against size"),
        paragraph("Longer side of the object's box in pixels; NME of what was found / PCK, in percent."),
        table(size_rows(models), ("pixels", "objects", *names)),
    ]
    try:
        sections.append(image(breakdown_bars({n: m.breakdown for n, m in models.items()}), "png", "kinds of errors"))
        after.append(image(size_plot({n: m.sizes for n, m in models.items()}), "png", "error against size"))
    except MissingExtra:  # a plot is no reason to install anything: the tables say the same
        pass
    return [*sections, *after]


def _with_ap(value: str, entry: Diagnosis, kind: str) -> str:
    return f"{value} ({number(entry.repaired[kind])})" if kind in entry.repaired else value
