"""What a recipe learns from: its labels read, and a part of them set aside where it names no validation set."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import numpy as np

from cairn.annotations.coco import read_coco
from cairn.annotations.labels import Labels
from cairn.errors import LabelError, RecipeError
from cairn.skeleton import Skeleton, skeleton
from cairn.training.recipe import LabelSource, Recipe

Sources: TypeAlias = Sequence[tuple[Labels, LabelSource]]


def read_data(recipe: Recipe, run: Path) -> tuple[Skeleton, list[tuple[Labels, LabelSource]], Labels]:
    """The skeleton, the labels to learn from and those to validate on; a split that is drawn is kept in the run.

    Raises RecipeError or LabelError where there is nothing to learn from, or nothing to validate on.
    """
    if not recipe.data.train:
        raise RecipeError("a recipe needs labels to learn from: --data labels.json")
    joints = skeleton(recipe.skeleton) if recipe.skeleton else None
    sources = []
    for source in recipe.data.train:
        labels = _read(source, joints)
        joints = joints or labels.skeleton
        sources.append((labels, source))
    assert joints is not None
    if recipe.data.val:
        sets = [_read(source, joints) for source in recipe.data.val]
        val = replace(sets[0], pictures=tuple(picture for labels in sets for picture in labels))
    else:
        (first, source), *others = sources
        held = _held_out(first, recipe.data.holdout, recipe.seed, run / "split.json")
        sources, val = [(_without(first, held), source), *others], _only(first, held)
    if not any(picture.annotation.labelled.any() for picture in val):
        raise LabelError(f"none of the {len(val)} pictures to validate on has a labelled object: give others, --val")
    return joints, sources, val


def _read(source: LabelSource, joints: Skeleton | None) -> Labels:
    return read_coco(source.labels, source.images, joints)


def _held_out(labels: Labels, share: float, seed: int, path: Path) -> frozenset[int]:
    """Picture ids that validate: those in the file where it exists, else drawn by seed and written to it."""
    if path.is_file():
        try:
            return frozenset(json.loads(path.read_text(encoding="utf-8"))["val"])
        except (ValueError, KeyError, TypeError):
            raise LabelError(f"{path} is damaged: expected the pictures that the run has set aside") from None
    ids = np.array([picture.id for picture in labels])
    count = max(1, round(share * len(ids)))
    if count >= len(ids):
        raise LabelError(f"{len(ids)} labelled pictures cannot be split into training and validation: give --val")
    held = np.random.default_rng(seed).choice(ids, count, replace=False)
    path.write_text(json.dumps({"val": sorted(held.tolist())}), encoding="utf-8")
    return frozenset(held.tolist())


def _only(labels: Labels, ids: frozenset[int]) -> Labels:
    return replace(labels, pictures=tuple(picture for picture in labels if picture.id in ids))


def _without(labels: Labels, ids: frozenset[int]) -> Labels:
    return replace(labels, pictures=tuple(picture for picture in labels if picture.id not in ids))
