"""Validation of labels before training: runs all checks and collects their findings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from cairn.datasets.checks.class_checks import check_classes
from cairn.datasets.checks.findings import LEVELS, Finding, examples
from cairn.datasets.checks.image_checks import check_images, check_keypoints
from cairn.datasets.checks.instance_checks import check_instances
from cairn.datasets.checks.joint_checks import check_joints
from cairn.datasets.checks.leakage import check_leakage
from cairn.datasets.checks.suspicious import SuspiciousAnnotation, suspicious_annotations
from cairn.datasets.labels import Labels
from cairn.datasets.similarity import Signatures, read_signatures
from cairn.wording import counted

SUSPICIOUS = {
    "swap": "with a possible left-right swap",
    "outlier": "with an outlier keypoint, far from its possible positions",
}
"""Kind of a suspicious annotation -> text of its finding."""


@dataclass(frozen=True, eq=False)
class Check:
    """The findings about one or several sets of labels.

    Attributes:
        sets: Labels of one skeleton by name; the first is the training set.
        signatures: Signatures of the images of each set.
        findings: Findings by decreasing level.
        suspicious: Annotations that may be wrong: swaps, then outliers, each by decreasing score.
    """

    sets: dict[str, Labels]
    signatures: dict[str, Signatures]
    findings: list[Finding] = field(default_factory=list)
    suspicious: list[SuspiciousAnnotation] = field(default_factory=list)

    @property
    def status(self) -> int:
        """0: no errors or warnings; 1: warnings, training can start; 2: errors, training cannot start."""
        levels = {finding.level for finding in self.findings}
        return 2 if "error" in levels else 1 if "warning" in levels else 0


def check(
    sets: Mapping[str, Labels],
    progress: Callable[[int], None] | None = None,
    skipped: Mapping[str, Sequence[str]] | None = None,
    comparing: Callable[[int, int], None] | None = None,
) -> Check:
    """Validates labels.

    Args:
        sets: Labels by name, in the joints of the first.
        progress: Called with the number of images that were read.
        skipped: Name of a set -> one line for each record that could not be read.
        comparing: Called with the number of steps of the comparison of instances that are done, and their total.
    """
    signatures, done = {}, 0
    for name, labels in sets.items():
        signatures[name] = read_signatures([image.path for image in labels], _from(done, progress))
        done += len(labels)
    result = Check(dict(sets), signatures)
    for name, lines in (skipped or {}).items():
        if lines:
            line = f"{name}: {counted(len(lines), 'record')} cannot be used: {examples(lines, '; ')}"
            result.findings.append(Finding("error", "record", line, tuple({"reason": reason} for reason in lines)))
    for name, labels in sets.items():
        result.findings.extend(check_images(name, labels, signatures[name]))
        result.findings.extend(check_keypoints(name, labels))
        result.findings.extend(check_instances(name, labels))
    names = list(sets)
    for i, first in enumerate(names):
        for second in names[i + 1 :]:
            pair = [(name, sets[name], signatures[name]) for name in (first, second)]
            result.findings.extend(check_leakage(*pair))
    result.findings.extend(check_joints(sets))
    result.findings.extend(check_classes(sets))
    result.suspicious.extend(suspicious_annotations(sets, comparing))
    for kind, text in SUSPICIOUS.items():
        annotations = [annotation for annotation in result.suspicious if annotation.kind == kind]
        if annotations:
            captions = [annotation.caption for annotation in annotations]
            line = f"{counted(len(annotations), 'instance')} {text}: {examples(captions, '; ')}"
            result.findings.append(Finding("warning", kind, line, tuple(a.to_dict() for a in annotations)))
    result.findings.sort(key=lambda finding: LEVELS.index(finding.level))
    return result


def _from(done: int, progress: Callable[[int], None] | None) -> Callable[[int], None] | None:
    """A progress callback that counts on from `done`."""
    return None if progress is None else lambda count: progress(done + count)
