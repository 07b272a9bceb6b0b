"""Labels as a CSV table."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cairn.datasets.containers.text_file import first_bytes, read_text
from cairn.datasets.formats.format import Format, ReadOptions
from cairn.datasets.formats.table.rows import CLASS, COLUMNS, STRINGS, Row, labels_from_rows, renamed_columns, rows_of
from cairn.datasets.labels import Labels
from cairn.errors import LabelError
from cairn.files import atomic_write

START = re.compile(rb"(?=.*\bimage\b).*\bjoint\b")


def read_csv(path: Path, options: ReadOptions) -> Labels:
    """Reads a file of `write_csv`, or one with at least the columns image, object, joint, x, y and v.

    Cairn's results, `cairn.csv`, are read too: keypoints with at least the confidence of the options are labeled. A
    given skeleton names the joints where there is no skeleton beside the file.

    Raises:
        LabelError: Anything is missing or contradictory. Names the file and the row.
    """
    try:
        reader = csv.DictReader(io.StringIO(read_text(path), newline=""))
        content = list(reader)
    except csv.Error as error:
        raise LabelError(f"{path} is not valid CSV: {error}") from None
    names = renamed_columns(path, reader.fieldnames or ())
    rows = [_typed(row, names) for row in content]
    return labels_from_rows(rows, path, options, first=2, predicted=bool(names))


def write_csv(labels: Labels, path: Path) -> None:
    """Writes labels as a CSV table.

    Raises:
        OutputError: The file cannot be written.
    """
    with atomic_write(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        columns = (*COLUMNS, CLASS) if labels.classes else COLUMNS
        writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows_of(labels, path))


def _sniff(path: Path) -> bool:
    return START.match(first_bytes(path)) is not None


def _write(labels: Labels, path: Path, split: str) -> tuple[str, ...]:
    write_csv(labels, path)
    return ()


def _typed(row: Mapping[str, str | None], names: Mapping[str, str]) -> Row:
    """Strings, numbers, and None for nothing; invalid numbers become NaN, which every column rejects."""
    values: dict[str, Any] = dict.fromkeys((*COLUMNS, CLASS))
    for name in (*COLUMNS, CLASS):
        text = row.get(names.get(name, name))
        if text:
            values[name] = text if name in STRINGS else _number(text)
    return values


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


FORMAT = Format("csv", "Cairn's table (.csv)", (".csv",), _sniff, read_csv, _write, heads=True)
