"""What a recipe learns from: its labels read, and a part of them set aside where it names no validation set."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from cairn.datasets.labels import Labels
from cairn.datasets.limbs import infer_limbs
from cairn.datasets.reading import read_labels
from cairn.datasets.split import read_split, split, write_split
from cairn.errors import LabelError, RecipeError
from cairn.structures.skeleton import Skeleton, load_skeleton
from cairn.training.recipe import LabelSource, Recipe

Sources: TypeAlias = Sequence[tuple[Labels, LabelSource]]

log = logging.getLogger(__name__)


def read_data(recipe: Recipe, run: Path) -> tuple[Skeleton, list[tuple[Labels, LabelSource]], Labels]:
    """The skeleton, the labels to learn from and those to validate on; a split that is drawn is kept in the run.

    Raises RecipeError or LabelError where there is nothing to learn from, or nothing to validate on.
    """
    if not recipe.data.train:
        raise RecipeError("a recipe needs labels to learn from: --data labels.json")
    joints = load_skeleton(recipe.skeleton) if recipe.skeleton else None
    sources = []
    for source in recipe.data.train:
        labels = read_source(source, joints)
        if not labels.skeleton.limbs:
            labels = _infer_limbs(labels)
        joints = labels.skeleton
        sources.append((labels, source))
    assert joints is not None
    if recipe.data.val:
        sets = [read_source(source, joints) for source in recipe.data.val]
        val = replace(sets[0], images=tuple(image for labels in sets for image in labels))
    else:
        (first, source), *others = sources
        learned, val = _parted(first, recipe.data.holdout, recipe.seed, run / "split.json")
        sources = [(learned, source), *others]
    if not any(image.annotation.labeled.any() for image in val):
        raise LabelError(f"none of the {len(val)} images to validate on has a labeled object: give others, --val")
    return joints, sources, val


def read_source(source: LabelSource, joints: Skeleton | None) -> Labels:
    """One set of labels, in `joints` where they are given. Raises LabelError as its reader does."""
    return read_labels(source.labels, source.images, joints)


def _infer_limbs(labels: Labels) -> Labels:
    """The same, with limbs guessed and told."""
    labels = infer_limbs(labels)
    names = labels.skeleton.joints
    if limbs := ", ".join(f"{names[a]} - {names[b]}" for a, b in labels.skeleton.limbs):
        log.info("the labels name no limbs; guessed, between joints that lie near one another: %s", limbs)
    return labels


def _parted(labels: Labels, share: float, seed: int, path: Path) -> tuple[Labels, Labels]:
    """(to learn from, to validate on): as the file says where it exists, else drawn by seed and written to it."""
    if path.is_file():
        return read_split(path, labels).apply(labels)
    parts = split(labels, share, seed)
    if parts.cut:
        log.info(
            f"{parts.cut} of {len(labels)} images are of one video, or alike: the {len(parts.val)} to validate on "
            "are neighbors at one end of it, and look much like those learned from"
        )
    write_split(parts, path)
    return parts.apply(labels)
