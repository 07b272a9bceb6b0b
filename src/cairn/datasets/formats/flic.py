"""Frames Labeled in Cinema (Sapp and Taskar, MODEC, CVPR 2013): examples.mat."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from cairn.datasets.formats.matlab import elements, field, number, numbers
from cairn.datasets.formats.people import HUMAN, MARGIN, Person, Split, gather, in_split, square
from cairn.datasets.labels import Labels
from cairn.datasets.problems import Faults
from cairn.errors import LabelError
from cairn.structures.skeleton import load_skeleton as definition

COLUMNS = (0, 1, 2, 3, 4, 5, 6, 9, 12, 13, 16)  # of the file's 29 joints those that are labeled: flic11's order
SCALE = 2.2  # of every person; Newell et al. set it for all


def read_flic(
    path: Path,
    variables: dict[str, Any],
    images: Path | None = None,
    split: Split | None = None,
    faults: Faults | None = None,
) -> Labels:
    """The `examples` of the file's variables; left and right as they stand there.

    Boxes are squares around the torso box, from which the usual margin makes a crop of 200·2.2 pixels.
    split  `val` is the published test part
    Raises LabelError where the file is not of that structure.
    """
    people = in_split(_people(path, elements(variables["examples"])), split)
    return gather(people, definition("flic11"), path, images, faults=faults)


def _people(path: Path, examples: list) -> Iterator[tuple[bool, Person]]:
    for i, example in enumerate(examples, start=1):
        what = f"{path}: example {i}"
        name = field(example, "filepath")
        if not isinstance(name, str):
            raise LabelError(f"{what} needs a filepath, got {name!r:.60}")
        points = numbers(field(example, "coords"), (2, 29), f"{what}: coords").T[list(COLUMNS)] - 1
        points[np.isnan(points).any(axis=1)] = np.nan
        left, top, right, bottom = numbers(field(example, "torsobox"), (4,), f"{what}: torsobox") - 1
        box = square(((left + right) / 2, (top + bottom) / 2), HUMAN * SCALE / MARGIN)
        yield number(example, "istrain") == 1, Person(name, points, np.zeros(len(COLUMNS), bool), box)
