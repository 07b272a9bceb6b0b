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

from cairn.datasets.formats.people import Person, gather, placed
from cairn.datasets.formats.yolo import IMAGES
from cairn.datasets.image_files import folders_of
from cairn.datasets.labels import Labels
from cairn.datasets.problems import Faults
from cairn.errors import LabelError
from cairn.structures.skeleton import Skeleton
from cairn.structures.skeleton import load_skeleton as definition

FORM = re.compile(r"\s*version\s*:\s*\d+\s+n_points\s*:\s*(\d+)\s*\{(.*)\}\s*", re.DOTALL)


def read_pts(
    path: Path, images: Path | None = None, names: Skeleton | None = None, faults: Faults | None = None
) -> Labels:
    """A file, or all of a folder; the image has the file's name. 68 points are `face68`, others have numbers.

    names  what the points are, in order; they have no names of their own
    Raises LabelError where a file is not of that form, or they have different numbers of points.
    """
    faults = faults or Faults()
    files = sorted(path.rglob("*.pts")) if path.is_dir() else [path]
    if not files:
        raise LabelError(f"{path} has no .pts files")
    people: list[Person] = []
    count = 0
    for file in files:
        with faults:
            points = _points(file)
            count = count or len(points)
            if len(points) != count:
                raise LabelError(f"{file}: {len(points)} points, where {files[0].name} has {count}")
            people.append(Person(_image(file, images), points, np.zeros(count, bool)))
    if not people:
        raise LabelError(f"{path}: none of its {len(files)} .pts files can be used")
    return gather(people, _skeleton(count, names), path, None, faults=faults)


def _points(file: Path) -> np.ndarray:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise LabelError(f"cannot read labels {file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise LabelError(f"{file} is no UTF-8 text") from None
    if not text.strip():
        raise LabelError(f"{file} is empty")
    form = FORM.fullmatch(text)
    if form is None:
        raise LabelError(f"{file} is not of 300-W's form, or cut short: expected version, n_points and {{ points }}")
    lines = [line.split() for line in form[2].splitlines() if line.strip()]
    if len(lines) != int(form[1]):
        raise LabelError(f"{file}: n_points is {form[1]}, and there are {len(lines)} points")
    try:
        points = np.array([[float(x), float(y)] for x, y in lines])
    except ValueError:
        raise LabelError(f"{file}: each point must be two numbers") from None
    if np.isnan(points).any():
        raise LabelError(f"{file}: expected finite numbers, got nan")
    return placed(points, str(file)) - 1


def _image(file: Path, images: Path | None) -> str:
    folder = folders_of(file, images)[0]
    for place in (folder, file.parent):
        for ending in IMAGES:
            for name in (file.with_suffix(ending).name, file.with_suffix(ending.upper()).name):
                if (place / name).is_file():
                    return str((place / name).absolute())
    raise LabelError(f"{file}: no image {file.stem}.jpg or .png in {folder}: say where they lie with --images")


def _skeleton(count: int, names: Skeleton | None) -> Skeleton:
    if names is not None and len(names) == count:
        return names
    if count == len(definition("face68")):
        return definition("face68")
    return Skeleton("points", tuple(f"point_{i}" for i in range(count)))
