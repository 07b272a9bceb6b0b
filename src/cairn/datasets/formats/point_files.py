"""Text files of points, one beside each image: the common part of 300-W's `.pts` and the cat dataset's `.cat`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.formats.format import ReadOptions
from cairn.datasets.formats.instances import Instance, collect
from cairn.datasets.labels import Labels
from cairn.errors import LabelError
from cairn.structures.skeleton import Skeleton


@dataclass(frozen=True)
class PointFile:
    """How the files of a format are read.

    Attributes:
        suffix: Suffix of the files, in messages.
        points: Points of a file, (K, 2) (x, y) in pixels counted from 0.
        image: Path of the image of a file. Raises LabelError where there is none.
        skeleton: Skeleton of K points, with the given one, if any.
    """

    suffix: str
    points: Callable[[Path], NDArray[np.float64]]
    image: Callable[[Path], str]
    skeleton: Callable[[int, Skeleton | None], Skeleton]


def collect_points(files: Sequence[Path], source: Path, options: ReadOptions, kind: PointFile) -> Labels:
    """Returns one instance for each file.

    Args:
        files: The files.
        source: The file or folder that was given, for messages.
        options: Options of the reader.
        kind: How the files are read.

    Raises:
        LabelError: A file cannot be read, or the files have different numbers of points.
    """
    instances: list[Instance] = []
    count = 0
    for file in files:
        with options.problems:
            points = kind.points(file)
            count = count or len(points)
            if len(points) != count:
                raise LabelError(f"{file}: {len(points)} points, where {files[0].name} has {count}")
            instances.append(Instance(kind.image(file), points, np.zeros(count, bool)))
    if not instances:
        raise LabelError(f"{source}: none of its {len(files)} {kind.suffix} files is usable")
    return collect(instances, kind.skeleton(count, options.skeleton), source, None, problems=options.problems)
