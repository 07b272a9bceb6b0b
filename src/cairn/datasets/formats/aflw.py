"""AFLW with five points, as work on landmarks without labels uses it (aflw_release-2): names and points apart.

| file | content |
|---|---|
| aflw_train_images.txt, aflw_test_images.txt | names of images in output/ |
| aflw_train_keypoints.mat, aflw_test_keypoints.mat | gt (N, 5, 2): y and x of the points of each image |
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cairn.datasets.containers.matlab import numbers, read_mat
from cairn.datasets.formats.format import Format, ReadOptions
from cairn.datasets.formats.instances import Instance, checked_points, collect
from cairn.datasets.formats.point_rows import PERSON_SIDES, read_names, split_of_name
from cairn.datasets.formats.splits import by_split
from cairn.datasets.labels import Labels
from cairn.errors import LabelError
from cairn.structures.skeleton import load_skeleton

NAMES, POINTS = "_images.txt", "_keypoints.mat"
FOLDER = "output"


def read_aflw(path: Path, options: ReadOptions) -> Labels:
    """Reads a list of images and the points of the same name beside it, or all of a folder.

    Raises:
        LabelError: The files do not belong together, or images are missing.
        MissingExtra: scipy is not installed.
    """
    entries = []
    for file in _lists(path):
        names = read_names(file)
        table = numbers(_gt(_points_of(file)), (len(names), 5, 2), f"{_points_of(file)}: gt")
        for i, name in enumerate(names):
            points = checked_points(table[i, PERSON_SIDES, ::-1], f"{file}: line {i + 1}")
            entries.append((split_of_name(file.stem), Instance(name, points, np.zeros(5, bool))))
    source = _lists(path)[0]
    images = options.images or next((folder for folder in [source.parent / FOLDER] if folder.is_dir()), None)
    instances, listed = by_split(entries, options.split, options.problems)
    return collect(instances, load_skeleton("face5"), source, images, listed, problems=options.problems)


def _gt(path: Path) -> np.ndarray:
    content = read_mat(path)
    if "gt" not in content:
        raise LabelError(f"{path} has {', '.join(name for name in content if name[:1] != '_')}: expected gt of AFLW")
    table = np.asarray(content["gt"])
    return table[None] if table.ndim == 2 else table  # one image, whose dimension is dropped


def _points_of(names: Path) -> Path:
    return names.with_name(names.name.removesuffix(NAMES) + POINTS)


def _lists(path: Path) -> list[Path]:
    """The lists of names that have points beside them: of a file of either kind, or in a folder."""
    if path.is_dir():
        files = sorted(path.glob(f"*{NAMES}"))
    else:
        files = [path.with_name(path.name.removesuffix(POINTS).removesuffix(NAMES) + NAMES)]
        files = files if path.name.endswith((NAMES, POINTS)) else []
    return [file for file in files if file.is_file() and _points_of(file).is_file()]


def _sniff(path: Path) -> bool:
    return bool(_lists(path))


FORMAT = Format(
    "aflw", "AFLW's five points (_images.txt and _keypoints.mat)", (".txt", ".mat", ""), _sniff, read_aflw,
    splits=("train", "test"),
)  # fmt: skip
