"""What `cairn.evaluate` returns: the metrics of one model, or of several on the same labels."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cairn.wording import counted

if TYPE_CHECKING:
    from cairn.evaluation.evaluate import Evaluation
    from cairn.evaluation.reports.diagnosis import Diagnosis


@dataclass(frozen=True, eq=False, repr=False)
class Report:
    """Metrics of one model on labeled images.

    Example:
        report = cairn.evaluate("person", "labels.json")
        report.metrics["AP"]
        report.save("report/")

    Attributes:
        name: Name of the model.
        labels: The labels, as given.
        evaluation: Predictions, ground truth and all metrics as arrays.
        diagnosis: Kinds of errors and metrics by instance size.
        folder: Folder with the report's files; None before they are written.
        files: The files that were written.
    """

    name: str
    labels: str
    evaluation: Evaluation
    diagnosis: Diagnosis
    folder: Path | None = None
    files: tuple[Path, ...] = ()

    def __repr__(self) -> str:
        values = ", ".join(f"{name} {value:.1f}" for name, value in _main(self.metrics).items())
        return f"Report({self.name} on {self.labels}: {values}, {counted(len(self.evaluation.labels), 'image')})"

    @property
    def metrics(self) -> dict[str, float]:
        """The main metrics by name, in percent, where defined.

        They are OKS AP and AR, PCK, AUC, NME, class accuracy and the AUC of visibility.
        """
        from cairn.evaluation.metrics.summary import name_of

        evaluation = self.evaluation
        metrics = dict(evaluation.oks or {})
        if evaluation.ap is not None:
            metrics["mAP"] = float(evaluation.ap.value)
        metrics[name_of(evaluation.pck)] = float(evaluation.pck.value)
        metrics |= {"AUC": float(evaluation.pck.area), "NME": float(evaluation.error.value)}
        if evaluation.classes:
            metrics["class accuracy"] = evaluation.class_accuracy
        if evaluation.visibility is not None:
            metrics["visibility AUC"] = evaluation.visibility.auc
        return {name: value for name, value in metrics.items() if math.isfinite(value)}

    @property
    def per_class(self) -> list[dict[str, Any]]:
        """A row for each class: its name, the number of labeled instances, OKS AP and PCK in percent.

        Empty where the labels or the model have one class.
        """
        return [
            {"class": each.name, "instances": each.instances, "ap": each.ap, "pck": each.pck}
            for each in self.evaluation.classes
        ]

    @property
    def per_keypoint(self) -> list[dict[str, Any]]:
        """A row for each keypoint: its name, the number of labels, PCK and NME in percent, and the OKS sigma."""
        evaluation, skeleton = self.evaluation, self.evaluation.labels.skeleton
        pck, error = evaluation.pck, evaluation.error
        columns = zip(skeleton.joints, pck.counts, pck.per_joint, error.per_joint, skeleton.sigmas, strict=True)
        return [
            {"keypoint": joint, "labels": int(count), "pck": float(share), "nme": float(distance), "sigma": sigma}
            for joint, count, share, distance, sigma in columns
        ]

    def to_dict(self) -> dict[str, Any]:
        """All metrics as JSON values, as metrics.json has them."""
        from cairn.evaluation.metrics.summary import metrics

        return {
            "model": self.name,
            "labels": self.labels,
            **metrics(self.evaluation),
            **self.diagnosis.to_dict(),
        }

    def save(self, folder: str | Path) -> Report:
        """Writes metrics.json, pck.png, worst.jpg and report.html, and returns the report with its folder.

        Args:
            folder: Folder for the files; created if it does not exist.

        Raises:
            OutputError: The folder cannot be written to, or holds a report.
        """
        from dataclasses import replace

        from cairn.evaluation.reports.report import write_report

        about = {"model": self.name, "labels": self.labels}
        files = write_report(self.evaluation, Path(folder), about, self.diagnosis)
        return replace(self, folder=Path(folder), files=tuple(files))


@dataclass(frozen=True, eq=False, repr=False)
class Comparison(Mapping[str, Report]):
    """Reports of several models on the same labels, by the names of the models.

    Attributes:
        reports: The reports by name.
        labels: The labels, as given.
        folder: Folder with the comparison's files; None before they are written.
        files: The files that were written.
    """

    reports: Mapping[str, Report]
    labels: str
    folder: Path | None = None
    files: tuple[Path, ...] = ()

    def __getitem__(self, name: str) -> Report:
        return self.reports[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.reports)

    def __len__(self) -> int:
        return len(self.reports)

    def __repr__(self) -> str:
        values = "; ".join(
            f"{name} " + ", ".join(f"{metric} {value:.1f}" for metric, value in _main(report.metrics).items())
            for name, report in self.reports.items()
        )
        return f"Comparison(on {self.labels}: {values})"

    @property
    def metrics(self) -> dict[str, dict[str, float]]:
        """The main metrics of each model."""
        return {name: report.metrics for name, report in self.reports.items()}

    @property
    def evaluations(self) -> dict[str, Evaluation]:
        """The evaluation of each model."""
        return {name: report.evaluation for name, report in self.reports.items()}

    @property
    def diagnoses(self) -> dict[str, Diagnosis]:
        """The diagnosis of each model."""
        return {name: report.diagnosis for name, report in self.reports.items()}

    def to_dict(self) -> dict[str, Any]:
        """All metrics of all models as JSON values."""
        return {"labels": self.labels, "models": {name: report.to_dict() for name, report in self.reports.items()}}

    def save(self, folder: str | Path) -> Comparison:
        """Writes metrics.json, pck.png, worst.jpg and report.html, and returns the comparison with its folder.

        Args:
            folder: Folder for the files; created if it does not exist.

        Raises:
            OutputError: The folder cannot be written to, or holds a report.
        """
        from dataclasses import replace

        from cairn.evaluation.reports.compare import write_comparison

        about = {"compared": ", ".join(self.reports), "labels": self.labels}
        files = write_comparison(self.evaluations, self.diagnoses, Path(folder), about)
        return replace(self, folder=Path(folder), files=tuple(files))


def _main(metrics: Mapping[str, float]) -> dict[str, float]:
    """AP where the model has it, and PCK."""
    return {name: value for name, value in metrics.items() if name == "AP" or name.startswith("PCK")}
