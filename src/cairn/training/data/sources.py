"""Training and validation labels of a recipe.

Labels with splits are trained on by train and validated on by val. Without a validation set, a share of the training
labels is held out.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from cairn.datasets.checks.sanity import check_before_use
from cairn.datasets.formats import ReadOptions
from cairn.datasets.labels import Labels
from cairn.datasets.limbs import infer_limbs
from cairn.datasets.problems import Problems
from cairn.datasets.reading import read_labels
from cairn.datasets.split import read_split, split, write_split
from cairn.datasets.splits import split_counts, split_of, training_splits, validation_split
from cairn.errors import LabelError, RecipeError
from cairn.structures.skeleton import Skeleton, load_skeleton
from cairn.training.data.classes import with_shared_classes
from cairn.training.recipe import LabelSource, Recipe
from cairn.training.run_folder import RunFolder

Sources: TypeAlias = Sequence[tuple[Labels, LabelSource]]

HOLDOUT, HOLDOUT_OF_MANY = 0.1, 0.05
"""Default share of the images that is held out: that of few images, and that of many."""

ENOUGH_HELD_OUT = 50
"""Held-out images that measure the metrics well enough: between both shares, as many are held out."""

log = logging.getLogger(__name__)


def read_data(recipe: Recipe, run: Path) -> tuple[Skeleton, list[tuple[Labels, LabelSource]], Labels]:
    """Reads the labels of a recipe.

    Args:
        recipe: The recipe.
        run: The folder of the run: a random split is written into it, and read from it by a resumed run.

    Returns:
        The skeleton, the training labels with their sources, the validation labels.

    Raises:
        RecipeError: The recipe names no training labels.
        LabelError: Labels cannot be read, or no validation image has an annotated instance.
    """
    if not recipe.data.train:
        raise RecipeError("the recipe has no training labels: give labels.json, or set data.train")
    skeleton = load_skeleton(recipe.skeleton) if recipe.skeleton else None
    sources, own = [], []
    for source in recipe.data.train:
        every = read_source(source, skeleton)
        if not every.skeleton.limbs:
            every = _with_limbs(every)
        skeleton = every.skeleton
        train, val = training_splits(every, source.labels, source.split)
        _say_splits(every, source, validate=val is not None and not recipe.data.val)
        sources.append((train, source))
        own += [val] if val is not None else []
    assert skeleton is not None
    if recipe.data.val:
        sets = [_read_validation(source, skeleton) for source in recipe.data.val]
    elif own:
        sets = own
    else:
        (first, source), *others = sources
        share = recipe.data.holdout or held_out_share(len(first))
        train, held_out = _split(first, share, recipe.seed, RunFolder(run).split)
        sources, sets = [(train, source), *others], [held_out]
    sources, sets = with_shared_classes(sources, sets)
    val = replace(sets[0], images=tuple(image for labels in sets for image in labels))
    if not any(image.annotation.labeled.any() for image in val):
        raise LabelError(f"none of the {len(val)} validation images has an annotated instance: give others with --val")
    return skeleton, sources, val


def read_source(source: LabelSource, skeleton: Skeleton | None, log_notes: bool = True) -> Labels:
    """Reads all splits of a set of labels, in the given skeleton if there is one.

    Args:
        source: The set.
        skeleton: Skeleton to map the labels to.
        log_notes: Whether to log notes about what cannot be used.

    Raises:
        LabelError: The labels cannot be read.
    """
    options = ReadOptions(
        source.images,
        skeleton=skeleton,
        problems=Problems(log_notes=log_notes),
        confidence=source.confidence,
        category=source.category,
        exclude=source.exclude,
    )
    return read_labels(source.labels, options)


def read_training_images(source: LabelSource, skeleton: Skeleton | None) -> Labels:
    """Reads the images of a source that are trained on, without log lines: they follow when the run begins.

    Raises:
        LabelError: The labels cannot be read, or do not have the split.
    """
    return training_splits(read_source(source, skeleton, log_notes=False), source.labels, source.split)[0]


def check_data(sources: Sources, val: Labels) -> None:
    """Logs what makes the labels of a run worse than they should be (`check_before_use`).

    Raises:
        LabelError: Images have another size than in their labels.
    """
    for labels, source in sources:
        for line in check_before_use(source.labels.name, labels):
            log.warning("%s", line)
    for line in check_before_use("validation", val):
        log.warning("%s", line)


def _read_validation(source: LabelSource, skeleton: Skeleton) -> Labels:
    """Reads labels that are given to validate on: their split, or by default val."""
    every = read_source(source, skeleton)
    if source.split:
        return split_of(every, source.split, source.labels)
    selected, name = validation_split(every, source.labels)
    if len(every.splits) > 1:
        log.info("%s has %s: validating on %s", source.labels, split_counts(every), name)
    return selected


def _say_splits(labels: Labels, source: LabelSource, validate: bool) -> None:
    """Logs which of several splits are used."""
    if len(labels.splits) > 1:
        train = source.split or "train"
        used = [f"training on {train}", *(["validating on val"] if validate else [])]
        unused = [name for name in labels.splits if name != train and not (validate and name == "val")]
        used += [f"{' and '.join(unused)} not used"] if unused else []
        log.info("%s has %s: %s", source.labels, split_counts(labels), ", ".join(used))


def _with_limbs(labels: Labels) -> Labels:
    """The labels with guessed limbs, which are logged."""
    labels = infer_limbs(labels)
    names = labels.skeleton.joints
    if limbs := ", ".join(f"{names[a]} - {names[b]}" for a, b in labels.skeleton.limbs):
        log.info("the labels have no limbs; guessed between nearby keypoints: %s", limbs)
    return labels


def held_out_share(count: int) -> float:
    """Returns the share of images that is held out by default; those that are held out are missing in training."""
    return max(HOLDOUT_OF_MANY, min(HOLDOUT, ENOUGH_HELD_OUT / max(count, 1)))


def _split(labels: Labels, share: float, seed: int, path: Path) -> tuple[Labels, Labels]:
    """Training and validation labels: as in the file, or split at random by seed and written to the file."""
    if path.is_file():
        return read_split(path, labels).apply(labels)
    parts = split(labels, share, seed)
    if parts.cut:
        log.info(
            f"{parts.cut} of {len(labels)} images are of one video or near-duplicates: the {len(parts.val)} "
            "validation images are neighboring frames at one end of it, and similar to the training images"
        )
    write_split(parts, path)
    return parts.apply(labels)
