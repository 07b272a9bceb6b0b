"""Training and validation images of one object class, without labels."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.crops import crops_of, square_around
from cairn.datasets.formats import ReadOptions
from cairn.datasets.labels import LabeledImage, Labels
from cairn.datasets.problems import Problems
from cairn.datasets.reading import read_exclusion, read_labels
from cairn.datasets.splits import is_label_folder, split_counts, split_of, without_test
from cairn.errors import ImageError, LabelError, RecipeError
from cairn.inference.predictor import MIN_CROP
from cairn.media.folders import walk_folder
from cairn.media.images import IMAGE_SUFFIXES, image_size, read_image
from cairn.methods.landmarks.recipe import Crop, Recipe
from cairn.structures.annotation import Annotation
from cairn.structures.geometry import Size
from cairn.structures.skeleton import Skeleton
from cairn.training.data.sources import HOLDOUT, Sources
from cairn.training.recipe import LabelSource

MIN_IMAGES = 10
"""Minimum number of images for a discovery."""

HELD_OUT = 24, 256
"""Minimum (at most a quarter of all images) and maximum number of held-out images, for metrics and sheets."""

MIN_CONTRAST = 2.0
"""Standard deviation of gray levels below which an image counts as empty."""

log = logging.getLogger(__name__)


def read_data(recipe: Recipe, run: Path) -> tuple[Skeleton, Sources, Labels]:
    """Reads the images of a discovery; the split is stored in the run.

    A source is a folder of images, or a label file, whose list of images is used alone.

    Args:
        recipe: Recipe of the run.
        run: Folder of the run.

    Returns:
        The numbered landmarks as a skeleton, the training images, and the held-out images.

    Raises:
        RecipeError: The recipe names no images.
        ImageError: There are too few images, or they are empty.
    """
    skeleton = landmark_skeleton(recipe.network.landmarks)
    if not recipe.data.train:
        raise RecipeError("a discovery needs images: cairn discover FOLDER")
    sources = [(views_of(source, recipe.crop, skeleton), source) for source in recipe.data.train]
    count = sum(len(labels) for labels, _ in sources)
    if count < MIN_IMAGES:
        raise ImageError(f"a discovery needs at least {MIN_IMAGES} images, got {count}: add images of the same class")
    check_images([image for labels, _ in sources for image in labels])
    if recipe.data.val:
        val = [image for source in recipe.data.val for image in views_of(source, recipe.crop, skeleton)]
        return skeleton, sources, _subset(sources[0][0], val)
    held_out = _held_out(sources, recipe, run / "split.json")
    kept = [
        (_subset(labels, [image for image in labels if str(image.path) not in held_out]), source)
        for labels, source in sources
    ]
    val = [image for labels, _ in sources for image in labels if str(image.path) in held_out]
    return skeleton, kept, _subset(sources[0][0], val)


def landmark_skeleton(count: int) -> Skeleton:
    """Returns a skeleton of numbered landmarks, without limbs."""
    return Skeleton(f"landmarks-{count}", tuple(f"landmark_{i}" for i in range(count)))


def views_of(source: LabelSource, crop: Crop, skeleton: Skeleton, quiet: bool = False) -> Labels:
    """Returns the images of a source, or with crops each of its instances, as labels with a box and no keypoints.

    Args:
        source: The folder or labels.
        crop: The views.
        skeleton: The landmarks.
        quiet: Whether to log nothing about what is excluded.

    Raises:
        RecipeError: There are to be crops, and the source is a folder of images.
    """
    if crop.by == "none":
        return without_labels(paths_of(source, quiet), skeleton)
    is_folder = source.labels.is_dir() and not is_label_folder(source.labels, with_splits=crop.by == "motion")
    if is_folder and crop.by != "motion":
        raise RecipeError(
            f"crops by {crop.by} need labels: {source.labels} is a folder of images; for frames of a static camera "
            "there is --crop motion"
        )
    problems = Problems()
    images = without_labels(paths_of(source, quiet), skeleton) if is_folder else _listed(source, quiet)
    crops = crops_of(images, crop.by, crop.margin, problems)
    for note in () if quiet else problems.notes:
        log.warning("%s: %s", source.labels, note)
    return without_labels([each.image.path for each in crops], skeleton, [each.box for each in crops])


def view_of(image: LabeledImage, margin: float, size: Size | None = None) -> tuple[tuple[float, float], float]:
    """Returns center and side in pixels of the square that is seen of an image: around its box, or all of it.

    Args:
        image: The image, with one box or none.
        margin: Side of the square over the longer side of the box.
        size: (height, width) of the image, if it is read already.
    """
    if len(image.annotation):
        return square_around(image.annotation.boxes[0], margin)
    height, width = size or image.size
    return ((width - 1) / 2, (height - 1) / 2), max(height, width)


def boxes_of(image: LabeledImage) -> NDArray[np.float32] | None:
    """Returns the (1, 4) box that a predictor gets with an image; None for all of the image."""
    return image.annotation.boxes if len(image.annotation) else None


def paths_of(source: LabelSource, quiet: bool = False) -> list[Path]:
    """Returns the images of a folder and its subfolders, sorted by name, or the images that labels list; never test.

    Args:
        source: The folder or labels.
        quiet: Whether to log nothing about images that are excluded.
    """
    if not source.labels.is_dir() or is_label_folder(source.labels):
        return [image.path for image in _listed(source, quiet)]
    paths = walk_folder(source.labels, IMAGE_SUFFIXES)
    if not paths:
        raise ImageError(f"no image in the folder {source.labels} (looked for {' '.join(IMAGE_SUFFIXES)})")
    if source.exclude is None:
        return paths
    problems = Problems()
    kept = read_exclusion(source.exclude).kept(paths, problems)
    if not quiet:
        excluded = len(paths) - len(kept)
        log.info("%s: %d of %d images are excluded by %s", source.labels, excluded, len(paths), source.exclude)
        for note in problems.notes:
            log.warning("%s: %s", source.labels, note)
    return [paths[i] for i in kept]


def _listed(source: LabelSource, quiet: bool) -> Labels:
    """The labels of a source: its split, or else all images but those of test."""
    options = ReadOptions(
        source.images,
        problems=Problems(log_notes=not quiet),
        confidence=source.confidence,
        category=source.category,
        exclude=source.exclude,
    )
    labels = read_labels(source.labels, options)
    if source.split:
        return split_of(labels, source.split, source.labels)
    kept = without_test(labels, source.labels)
    if len(kept) < len(labels) and not quiet:
        log.info("%s has %s: test is not used", source.labels, split_counts(labels))
    return kept


def without_labels(paths: Sequence[Path], skeleton: Skeleton, boxes: Sequence[NDArray[np.float64]] = ()) -> Labels:
    """Returns labels without keypoints.

    Args:
        paths: Paths of the images.
        skeleton: The landmarks.
        boxes: (4,) x, y, width, height in each image; none for whole images.

    Raises:
        ImageError: An image is missing or too small.
    """
    nothing = _boxed(np.zeros((0, 4)), skeleton)
    images = []
    for i, path in enumerate(paths):
        size = image_size(path)
        if min(size) < MIN_CROP:
            raise ImageError(f"{path} is {size[1]} x {size[0]} pixels: each side must be at least {MIN_CROP}")
        images.append(LabeledImage(i, path, size, _boxed(boxes[i][None], skeleton) if len(boxes) else nothing))
    return Labels(skeleton, tuple(images), np.ones(len(skeleton), bool))


def _boxed(boxes: NDArray[np.float64], skeleton: Skeleton) -> Annotation:
    """Instances with boxes (P, 4) and no labeled keypoint."""
    return Annotation(
        np.full((len(boxes), len(skeleton), 2), np.nan, np.float32),
        np.zeros((len(boxes), len(skeleton)), np.uint8),
        boxes.astype(np.float32),
        boxes[:, 2:].prod(axis=1).astype(np.float32),
        np.zeros(len(boxes), bool),
    )


def check_images(images: Sequence[LabeledImage]) -> None:
    """Logs how much sizes differ, and checks a sample of the images.

    Raises:
        ImageError: Most of the sampled images are of one color.
    """
    sides = [max(image.size) for image in images]
    if max(sides) > 4 * min(sides):
        log.info("images are from %d to %d pixels wide or high; all are resized to one size", min(sides), max(sides))
    sampled = images[:: max(1, len(images) // 32)]
    empty = [image for image in sampled if read_image(image.path).std() < MIN_CONTRAST]
    if 2 * len(empty) > len(sampled):
        raise ImageError(
            f"{len(empty)} of {len(sampled)} sampled images are of one color, such as {empty[0].path}: "
            "landmarks need visible structure"
        )


def _held_out(sources: Sources, recipe: Recipe, path: Path) -> frozenset[str]:
    """Paths of held-out images: from the file where it exists, else drawn by seed and written to it."""
    if path.is_file():
        try:
            return frozenset(json.loads(path.read_text(encoding="utf-8"))["val"])
        except (ValueError, KeyError, TypeError):
            raise LabelError(f"{path} is damaged: expected the held-out images of the run") from None
    paths = [str(image.path) for labels, _ in sources for image in labels]
    minimum, maximum = HELD_OUT
    count = min(maximum, max(round((recipe.data.holdout or HOLDOUT) * len(paths)), min(minimum, len(paths) // 4)))
    drawn = np.random.default_rng(recipe.seed).choice(paths, count, replace=False).tolist()
    path.write_text(json.dumps({"val": sorted(drawn)}), encoding="utf-8")
    return frozenset(drawn)


def _subset(labels: Labels, images: Sequence[LabeledImage]) -> Labels:
    return Labels(labels.skeleton, tuple(images), labels.labeled_joints)
