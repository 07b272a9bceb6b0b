"""DeepLabCut's labels: CollectedData_SCORER.csv (or .h5) in each labeled-data/VIDEO, and the project's config.yaml.

scorer,,,me,me,me,me
individuals,,,mouse1,mouse1,mouse2,mouse2      only where there are several animals
bodyparts,,,snout,snout,snout,snout
coords,,,x,y,x,y
labeled-data,video,img001.png,10.5,20.25,,     older files have the path in one column
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.formats.category import described
from cairn.datasets.formats.people import Listed, Person, gather, placed
from cairn.datasets.formats.yaml_file import read_yaml
from cairn.datasets.labels import Labels
from cairn.datasets.problems import Faults
from cairn.errors import LabelError
from cairn.structures.skeleton import Skeleton

NUMBER = re.compile(r"(\d+)\D*$")
ALONE = "single"  # whose body parts there is one of in an image with several animals


@dataclass(frozen=True, eq=False)
class Sheet:
    """What a .csv and an .h5 file hold alike.

    columns  (individual, body part, x or y) of each
    names    of the images
    values   (images, columns), NaN where not labeled
    """

    columns: tuple[tuple[str, str, str], ...]
    names: tuple[str, ...]
    values: NDArray[np.float64]


def read_deeplabcut(path: Path, images: Path | None = None, faults: Faults | None = None) -> Labels:
    """The labels of a file, or of all videos of a project: its folder or its config.yaml.

    An individual's place among the others is its track; what there is one of in the image is an object of its own.
    Limbs are config.yaml's, where the file lies in its project.
    Raises LabelError with file and image where anything cannot be used; MissingExtra without what .h5 and .yaml need.
    """
    faults = faults or Faults()
    root = path if path.is_dir() else path.parent
    whole = path.is_dir() or path.name == "config.yaml"
    files = _files_of(root) if whole else [path]
    sheets = [(file, _sheet(file, faults)) for file in files]
    joints = list(dict.fromkeys(part for _, sheet in sheets for _, part, _ in sheet.columns))
    individuals = list(dict.fromkeys(who for _, sheet in sheets for who, _, _ in sheet.columns))
    people: list[Person] = []
    listed: list[Listed] = []
    for file, sheet in sheets:
        video = file.parent.name
        seen: set[str] = set()
        for name, values in zip(sheet.names, sheet.values, strict=True):
            with faults:
                if name in seen:
                    raise LabelError(f"{file}: {name} stands twice: list an image once")
                seen.add(name)
                record = f"{file}: {name}"
                found = [_person(name, who, individuals, joints, sheet.columns, values, record) for who in individuals]
                people += [person for person in found if np.isfinite(person.keypoints).any()]
                digits = NUMBER.search(Path(name).stem)
                listed.append(Listed(name, None, (f"video {video}",), int(digits[1]) if digits else None))
    if not joints or not people:
        raise LabelError(f"{path}: no image has a labeled joint")
    folder = images or (root if whole else path.parent)
    return gather(people, _skeleton(joints, path), path, folder, listed=listed, faults=faults)


def _files_of(root: Path) -> list[Path]:
    """One for each video; where a .csv and an .h5 stand side by side they say the same."""
    tables = sorted(root.glob("labeled-data/*/CollectedData_*.csv"))
    frames = sorted(root.glob("labeled-data/*/CollectedData_*.h5"))
    others = [file for file in frames if file.with_suffix(".csv") not in tables]
    if not tables and not others:
        raise LabelError(f"{root} has no labeled-data/VIDEO/CollectedData_SCORER.csv: label some images first")
    return [*tables, *others]


def _sheet(path: Path, faults: Faults) -> Sheet:
    if path.suffix.lower() == ".csv":
        return _read_csv(path, faults)
    from cairn.datasets.formats.deeplabcut_h5 import read_frame

    columns, names, values = read_frame(path)
    return Sheet(_named(columns, path), names, values)


def _read_csv(path: Path, faults: Faults) -> Sheet:
    try:
        rows = list(csv.reader(path.read_text(encoding="utf-8-sig").splitlines()))
    except OSError as error:
        raise LabelError(f"cannot read labels {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise LabelError(f"{path} is no UTF-8 text") from None
    except csv.Error as error:
        raise LabelError(f"{path} is no CSV that can be read: {error}") from None
    head = {row[0]: row for row in rows[:5] if row and row[0] in ("scorer", "individuals", "bodyparts", "coords")}
    if not {"bodyparts", "coords"} <= set(head):
        raise LabelError(f"{path} is not DeepLabCut's: expected the rows scorer, bodyparts and coords")
    first = next((i for i, cell in enumerate(head["coords"]) if i and cell), 1)  # after the parts of an image's path
    width = len(head["coords"])
    columns = [tuple(head[row][first:]) for row in ("scorer", "individuals", "bodyparts", "coords") if row in head]
    if len({len(cells) for cells in columns}) != 1:
        raise LabelError(f"{path}: its header rows have different lengths")
    names: list[str] = []
    values: list[list[float]] = []
    for i, row in enumerate(rows[len(head) :], start=len(head) + 1):
        with faults:
            if any(row):
                if len(row) != width:
                    raise LabelError(f"{path}: row {i} has {len(row)} cells, expected {width}: is it cut short?")
                values.append(_numbers(row[first:], f"{path}: row {i}"))
                names.append("/".join(row[:first]))
    table = np.array(values).reshape(len(names), width - first)
    return Sheet(_named(list(zip(*columns, strict=True)), path), tuple(names), table)


def _numbers(cells: list[str], record: str) -> list[float]:
    try:
        return [float(cell) if cell.strip() else np.nan for cell in cells]
    except ValueError:
        raise LabelError(f"{record}: expected numbers or nothing, got {','.join(cells):.60}") from None


def _named(columns: Sequence[Sequence[str]], path: Path) -> tuple[tuple[str, str, str], ...]:
    """(scorer, [individual,] body part, x or y) without the scorer."""
    if any(column[-1] == "likelihood" for column in columns):
        raise LabelError(f"{path} is what DeepLabCut found in a video (it has likelihoods), not what somebody labeled")
    if any(len(column) not in (3, 4) or column[-1] not in ("x", "y") for column in columns):
        raise LabelError(f"{path}: columns must be scorer, perhaps individual, body part, and x or y")
    named = tuple((column[1] if len(column) == 4 else "", column[-2], column[-1]) for column in columns)
    if len(set(named)) != len(named):
        raise LabelError(f"{path}: a body part stands twice in its header")
    return named


def _person(
    name: str,
    who: str,
    individuals: list[str],
    joints: list[str],
    columns: tuple[tuple[str, str, str], ...],
    values: NDArray[np.float64],
    record: str,
) -> Person:
    points = np.full((len(joints), 2), np.nan)
    for (individual, part, axis), value in zip(columns, values.tolist(), strict=True):
        if individual == who:
            points[joints.index(part), "xy".index(axis)] = value
    track = individuals.index(who) if who not in ("", ALONE) else -1
    return Person(name, placed(points, record), np.zeros(len(joints), bool), track=track)


def _skeleton(joints: list[str], path: Path) -> Skeleton:
    """With the limbs and the name of the project's config.yaml, where there is one above."""
    above = [path if path.is_dir() else path.parent, *path.absolute().parents][:4]
    config = next((folder / "config.yaml" for folder in above if (folder / "config.yaml").is_file()), None)
    table = read_yaml(config) if config else {}
    if "bodyparts" not in table:  # of another program
        table = {}
    given = table.get("skeleton") or []
    pairs = [pair for pair in given if isinstance(pair, list) and len(pair) == 2 and set(map(str, pair)) <= set(joints)]
    limbs = [(joints.index(str(a)), joints.index(str(b))) for a, b in pairs]
    return described(str(table.get("Task") or "animal"), joints, limbs)
