"""The classes that a model learns: those of all training and validation labels, matched by name."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from cairn.datasets.classes import class_counts, class_names, in_classes
from cairn.datasets.labels import Labels
from cairn.training.recipe import LabelSource

log = logging.getLogger(__name__)


def with_shared_classes(
    sources: Sequence[tuple[Labels, LabelSource]], val: Sequence[Labels]
) -> tuple[list[tuple[Labels, LabelSource]], list[Labels]]:
    """Returns training and validation labels with the same classes, in the same order.

    The instances of labels without classes, beside labels that have some, train and measure the keypoints alone. Where
    no training labels have classes, those of the validation labels are ignored.

    Args:
        sources: Training labels with their sources.
        val: Validation labels.
    """
    trained = class_names(labels for labels, _ in sources)
    names = class_names([*(labels for labels, _ in sources), *val]) if trained else ()
    for labels, source in sources:
        if names and not labels.classes:
            log.warning("%s has no classes: its instances train the keypoints, not the classes", source.labels)
    if not trained and any(labels.classes for labels in val):
        log.warning("the training labels have one class, the validation labels several: their classes are ignored")
    shared = [(in_classes(labels, names), source) for labels, source in sources]
    if names:
        counts = sum(class_counts(labels) for labels, _ in shared)
        counted = dict(zip(names, counts.tolist(), strict=True))  # type: ignore[union-attr]  # there is a source
        log.info("classes of the training instances: %s", ", ".join(f"{name} {n}" for name, n in counted.items()))
        if absent := [name for name, n in counted.items() if not n]:
            log.warning("no training instance has class %s: the model will not predict it", ", ".join(absent))
    return shared, [in_classes(labels, names) for labels in val]
