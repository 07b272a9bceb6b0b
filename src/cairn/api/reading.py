"""Options of labels that several verbs take, and the splits that they use where none is given."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cairn.api.settings import optional_path
from cairn.errors import CairnError

if TYPE_CHECKING:
    from cairn.datasets.formats import ReadOptions
    from cairn.datasets.labels import Labels

log = logging.getLogger(__name__)


def read_options(
    images: str | Path | None = None,
    split: str | None = None,
    confidence: float | None = None,
    category: str | None = None,
    **others: Any,
) -> ReadOptions:
    """Returns the options of a reader.

    Args:
        images: Folder of the images.
        split: Split to read: train, val or test; None reads all.
        confidence: Minimum confidence at which a predicted keypoint counts as labeled; None is the default.
        category: Name of the category to read; None reads all.
        others: Other options of `ReadOptions`.

    Raises:
        CairnError: A value is impossible.
    """
    from cairn.datasets.formats import ReadOptions
    from cairn.datasets.formats.format import MIN_CONFIDENCE

    check_label_values(split, confidence)
    least = MIN_CONFIDENCE if confidence is None else confidence
    return ReadOptions(optional_path(images), split=split, confidence=least, category=category, **others)


def check_label_values(split: str | None, confidence: float | None) -> None:
    """Raises CairnError for a split that does not exist, or a confidence that is none."""
    from cairn.datasets.labels import SPLITS

    if split not in (None, *SPLITS):
        raise CairnError(f"split must be {', '.join(SPLITS[:-1])} or {SPLITS[-1]}, got {split!r}")
    if confidence is not None and not 0 <= confidence <= 1:
        raise CairnError(f"confidence must be from 0 to 1, got {confidence:g}")


def evaluation_labels(labels: Labels, source: str | Path) -> Labels:
    """Returns the images to measure on where no split is given: val, otherwise test, otherwise all; logs which.

    Raises:
        LabelError: The split has no annotated instance.
    """
    from cairn.datasets.splits import first_split, split_counts

    selected, name = first_split(labels, ("val", "test"), source)
    if len(labels.splits) > 1 or (labels.splits and name is None):
        log.info("%s has %s: using %s", source, split_counts(labels), name or "all of them")
    return selected


def teaching_labels(labels: Labels, source: str | Path) -> tuple[Labels, Labels | None]:
    """Returns the images to fit to, and those of val, if labels have train and val; never test. Logs which.

    Raises:
        LabelError: There are only images of the split test.
    """
    from cairn.datasets.splits import split_counts, training_splits, without_test

    fit, held_out = (
        training_splits(labels, source) if "train" in labels.splits else (without_test(labels, source), None)
    )
    if len(labels.splits) > 1:
        used = "train and val" if held_out is not None else " and ".join(fit.splits)
        log.info("%s has %s: using %s", source, split_counts(labels), used)
    return fit, held_out


def calibration_labels(labels: Labels, source: str | Path) -> Labels:
    """Returns the images of all splits but test; logs it where that skips some.

    Raises:
        LabelError: There are only images of the split test.
    """
    from cairn.datasets.splits import split_counts, without_test

    kept = without_test(labels, source)
    if len(kept) < len(labels):
        log.info("%s has %s: test is not used", source, split_counts(labels))
    return kept
