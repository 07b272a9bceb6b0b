"""The cat dataset (Zhang, Sun and Tang, ECCV 2008): a text file IMAGE.cat beside each image, the count and the points.

    9 175 160 239 162 199 199 149 121 137 78 166 93 281 101 312 96 296 133

The points are the eyes, the mouth, and three of each ear, the left side of the image first.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.containers.text_file import first_bytes, read_text
from cairn.datasets.formats.format import Format, ReadOptions
from cairn.datasets.formats.instances import checked_points
from cairn.datasets.formats.point_files import PointFile, collect_points
from cairn.datasets.image_files import SUFFIXES, image_folders
from cairn.datasets.labels import Labels
from cairn.errors import LabelError
from cairn.media.folders import walk_folder
from cairn.structures.skeleton import Skeleton, load_skeleton

SUFFIX = ".cat"
START = re.compile(rb"\s*\d+(\s+-?\d+(\.\d*)?)+\s*")


def read_cat(path: Path, options: ReadOptions) -> Labels:
    """Reads a file, or all files of a folder and its subfolders; the image has the name of the file without `.cat`.

    Nine points are `cat9`; otherwise a given skeleton of as many joints names them in order.

    Raises:
        LabelError: A file is not in this format, has no image, or the files have different numbers of points.
    """
    files = sorted(walk_folder(path, (SUFFIX,))) if path.is_dir() else [path]
    kind = PointFile(SUFFIX, _points, lambda file: _image(file, path, options.images), _skeleton)
    return collect_points(files, path, options, kind)


def _points(file: Path) -> NDArray[np.float64]:
    words = read_text(file).split()
    if not words:
        raise LabelError(f"{file} is empty")
    try:
        count, values = int(words[0]), [float(word) for word in words[1:]]
    except ValueError:
        raise LabelError(f"{file} must have the number of points, then x and y of each") from None
    if count < 1 or len(values) != 2 * count:
        raise LabelError(f"{file}: {count} points need {2 * max(count, 1)} numbers, but there are {len(values)}")
    points = checked_points(np.array(values), str(file))
    if np.isnan(points).any():
        raise LabelError(f"{file}: expected finite numbers, got nan")
    return points


def _image(file: Path, source: Path, images: Path | None) -> str:
    """The image of a file: beside it, or at the same place below the folder of images."""
    name = file.name[: -len(SUFFIX)]
    folders = [file.parent] if images is None else []
    if source.is_dir() and images is not None:
        folders.append(images / file.parent.relative_to(source))
    folders += image_folders(file, images)
    stem = Path(name).stem if name.lower().endswith(SUFFIXES) else name
    for folder in folders:
        for candidate in (name, *(f"{stem}{suffix}" for suffix in SUFFIXES), f"{stem}.JPG"):
            if candidate.lower().endswith(SUFFIXES) and (folder / candidate).is_file():
                return str((folder / candidate).absolute())
    raise LabelError(f"{file}: no image {name} in {folders[0]}: give the folder with --images")


def _skeleton(count: int, names: Skeleton | None) -> Skeleton:
    cat = load_skeleton("cat9")
    if count == len(cat):
        return cat if names is None or len(names) != count else names
    if names is not None and len(names) == count:
        return names
    return Skeleton("points", tuple(f"point_{i}" for i in range(count)))


def _sniff(path: Path) -> bool:
    if path.is_dir():
        return bool(walk_folder(path, (SUFFIX,)))
    return path.suffix.lower() == SUFFIX and START.fullmatch(first_bytes(path)) is not None


FORMAT = Format("cat", "the cat dataset's .cat files", (SUFFIX,), _sniff, read_cat)
