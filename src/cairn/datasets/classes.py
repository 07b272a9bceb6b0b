"""The classes of labels: categories that share a skeleton."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.labels import Labels
from cairn.errors import LabelError

UNKNOWN = -1
"""Class of the instances of labels without classes, among labels that have some."""


def class_names(sets: Iterable[Labels]) -> tuple[str, ...]:
    """Returns the names of the classes of several labels, in the order of their first appearance."""
    return tuple(dict.fromkeys(name for labels in sets for name in labels.classes))


def in_classes(labels: Labels, names: Sequence[str]) -> Labels:
    """Returns labels with the classes of `names`, matched by name.

    Args:
        labels: The labels. Where they have no classes, those of their instances are `UNKNOWN`.
        names: Names of the classes; empty returns the labels without classes.

    Raises:
        LabelError: A class of the labels is not among the names.
    """
    names = tuple(names)
    if names == labels.classes and all((image.annotation.classes is None) != bool(names) for image in labels):
        return labels
    if missing := [name for name in labels.classes if names and name not in names]:
        raise LabelError(f"class {missing[0]} of the labels is none of {', '.join(names)}")
    index = np.array([names.index(name) if names else UNKNOWN for name in labels.classes], np.int64)
    images = []
    for image in labels:
        rows = image.annotation
        if not names:
            classes = None
        elif rows.classes is None or not labels.classes:
            classes = np.full(len(rows), UNKNOWN, np.int64)
        else:
            classes = np.where(rows.classes >= 0, index[rows.classes], UNKNOWN)
        images.append(replace(image, annotation=replace(rows, classes=classes)))
    return replace(labels, images=tuple(images), classes=names)


def class_counts(labels: Labels) -> NDArray[np.int64]:
    """Returns (C,) the number of labeled instances of each class."""
    counts = np.zeros(len(labels.classes), np.int64)
    for image in labels:
        if image.annotation.classes is not None:
            classes = image.annotation.classes[image.annotation.labeled]
            counts += np.bincount(classes[classes >= 0], minlength=len(counts))
    return counts
