"""Images of one kind of object, without labels: what landmarks are learned from."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cairn.datasets.labels import LabeledImage, Labels
from cairn.datasets.reading import read_labels
from cairn.errors import ImageError, LabelError, RecipeError
from cairn.inference.predictor import MIN_CROP
from cairn.media.folders import walk_folder
from cairn.media.images import IMAGE_SUFFIXES, image_size, read_image
from cairn.structures.poses import Annotation
from cairn.structures.skeleton import Skeleton
from cairn.training.data.sources import Sources
from cairn.training.recipe import LabelSource, Recipe

LEAST = 10
"""Images from which landmarks of a kind of object can be told at all."""

HELD = 24, 256
"""Images set aside for measures and sheets: at least, where that is no more than a quarter; and at most."""

MIN_CONTRAST = 2.0
"""Standard deviation of gray levels below which an image shows nothing."""

log = logging.getLogger(__name__)


def read_data(recipe: Recipe, run: Path) -> tuple[Skeleton, Sources, Labels]:
    """Landmarks by number, the images to learn from, and those set aside; the split is kept in the run.

    A source is a folder of images, or a label file of which only the list of images is taken.
    Raises RecipeError where there is none; ImageError where there are too few images, or they show nothing.
    """
    landmarks: int = recipe.network.landmarks  # type: ignore[attr-defined]  # the method's own recipe
    skeleton = landmark_skeleton(landmarks)
    if not recipe.data.train:
        raise RecipeError("a discovery needs images: cairn discover FOLDER")
    sources = [(without_labels(paths_of(source), skeleton), source) for source in recipe.data.train]
    count = sum(len(labels) for labels, _ in sources)
    if count < LEAST:
        raise ImageError(f"images to find what they have in common: expected {LEAST} at least, got {count}")
    check_images([image for labels, _ in sources for image in labels])
    if recipe.data.val:
        paths = [path for source in recipe.data.val for path in paths_of(source)]
        return skeleton, sources, without_labels(paths, skeleton)
    held = _held_out(sources, recipe, run / "split.json")
    kept = [
        (_chosen(labels, [image for image in labels if str(image.path) not in held]), source)
        for labels, source in sources
    ]
    aside = [image for labels, _ in sources for image in labels if str(image.path) in held]
    return skeleton, kept, _chosen(sources[0][0], aside)


def landmark_skeleton(count: int) -> Skeleton:
    return Skeleton(f"landmarks-{count}", tuple(f"landmark_{i}" for i in range(count)))


def paths_of(source: LabelSource) -> list[Path]:
    """The images of a folder, with those of folders below, by name; or those that a label file lists."""
    if not source.labels.is_dir():
        return [image.path for image in read_labels(source.labels, source.images)]
    paths = walk_folder(source.labels, IMAGE_SUFFIXES)
    if not paths:
        raise ImageError(f"no image in the folder {source.labels} (looked for {' '.join(IMAGE_SUFFIXES)})")
    return paths


def without_labels(paths: Sequence[Path], skeleton: Skeleton) -> Labels:
    """Images with nothing labeled in them. Raises ImageError where one is missing or too small."""
    nothing = Annotation(
        np.zeros((0, len(skeleton), 2), np.float32),
        np.zeros((0, len(skeleton)), np.uint8),
        np.zeros((0, 4), np.float32),
        np.zeros(0, np.float32),
        np.zeros(0, bool),
    )
    images = []
    for i, path in enumerate(paths):
        size = image_size(path)
        if min(size) < MIN_CROP:
            raise ImageError(f"{path} is {size[1]} x {size[0]} pixels: each side must be {MIN_CROP} at least")
        images.append(LabeledImage(i, path, size, nothing))
    return Labels(skeleton, tuple(images), np.ones(len(skeleton), bool))


def check_images(images: Sequence[LabeledImage]) -> None:
    """Says how sizes differ. Raises ImageError where most of some images, evenly chosen, show nothing."""
    sides = [max(image.size) for image in images]
    if max(sides) > 4 * min(sides):
        log.info("images are from %d to %d pixels wide or high: all are shown at one size", min(sides), max(sides))
    looked = images[:: max(1, len(images) // 32)]
    empty = [image for image in looked if read_image(image.path).std() < MIN_CONTRAST]
    if 2 * len(empty) > len(looked):
        raise ImageError(
            f"{len(empty)} of {len(looked)} images looked at are of one color, such as {empty[0].path}: "
            f"there is nothing to find in them"
        )


def _held_out(sources: Sources, recipe: Recipe, path: Path) -> frozenset[str]:
    """Paths of images set aside: those in the file where it exists, else drawn by seed and written to it."""
    if path.is_file():
        try:
            return frozenset(json.loads(path.read_text(encoding="utf-8"))["val"])
        except (ValueError, KeyError, TypeError):
            raise LabelError(f"{path} is damaged: expected the images that the run has set aside") from None
    paths = [str(image.path) for labels, _ in sources for image in labels]
    least, most = HELD
    count = min(most, max(round(recipe.data.holdout * len(paths)), min(least, len(paths) // 4)))
    held = np.random.default_rng(recipe.seed).choice(paths, count, replace=False).tolist()
    path.write_text(json.dumps({"val": sorted(held)}), encoding="utf-8")
    return frozenset(held)


def _chosen(labels: Labels, images: Sequence[LabeledImage]) -> Labels:
    return Labels(labels.skeleton, tuple(images), labels.known)
