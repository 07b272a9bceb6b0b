"""Images without labels, as `Labels` of one unlabeled joint: frames of a camera, to be cropped by motion."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cairn.datasets.formats import FORMATS, ReadOptions
from cairn.datasets.instances import Instances
from cairn.datasets.labels import LabeledImage, Labels
from cairn.datasets.reading import read_exclusion
from cairn.errors import ImageError, LabelError
from cairn.media.folders import walk_folder
from cairn.media.images import IMAGE_SUFFIXES, image_size
from cairn.structures.skeleton import Skeleton

OBJECT = Skeleton("object", ("center",))
"""Skeleton of images without labels; its joint is never labeled."""


def is_folder_of_images(path: Path) -> bool:
    """Whether a path is a folder in no format of labels."""
    return path.is_dir() and not any(known.sniff(path) for known in FORMATS if "" in known.suffixes)


def listed_frames(folder: Path, options: ReadOptions) -> Labels:
    """Returns the images of a folder and its subfolders as labels without instances.

    Args:
        folder: The folder.
        options: Its list of images to exclude, and its collector of notes.

    Raises:
        LabelError: There is no image, or an option needs labels.
        ImageError: An image cannot be read.
    """
    if options.images or options.split or options.category:
        raise LabelError(f"{folder} is a folder of images without labels: images, split and category need labels")
    paths = walk_folder(folder, IMAGE_SUFFIXES)
    if options.exclude is not None:
        paths = [paths[i] for i in read_exclusion(options.exclude).kept(paths, options.problems)]
    if not paths:
        raise LabelError(f"no image in the folder {folder} (looked for {' '.join(IMAGE_SUFFIXES)})")
    nothing, images = Instances.of([], len(OBJECT)).annotation, []
    for number, path in enumerate(paths, start=1):
        try:
            images.append(LabeledImage(number, path, image_size(path), nothing))
        except ImageError as error:
            with options.problems:
                raise LabelError(str(error)) from None
    return Labels(OBJECT, tuple(images), np.ones(len(OBJECT), bool))
