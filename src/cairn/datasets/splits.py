"""Which images of labels with several splits are used: train for training, val for validation, test only on request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from cairn.datasets.formats import FORMATS
from cairn.datasets.labels import SPLITS, Labels
from cairn.errors import LabelError


def is_label_folder(path: Path, with_splits: bool = True) -> bool:
    """Returns whether a folder is in a format of labels, and not just one of images.

    Args:
        path: The folder.
        with_splits: Whether only formats with splits count (YOLO): others may lie in a folder of images (.cat, .pts).

    Raises:
        LabelError: It has a file of such a format that is damaged.
        MissingExtra: Detection needs a package that is not installed.
    """
    kinds = [known for known in FORMATS if known.splits and "" in known.suffixes] if with_splits else FORMATS
    return path.is_dir() and any(known.sniff(path) for known in kinds)


def split_counts(labels: Labels) -> str:
    """Returns the splits with their numbers of images, such as `train (8 images), val (4) and test (3)`."""
    counts = [(name, len(labels.of_split(name))) for name in labels.splits]
    if not counts:
        return "no splits"
    if loose := sum(image.split is None for image in labels):
        counts.append(("no split", loose))
    (first, number), *others = counts
    parts = [f"{first} ({number} image{'' if number == 1 else 's'})", *(f"{name} ({count})" for name, count in others)]
    return " and ".join(filter(None, [", ".join(parts[:-1]), parts[-1]]))


def split_of(labels: Labels, split: str, source: str | Path) -> Labels:
    """Returns the images of a split.

    Args:
        labels: Labels of all splits.
        split: Name of the split.
        source: The label file, for messages.

    Raises:
        LabelError: The labels do not have the split, or it has no annotated instance.
    """
    if split not in labels.splits:
        has = f"has {split_counts(labels)}" if labels.splits else "has no splits"
        raise LabelError(f"{source} {has}, got split {split}")
    selected = labels.of_split(split)
    if not any(image.annotation.labeled.any() for image in selected):
        raise LabelError(f"{source}: none of the {len(selected)} images of split {split} has an annotated instance")
    return selected


def training_splits(labels: Labels, source: str | Path, split: str | None = None) -> tuple[Labels, Labels | None]:
    """Returns the images to train on, and those to validate on; None where the labels have none of their own.

    Args:
        labels: Labels of all splits.
        source: The label file, for messages.
        split: Split to train on; None is train. Labels without splits are used whole then.

    Raises:
        LabelError: The labels do not have the split.
    """
    if split is None:
        if not labels.splits:
            return labels, None
        if "train" not in labels.splits:
            raise LabelError(
                f"{source} has no split train, only {split_counts(labels)}: choose the split to train on with --split"
            )
        split = "train"
    train = split_of(labels, split, source)
    return train, labels.of_split("val") if split != "val" and "val" in labels.splits else None


def first_split(labels: Labels, names: Sequence[str], source: str | Path) -> tuple[Labels, str | None]:
    """Returns the images of the first split that the labels have, and its name; all images, where they have none.

    Args:
        labels: Labels of all splits.
        names: Names of splits by preference.
        source: The label file, for messages.

    Raises:
        LabelError: The split has no annotated instance.
    """
    name = next((name for name in names if name in labels.splits), None)
    return (labels if name is None else split_of(labels, name, source)), name


def validation_split(labels: Labels, source: str | Path) -> tuple[Labels, str | None]:
    """Returns the images of labels that are given to validate on, and their split: val, or the only one.

    Raises:
        LabelError: The labels have several splits without val.
    """
    if len(labels.splits) > 1 and "val" not in labels.splits:
        raise LabelError(f"{source} has no split val to validate on, only {split_counts(labels)}: give other labels")
    return first_split(labels, ("val", *SPLITS), source)


def without_test(labels: Labels, source: str | Path) -> Labels:
    """Returns the images of all splits but test.

    Raises:
        LabelError: There are no others.
    """
    if "test" not in labels.splits:
        return labels
    rest = tuple(image for image in labels if image.split != "test")
    if not rest:
        raise LabelError(f"{source} has only images of the split test, which is kept for evaluation")
    return replace(labels, images=rest)
