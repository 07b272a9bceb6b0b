"""Frames Labeled in Cinema (Sapp and Taskar, MODEC, CVPR 2013): examples.mat."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from cairn.datasets.formats.format import Format, ReadOptions
from cairn.datasets.formats.instances import CROP_MARGIN, PERSON_HEIGHT, Instance, collect, of_split, square
from cairn.datasets.formats.matlab import elements, field, has_variable, number, numbers, read_mat
from cairn.datasets.labels import Labels
from cairn.errors import LabelError
from cairn.structures.skeleton import load_skeleton

COLUMNS = (0, 1, 2, 3, 4, 5, 6, 9, 12, 13, 16)  # the labeled ones of the file's 29 joints, in the order of flic11
SCALE = 2.2  # of every person, as set by Newell et al.


def read_flic(path: Path, options: ReadOptions) -> Labels:
    """Reads the `examples` of a file; left and right are as in the file.

    Boxes are squares around the torso box, from which the default margin makes a crop of 200·2.2 pixels. The split
    `val` is the published test split.

    Raises:
        LabelError: The file does not have the published structure.
    """
    instances = of_split(_instances(path, elements(read_mat(path)["examples"])), options.split)
    return collect(instances, load_skeleton("flic11"), path, options.images, problems=options.problems)


def _sniff(path: Path) -> bool:
    return has_variable(path, "examples")


def _instances(path: Path, examples: list[Any]) -> Iterator[tuple[bool, Instance]]:
    for i, example in enumerate(examples, start=1):
        record = f"{path}: example {i}"
        name = field(example, "filepath")
        if not isinstance(name, str):
            raise LabelError(f"{record} needs a filepath, got {name!r:.60}")
        points = numbers(field(example, "coords"), (2, 29), f"{record}: coords").T[list(COLUMNS)] - 1
        points[np.isnan(points).any(axis=1)] = np.nan
        left, top, right, bottom = numbers(field(example, "torsobox"), (4,), f"{record}: torsobox") - 1
        box = square(((left + right) / 2, (top + bottom) / 2), PERSON_HEIGHT * SCALE / CROP_MARGIN)
        yield number(example, "istrain") == 1, Instance(name, points, np.zeros(len(COLUMNS), bool), box)


FORMAT = Format("flic", "FLIC's examples.mat", (".mat",), _sniff, read_flic, splits=("train", "val"))
