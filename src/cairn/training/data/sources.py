"""Training and validation labels of a recipe; without a validation set, a share of the training labels is held out."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from cairn.datasets.formats import ReadOptions
from cairn.datasets.labels import Labels
from cairn.datasets.limbs import infer_limbs
from cairn.datasets.reading import read_labels
from cairn.datasets.split import read_split, split, write_split
from cairn.errors import LabelError, RecipeError
from cairn.structures.skeleton import Skeleton, load_skeleton
from cairn.training.data.classes import with_shared_classes
from cairn.training.recipe import LabelSource, Recipe
from cairn.training.run_folder import RunFolder

Sources: TypeAlias = Sequence[tuple[Labels, LabelSource]]

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
    sources = []
    for source in recipe.data.train:
        labels = read_source(source, skeleton)
        if not labels.skeleton.limbs:
            labels = _with_limbs(labels)
        skeleton = labels.skeleton
        sources.append((labels, source))
    assert skeleton is not None
    if recipe.data.val:
        sets = [read_source(source, skeleton) for source in recipe.data.val]
    else:
        (first, source), *others = sources
        train, held_out = _split(first, recipe.data.holdout, recipe.seed, RunFolder(run).split)
        sources, sets = [(train, source), *others], [held_out]
    sources, sets = with_shared_classes(sources, sets)
    val = replace(sets[0], images=tuple(image for labels in sets for image in labels))
    if not any(image.annotation.labeled.any() for image in val):
        raise LabelError(f"none of the {len(val)} validation images has an annotated instance: give others with --val")
    return skeleton, sources, val


def read_source(source: LabelSource, skeleton: Skeleton | None) -> Labels:
    """Reads one set of labels, in the given skeleton if there is one.

    Raises:
        LabelError: The labels cannot be read.
    """
    return read_labels(source.labels, ReadOptions(source.images, skeleton=skeleton))


def _with_limbs(labels: Labels) -> Labels:
    """The labels with guessed limbs, which are logged."""
    labels = infer_limbs(labels)
    names = labels.skeleton.joints
    if limbs := ", ".join(f"{names[a]} - {names[b]}" for a, b in labels.skeleton.limbs):
        log.info("the labels have no limbs; guessed between nearby keypoints: %s", limbs)
    return labels


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
