"""Checks of the classes: number of instances, and classes that only some of the sets have."""

from __future__ import annotations

from collections.abc import Mapping

from cairn.datasets.checks.findings import Finding, examples
from cairn.datasets.checks.joint_checks import MIN_LABELS
from cairn.datasets.classes import class_counts, class_names
from cairn.datasets.labels import Labels
from cairn.wording import counted


def check_classes(sets: Mapping[str, Labels]) -> list[Finding]:
    """Returns findings about classes with few instances, and about classes that are not in every set or split.

    Args:
        sets: Labels by name; the first is the training set.
    """
    names = class_names(sets.values())
    if not names:
        return []
    findings = []
    first, labels = next(iter(sets.items()))
    few = {name: number for name, number in instances(labels).items() if 0 < number < MIN_LABELS}
    if few:
        lines = [f"{name} ({number})" for name, number in few.items()]
        line = f"{first}: fewer than {MIN_LABELS} instances of class {examples(lines, ', ', 8)}"
        cases = tuple({"class": name, "instances": number} for name, number in few.items())
        findings.append(Finding("warning", "few_instances", line, cases))
    parts = _splits(sets)
    without = [name for name, part in parts.items() if not part.classes and len(parts) > 1]
    if without:
        line = f"{examples(without)}: no classes, while other sets have {examples(names, ', ', 8)}"
        findings.append(Finding("warning", "no_classes", line, tuple({"set": name} for name in without)))
    numbers = {part: instances(labels) for part, labels in parts.items() if part not in without}
    for name in names if len(numbers) > 1 else ():
        here = {part: own.get(name, 0) for part, own in numbers.items()}
        absent = [part for part, number in here.items() if not number]
        present = [f"{counted(number, 'instance')} in {part}" for part, number in here.items() if number]
        if absent and present:
            line = f"class {name}: none in {examples(absent)}, {examples(present)}"
            findings.append(Finding("warning", "class_in_one_split", line, ({"class": name, "instances": here},)))
    return findings


def instances(labels: Labels) -> dict[str, int]:
    """Returns the number of labeled instances of each class by name."""
    return dict(zip(labels.classes, class_counts(labels).tolist(), strict=True))


def class_rows(sets: Mapping[str, Labels]) -> list[tuple[str, ...]]:
    """Returns a row for each class: (class, number of labeled instances in each set); none where there is one class."""
    columns = [instances(labels) for labels in sets.values()]
    return [(name, *(str(column.get(name, 0)) for column in columns)) for name in class_names(sets.values())]


def _splits(sets: Mapping[str, Labels]) -> dict[str, Labels]:
    """The sets by name, each with several splits divided into these."""
    parts: dict[str, Labels] = {}
    for name, labels in sets.items():
        splits = labels.splits
        if len(splits) > 1:
            parts |= {f"{split} of {name}": labels.of_split(split) for split in splits}
        else:
            parts[name] = labels
    return parts
