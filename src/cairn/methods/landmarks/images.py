"""Pictures of one kind of object, without labels: what landmarks are learnt from."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cairn.datasets.labels import LabelledPicture, Labels
from cairn.datasets.reading import read_labels
from cairn.errors import ImageError, LabelError, RecipeError
from cairn.media.images import PICTURE_SUFFIXES, image_size, read_image
from cairn.structures.poses import Annotation
from cairn.inference.predictor import LEAST_CROP
from cairn.structures.skeleton import Skeleton
from cairn.training.data.sources import Sources
from cairn.training.recipe import LabelSource, Recipe

LEAST = 10
"""Pictures from which landmarks of a kind of object can be told at all."""

HELD = 24, 256
"""Pictures set aside for measures and sheets: at least, where that is no more than a quarter; and at most."""

LEAST_CONTRAST = 2.0
"""Standard deviation of grey levels below which a picture shows nothing."""

log = logging.getLogger(__name__)


def read_data(recipe: Recipe, run: Path) -> tuple[Skeleton, Sources, Labels]:
    """Landmarks by number, the pictures to learn from, and those set aside; the split is kept in the run.

    A source is a folder of pictures, or a label file of which only the list of pictures is taken.
    Raises RecipeError where there is none; ImageError where there are too few pictures, or they show nothing.
    """
    landmarks: int = recipe.network.landmarks  # type: ignore[attr-defined]  # the method's own recipe
    skeleton = landmark_skeleton(landmarks)
    if not recipe.data.train:
        raise RecipeError("a discovery needs pictures: cairn discover FOLDER")
    sources = [(without_labels(paths_of(source), skeleton), source) for source in recipe.data.train]
    count = sum(len(labels) for labels, _ in sources)
    if count < LEAST:
        raise ImageError(f"pictures to find what they have in common: expected {LEAST} at least, got {count}")
    check_pictures([picture for labels, _ in sources for picture in labels])
    if recipe.data.val:
        paths = [path for source in recipe.data.val for path in paths_of(source)]
        return skeleton, sources, without_labels(paths, skeleton)
    held = _held_out(sources, recipe, run / "split.json")
    kept = [
        (_chosen(labels, [picture for picture in labels if str(picture.path) not in held]), source)
        for labels, source in sources
    ]
    aside = [picture for labels, _ in sources for picture in labels if str(picture.path) in held]
    return skeleton, kept, _chosen(sources[0][0], aside)


def landmark_skeleton(count: int) -> Skeleton:
    return Skeleton(f"landmarks-{count}", tuple(f"landmark_{i}" for i in range(count)))


def paths_of(source: LabelSource) -> list[Path]:
    """The pictures of a folder, with those of folders below, by name; or those that a label file lists."""
    if not source.labels.is_dir():
        return [picture.path for picture in read_labels(source.labels, source.images)]
    paths = []
    for place, folders, files in os.walk(source.labels):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        paths += [
            Path(place, name)
            for name in sorted(files)
            if Path(name).suffix.lower() in PICTURE_SUFFIXES and not name.startswith(".") and ".cairn." not in name
        ]
    if not paths:
        raise ImageError(f"no picture in the folder {source.labels} (looked for {' '.join(PICTURE_SUFFIXES)})")
    return paths


def without_labels(paths: Sequence[Path], skeleton: Skeleton) -> Labels:
    """Pictures with nothing labelled in them. Raises ImageError where one is missing or too small."""
    nothing = Annotation(
        np.zeros((0, len(skeleton), 2), np.float32),
        np.zeros((0, len(skeleton)), np.uint8),
        np.zeros((0, 4), np.float32),
        np.zeros(0, np.float32),
        np.zeros(0, bool),
    )
    pictures = []
    for i, path in enumerate(paths):
        size = image_size(path)
        if min(size) < LEAST_CROP:
            raise ImageError(f"{path} is {size[1]} x {size[0]} pixels: each side must be {LEAST_CROP} at least")
        pictures.append(LabelledPicture(i, path, size, nothing))
    return Labels(skeleton, tuple(pictures), np.ones(len(skeleton), bool))


def check_pictures(pictures: Sequence[LabelledPicture]) -> None:
    """Says how sizes differ. Raises ImageError where most of some pictures, evenly chosen, show nothing."""
    sides = [max(picture.size) for picture in pictures]
    if max(sides) > 4 * min(sides):
        log.info("pictures are from %d to %d pixels wide or high: all are shown at one size", min(sides), max(sides))
    looked = pictures[:: max(1, len(pictures) // 32)]
    empty = [picture for picture in looked if read_image(picture.path).std() < LEAST_CONTRAST]
    if 2 * len(empty) > len(looked):
        raise ImageError(
            f"{len(empty)} of {len(looked)} pictures looked at are of one colour, such as {empty[0].path}: "
            f"there is nothing to find in them"
        )


def _held_out(sources: Sources, recipe: Recipe, path: Path) -> frozenset[str]:
    """Paths of pictures set aside: those in the file where it exists, else drawn by seed and written to it."""
    if path.is_file():
        try:
            return frozenset(json.loads(path.read_text(encoding="utf-8"))["val"])
        except (ValueError, KeyError, TypeError):
            raise LabelError(f"{path} is damaged: expected the pictures that the run has set aside") from None
    paths = [str(picture.path) for labels, _ in sources for picture in labels]
    least, most = HELD
    count = min(most, max(round(recipe.data.holdout * len(paths)), min(least, len(paths) // 4)))
    held = np.random.default_rng(recipe.seed).choice(paths, count, replace=False).tolist()
    path.write_text(json.dumps({"val": sorted(held)}), encoding="utf-8")
    return frozenset(held)


def _chosen(labels: Labels, pictures: Sequence[LabelledPicture]) -> Labels:
    return Labels(labels.skeleton, tuple(pictures), labels.known)
