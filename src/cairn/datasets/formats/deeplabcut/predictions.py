"""DeepLabCut's predictions of a video (VIDEO + SCORER.csv or .h5), whose rows are frame numbers, as labels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from cairn.datasets.formats.deeplabcut.sheet import Sheet
from cairn.datasets.formats.format import ReadOptions
from cairn.datasets.formats.video_frames import extract_frames, last_number
from cairn.datasets.image_files import SUFFIXES
from cairn.errors import LabelError
from cairn.media.folders import is_input
from cairn.media.video import VIDEO_SUFFIXES

SCORERS = ("DLC", "DeepCut")  # how the names of networks begin


def confident_rows(sheet: Sheet, path: Path, options: ReadOptions) -> Sheet:
    """Returns the coordinates above the minimum confidence, without the images that have none.

    Rows that are frame numbers get the paths of their images: of a folder of numbered images, or read from the video.

    Raises:
        LabelError: No row is left, or the images are not found.
    """
    points = sheet.points(options.confidence)
    points = points.rows(np.flatnonzero(np.isfinite(points.values).any(axis=1)).tolist())
    if not points.names:
        raise LabelError(f"{path}: no prediction has a confidence of {options.confidence:g} or more")
    if not all(name.isdecimal() for name in points.names):
        return points
    images = _images([int(name) for name in points.names], _video_name(path, sheet.scorer), path, options)
    found = [i for i, image in enumerate(images) if image is not None]
    return replace(points.rows(found), names=tuple(image for image in images if image is not None))


def _video_name(path: Path, scorer: str) -> str:
    """The name of the video without suffix: that of the file before the name of the network."""
    for mark in (scorer, *SCORERS):
        name, found, _ = path.stem.partition(mark)
        if found and name and mark:
            return name
    return path.stem


def _images(numbers: list[int], video: str, path: Path, options: ReadOptions) -> list[str | None]:
    """The image of each frame; None for a skipped one."""
    folders = (path.parent, path.parent.parent / "videos") if options.images is None else (options.images,)
    candidates = (file for folder in folders for file in _with_stem(folder, video))
    if (file := next(candidates, None)) is not None:
        return extract_frames(numbers, file, path, options)
    numbered = {} if options.images is None else _numbered(options.images, path)
    if not numbered.keys() & set(numbers):
        raise LabelError(
            f"{path}: its rows are frames of the video {video}: give the folder of the video, or of images named by "
            "their frame numbers, with --images"
        )
    images: list[str | None] = []
    for number in numbers:
        images.append(None)
        with options.problems:
            if number not in numbered:
                raise LabelError(f"{path}: {options.images} has no image of frame {number}")
            images[-1] = str(numbered[number].absolute())
    return images


def _with_stem(folder: Path, stem: str) -> Iterator[Path]:
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    return (file for file in files if file.stem == stem and is_input(file, VIDEO_SUFFIXES))


def _numbered(folder: Path, path: Path) -> dict[int, Path]:
    images: dict[int, Path] = {}
    for file in sorted(folder.iterdir()):
        number = last_number(file.stem)
        if number is not None and is_input(file, SUFFIXES):
            if number in images:
                raise LabelError(f"{path}: {images[number]} and {file.name} are both frame {number}: keep one of them")
            images[number] = file
    return images
