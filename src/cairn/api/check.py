"""`cairn.check`: validates labels before training."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cairn.api.progress import Progress, counter, output_folder
from cairn.api.reading import read_options
from cairn.arguments import checked
from cairn.errors import LabelError
from cairn.wording import counted

if TYPE_CHECKING:
    from cairn.datasets.checks.check import Check
    from cairn.datasets.checks.findings import Finding
    from cairn.datasets.checks.suspicious import SuspiciousAnnotation
    from cairn.datasets.formats import ReadOptions
    from cairn.datasets.labels import Labels

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False, repr=False)
class CheckReport:
    """What `cairn.check` returns.

    Attributes:
        result: All findings, with the labels.
        folder: Folder with the report's files; None before they are written.
        files: The files that were written.
    """

    result: Check
    folder: Path | None = None
    files: tuple[Path, ...] = ()

    def __repr__(self) -> str:
        counts = f"{counted(len(self.findings), 'finding')}, {counted(len(self.suspects), 'suspicious instance')}"
        return f"CheckReport({' and '.join(self.result.sets)}: status {self.status}, {counts})"

    @property
    def status(self) -> int:
        """0: no problem; 1: problems to look at before training; 2: training cannot start."""
        return self.result.status

    @property
    def verdict(self) -> str:
        """The status in a sentence."""
        from cairn.datasets.checks.report import VERDICTS

        return VERDICTS[self.status]

    @property
    def findings(self) -> list[Finding]:
        """Findings, the most serious first: level, kind, one line, and all cases."""
        return self.result.findings

    @property
    def suspects(self) -> list[SuspiciousAnnotation]:
        """Instances that are suspected of left-right swaps or outliers."""
        return self.result.suspicious

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON values, as check.json has it; `findings` and `suspects` have all cases."""
        from cairn.datasets.checks.report import content

        return content(self.result)

    def save(self, folder: str | Path) -> CheckReport:
        """Writes check.json, check.html and sheets of examples, and returns the report with its folder.

        Args:
            folder: Folder for the files; created if it does not exist.

        Raises:
            OutputError: The folder cannot be written to, or holds a report.
        """
        from cairn.datasets.checks.report import write_check

        return replace(self, folder=Path(folder), files=tuple(write_check(self.result, Path(folder))))


@checked
def check(
    labels: str | Path | Iterable[str | Path],
    *,
    val: str | Path | None = None,
    images: str | Path | None = None,
    skeleton: str | None = None,
    split: str | None = None,
    confidence: float | None = None,
    category: str | None = None,
    out: str | Path | None = None,
    progress: Progress | None = None,
) -> CheckReport:
    """Validates labels before training: data leakage, left-right swaps, outliers, missing images, counts, sizes.

    Example:
        report = cairn.check("train.json", val="val.json")
        report.status, report.findings

    Args:
        labels: Labels, or a list of them: splits of one data set, the training split first.
        val: Labels to validate on; the same as another item of `labels`.
        images: Folder of the images. Default: images/ beside the labels, or their own folder.
        skeleton: Joints to check: name of a skeleton, or a .toml file. Default: the labels'.
        split: Split to check: train, val or test. Default: each split of a file as a set of its own.
        confidence: Minimum confidence at which a predicted keypoint counts as labeled, for labels that are
            predictions. Default: 0.5.
        category: Category to check, where the labels have several. Default: all with the same keypoints.
        out: Folder to write the report into. Default: none is written; see `CheckReport.save`.
        progress: Called with the task, the number of images done, and their total.

    Raises:
        LabelError: The labels cannot be read, or one file is given twice.
        OutputError: The folder cannot be written to, or holds a report.
    """
    from cairn.datasets.checks.report import prepare_check_folder

    files = [Path(labels)] if isinstance(labels, str | Path) else [Path(path) for path in labels]
    if not files:
        raise LabelError("no labels to check: give a file or folder of labels")
    files += [Path(val)] if val else []
    if len({file.resolve() for file in files}) < len(files):
        raise LabelError("a label file is given twice: each of its images would be in both splits")
    read = _read(files, read_options(images, split, confidence, category), skeleton)
    if out is None:
        return _checked(*read, progress)
    with output_folder(Path(out), prepare_check_folder):
        return _checked(*read, progress).save(out)


def _read(files: list[Path], options: ReadOptions, skeleton: str | None) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """Returns labels by the names of the files, or of their splits where they have several; and skipped records."""
    from cairn.datasets.problems import Problems
    from cairn.datasets.reading import read_labels
    from cairn.structures.skeleton import load_skeleton

    joints = load_skeleton(skeleton) if skeleton else None
    sets: dict[str, Any] = {}
    skipped: dict[str, list[str]] = {}
    names = [file.name or file.resolve().name for file in files]
    for file, own_name in zip(files, names, strict=True):
        name = str(file) if names.count(own_name) > 1 else own_name
        problems = Problems(skip=True)
        labels = read_labels(file, replace(options, skeleton=joints, missing_ok=True, problems=problems))
        sets.update(_by_split(name, labels))
        skipped[name] = problems.skipped
        joints = joints or labels.skeleton
    return sets, skipped


def _by_split(name: str, labels: Labels) -> dict[str, Labels]:
    """Returns the splits of labels as sets of their own, if there are several; logs them."""
    from cairn.datasets.splits import split_counts

    if len(labels.splits) < 2:
        return {name: labels}
    log.info("%s has %s: checked as separate sets", name, split_counts(labels))
    sets = {f"{name} {split}": labels.of_split(split) for split in labels.splits}
    if loose := tuple(image for image in labels if image.split is None):
        sets[f"{name} without split"] = replace(labels, images=loose)
    return sets


def _checked(sets: dict[str, Any], skipped: dict[str, list[str]], progress: Progress | None) -> CheckReport:
    from cairn.datasets.checks.check import check as find

    reading = counter(progress, "reading", sum(map(len, sets.values())))
    comparing = None if progress is None else partial(progress, "comparing")
    return CheckReport(find(sets, reading, skipped, comparing))
