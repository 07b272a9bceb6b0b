"""300-W's .pts files (https://ibug.doc.ic.ac.uk/resources/300-W): a text file of points beside each image.

    version: 1
    n_points:  68
    {
    336.82 240.86
    ...
    }

Pixels count from 1.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.containers.text_file import first_bytes, read_text
from cairn.datasets.containers.yaml_file import yaml_in
from cairn.datasets.formats.format import Format, ReadOptions
from cairn.datasets.formats.instances import checked_points
from cairn.datasets.formats.point_files import PointFile, collect_points
from cairn.datasets.image_files import SUFFIXES, image_folders
from cairn.datasets.labels import Labels
from cairn.errors import LabelError
from cairn.media.folders import walk_folder
from cairn.structures.skeleton import Skeleton, load_skeleton

START = re.compile(rb"\s*version\s*:\s*\d+\s+n_points")
CONTENT = re.compile(r"\s*version\s*:\s*\d+\s+n_points\s*:\s*(\d{1,18})\s*\{(.*)\}\s*", re.DOTALL)


def read_pts(path: Path, options: ReadOptions) -> Labels:
    """Reads a file, or all files of a folder; the image has the name of the file.

    Points have no names: 68 points are `face68`; otherwise a given skeleton of as many joints names them in order.

    Raises:
        LabelError: A file is not in this format, or the files have different numbers of points.
    """
    files = sorted(walk_folder(path, (".pts",))) if path.is_dir() else [path]
    if not files:
        raise LabelError(f"{path} has no .pts files")
    kind = PointFile(".pts", _points, lambda file: _image(file, options.images), _skeleton)
    return collect_points(files, path, options, kind)


def _sniff(path: Path) -> bool:
    if path.is_dir():
        return yaml_in(path) is None and bool(walk_folder(path, (".pts",)))
    return START.match(first_bytes(path)) is not None


def _points(file: Path) -> NDArray[np.float64]:
    text = read_text(file)
    if not text.strip():
        raise LabelError(f"{file} is empty")
    content = CONTENT.fullmatch(text)
    if content is None:
        raise LabelError(f"{file} is not in 300-W format, or truncated: expected version, n_points and {{ points }}")
    lines = [line.split() for line in content[2].splitlines() if line.strip()]
    if len(lines) != int(content[1]):
        raise LabelError(f"{file}: n_points is {content[1]}, but there are {len(lines)} points")
    try:
        points = np.array([[float(x), float(y)] for x, y in lines])
    except ValueError:
        raise LabelError(f"{file}: each point must be two numbers") from None
    if np.isnan(points).any():
        raise LabelError(f"{file}: expected finite numbers, got nan")
    return checked_points(points, str(file)) - 1


def _image(file: Path, images: Path | None) -> str:
    folder = image_folders(file, images)[0]
    for place in (folder, file.parent):
        for suffix in SUFFIXES:
            for name in (file.with_suffix(suffix).name, file.with_suffix(suffix.upper()).name):
                if (place / name).is_file():
                    return str((place / name).absolute())
    raise LabelError(f"{file}: no image {file.stem}.jpg or .png in {folder}: give the folder with --images")


def _skeleton(count: int, names: Skeleton | None) -> Skeleton:
    if names is not None and len(names) == count:
        return names
    if count == len(load_skeleton("face68")):
        return load_skeleton("face68")
    return Skeleton("points", tuple(f"point_{i}" for i in range(count)))


FORMAT = Format("pts", "300-W's .pts files", (".pts",), _sniff, read_pts)
