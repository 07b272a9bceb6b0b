"""Reads DeepLabCut's labels."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np

from cairn.datasets.formats.category import make_skeleton
from cairn.datasets.formats.deeplabcut.data_frame import read_data_frame
from cairn.datasets.formats.deeplabcut.sheet import Sheet, columns_of
from cairn.datasets.formats.format import ReadOptions, read_text
from cairn.datasets.formats.instances import Instance, ListedImage, collect
from cairn.datasets.formats.yaml_file import read_yaml
from cairn.datasets.labels import Labels
from cairn.datasets.problems import Problems
from cairn.errors import LabelError
from cairn.structures.skeleton import Skeleton

NUMBER = re.compile(r"(\d+)\D*$")
HEADER = ("scorer", "individuals", "bodyparts", "coords")


def read_deeplabcut(path: Path, options: ReadOptions) -> Labels:
    """Reads the labels of a file, or of all videos of a project by its folder or its config.yaml.

    The index of an individual is its track ID; body parts that occur once in the image are an instance of their own.
    Limbs are those of config.yaml, if the file is in its project.

    Raises:
        LabelError: A record is invalid. Names the file and the image.
        MissingExtra: A package for .h5 or .yaml files is not installed.
    """
    problems = options.problems
    root = path if path.is_dir() else path.parent
    is_project = path.is_dir() or path.name == "config.yaml"
    sheets = [(file, _sheet(file, problems)) for file in (_label_files(root) if is_project else [path])]
    joints = list(dict.fromkeys(part for _, sheet in sheets for _, part, _ in sheet.columns))
    individuals = list(dict.fromkeys(individual for _, sheet in sheets for individual, _, _ in sheet.columns))
    instances: list[Instance] = []
    listed: list[ListedImage] = []
    for file, sheet in sheets:
        seen: set[str] = set()
        for row, name in enumerate(sheet.names):
            with problems:
                if name in seen:
                    raise LabelError(f"{file}: {name} occurs twice: list an image once")
                seen.add(name)
                instances += sheet.instances(row, individuals, joints, f"{file}: {name}")
                digits = NUMBER.search(Path(name).stem)
                frame = int(digits[1]) if digits else None
                listed.append(ListedImage(name, None, (f"video {file.parent.name}",), frame))
    if not joints or not instances:
        raise LabelError(f"{path}: no image has a labeled joint")
    return collect(instances, _skeleton(joints, path), path, options.images or root, listed, problems=problems)


def _label_files(root: Path) -> list[Path]:
    """One file for each video; a .csv and an .h5 side by side have the same content."""
    tables = sorted(root.glob("labeled-data/*/CollectedData_*.csv"))
    frames = sorted(root.glob("labeled-data/*/CollectedData_*.h5"))
    others = [file for file in frames if file.with_suffix(".csv") not in tables]
    if not tables and not others:
        raise LabelError(f"{root} has no labeled-data/VIDEO/CollectedData_SCORER.csv: label some images first")
    return [*tables, *others]


def _sheet(path: Path, problems: Problems) -> Sheet:
    if path.suffix.lower() == ".csv":
        return _read_csv(path, problems)
    columns, names, values = read_data_frame(path)
    return Sheet(columns_of(columns, path), names, values)


def _read_csv(path: Path, problems: Problems) -> Sheet:
    try:
        rows = list(csv.reader(read_text(path).splitlines()))
    except csv.Error as error:
        raise LabelError(f"{path} is not valid CSV: {error}") from None
    header = {row[0]: row for row in rows[:5] if row and row[0] in HEADER}
    if not {"bodyparts", "coords"} <= set(header):
        raise LabelError(f"{path} is not a file of DeepLabCut: expected the rows scorer, bodyparts and coords")
    first = next((i for i, cell in enumerate(header["coords"]) if i and cell), 1)  # after the path of the image
    width = len(header["coords"])
    columns = [tuple(header[row][first:]) for row in HEADER if row in header]
    if len({len(cells) for cells in columns}) != 1:
        raise LabelError(f"{path}: its header rows have different lengths")
    names: list[str] = []
    values: list[list[float]] = []
    for i, row in enumerate(rows[len(header) :], start=len(header) + 1):
        with problems:
            if any(row):
                if len(row) != width:
                    raise LabelError(f"{path}: row {i} has {len(row)} cells, expected {width}: is it truncated?")
                values.append(_numbers(row[first:], f"{path}: row {i}"))
                names.append("/".join(row[:first]))
    table = np.array(values).reshape(len(names), width - first)
    return Sheet(columns_of(list(zip(*columns, strict=True)), path), tuple(names), table)


def _numbers(cells: list[str], record: str) -> list[float]:
    try:
        return [float(cell) if cell.strip() else np.nan for cell in cells]
    except ValueError:
        raise LabelError(f"{record}: expected numbers or nothing, got {','.join(cells):.60}") from None


def _skeleton(joints: list[str], path: Path) -> Skeleton:
    """With the limbs and the name of config.yaml, if the file or a folder above has one."""
    folders = [path if path.is_dir() else path.parent, *path.absolute().parents][:4]
    config = next((folder / "config.yaml" for folder in folders if (folder / "config.yaml").is_file()), None)
    table = read_yaml(config) if config else {}
    if "bodyparts" not in table:  # of another program
        table = {}
    given = table.get("skeleton") or []
    pairs = [pair for pair in given if isinstance(pair, list) and len(pair) == 2 and set(map(str, pair)) <= set(joints)]
    limbs = [(joints.index(str(a)), joints.index(str(b))) for a, b in pairs]
    return make_skeleton(str(table.get("Task") or "animal"), joints, limbs)
