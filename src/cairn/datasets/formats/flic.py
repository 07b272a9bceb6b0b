"""Frames Labeled in Cinema (Sapp and Taskar, MODEC, CVPR 2013): examples.mat."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from cairn.datasets.containers.matlab import elements, field, has_variable, number, numbers, read_mat
from cairn.datasets.formats.format import Format, ReadOptions
from cairn.datasets.formats.instances import (
    CROP_MARGIN,
    PERSON_HEIGHT,
    Box,
    Instance,
    checked_points,
    collect,
    square,
)
from cairn.datasets.formats.splits import by_split
from cairn.datasets.labels import Labels
from cairn.datasets.problems import Problems
from cairn.errors import LabelError
from cairn.structures.skeleton import load_skeleton

COLUMNS = (0, 1, 2, 3, 4, 5, 6, 9, 12, 13, 16)  # the labeled ones of the file's 29 joints, in the order of flic11
SCALE = 2.2  # of every person, as set by Newell et al.


def read_flic(path: Path, options: ReadOptions) -> Labels:
    """Reads the `examples` of a file; left and right are as in the file.

    Boxes are squares around the torso box, from which the default margin makes a crop of 200·2.2 pixels. The splits are
    the published ones: `istrain` and `istest`.

    Raises:
        LabelError: The file does not have the published structure.
    """
    entries = _instances(path, elements(read_mat(path)["examples"]), options.problems)
    instances, listed = by_split(entries, options.split, options.problems)
    return collect(instances, load_skeleton("flic11"), path, options.images, listed, problems=options.problems)


def _sniff(path: Path) -> bool:
    return has_variable(path, "examples")


def _instances(path: Path, examples: list[Any], problems: Problems) -> Iterator[tuple[str | None, Instance]]:
    for i, example in enumerate(examples, start=1):
        with problems:
            yield _split(example), _instance(example, f"{path}: example {i}")


def _split(example: Any) -> str | None:
    return next((name for name in ("train", "test") if number(example, f"is{name}") == 1), None)


def _instance(example: Any, record: str) -> Instance:
    name = field(example, "filepath")
    if not isinstance(name, str):
        raise LabelError(f"{record} needs a filepath, got {name!r:.60}")
    coords = numbers(field(example, "coords"), (2, 29), f"{record}: coords").T[list(COLUMNS)] - 1
    return Instance(name, checked_points(coords, record), np.zeros(len(COLUMNS), bool), _box(example, record))


def _box(example: Any, record: str) -> Box | None:
    """The square around the torso box; None where the torso box is missing."""
    if field(example, "torsobox") is None:
        return None
    corners = numbers(example.torsobox, (4,), f"{record}: torsobox") - 1
    if not np.isfinite(corners).all():
        return None
    left, top, right, bottom = corners.tolist()
    return square(((left + right) / 2, (top + bottom) / 2), PERSON_HEIGHT * SCALE / CROP_MARGIN)


FORMAT = Format("flic", "FLIC's examples.mat", (".mat",), _sniff, read_flic, splits=("train", "test"))
