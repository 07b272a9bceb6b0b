"""The .csv files of DeepLabCut, as pandas writes them and as spreadsheet programs save them again."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cairn.datasets.containers.text_file import read_text
from cairn.datasets.formats.deeplabcut.sheet import AXES, Sheet, make_sheet
from cairn.datasets.problems import Problems
from cairn.errors import LabelError

HEADER = ("scorer", "individuals", "bodyparts", "coords")
DELIMITERS = (",", ";", "\t")


def read_csv(path: Path, scorers: Sequence[str], problems: Problems) -> Sheet:
    """Reads a file; with semicolons between the cells, numbers may have a decimal comma.

    Raises:
        LabelError: It is not a file of DeepLabCut, or a row is invalid.
    """
    text = read_text(path)
    delimiter = next((mark for mark in DELIMITERS if text.startswith(HEADER[0] + mark)), ",")
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    except csv.Error as error:
        raise LabelError(f"{path} is not valid CSV: {error}") from None
    header = {row[0]: row for row in rows[: len(HEADER)] if row and row[0] in HEADER}
    if not {"bodyparts", "coords"} <= set(header):
        raise LabelError(f"{path} is not a file of DeepLabCut: expected the rows scorer, bodyparts and coords")
    first = next((i for i, cell in enumerate(header["coords"]) if i and cell in AXES), 1)  # after the image's path
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
                values.append(_numbers(row[first:], delimiter, f"{path}: row {i}"))
                names.append("/".join(cell for cell in row[:first] if cell))
    table = np.array(values).reshape(len(names), width - first)
    return make_sheet(list(zip(*columns, strict=True)), names, table, path, scorers)


def csv_text(columns: Sequence[Sequence[str]], names: Sequence[Sequence[str]], cells: Sequence[Sequence[str]]) -> str:
    """Returns the text of a file that `read_csv` and DeepLabCut read.

    Args:
        columns: (scorer, [individual,] body part, x or y) of each column.
        names: The path of each image: `labeled-data`, folder, name.
        cells: Numbers of each image as text; empty where not labeled.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    rows = HEADER if len(columns[0]) == len(HEADER) else (HEADER[0], *HEADER[2:])
    for row, labels in zip(rows, zip(*columns, strict=True), strict=True):
        writer.writerow([row, "", "", *labels])
    writer.writerows([*name, *row] for name, row in zip(names, cells, strict=True))
    return text.getvalue()


def _numbers(cells: list[str], delimiter: str, record: str) -> list[float]:
    texts = [cell.replace(",", ".") for cell in cells] if delimiter == ";" else cells
    try:
        return [float(text) if text.strip() else np.nan for text in texts]
    except ValueError:
        raise LabelError(f"{record}: expected numbers or nothing, got {','.join(cells):.60}") from None
