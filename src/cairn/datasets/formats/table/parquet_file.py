"""Labels as a Parquet table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cairn.datasets.containers.text_file import first_bytes
from cairn.datasets.formats.format import Format, ReadOptions
from cairn.datasets.formats.table.rows import (
    CLASS,
    COLUMNS,
    INTEGERS,
    STRINGS,
    labels_from_rows,
    renamed_columns,
    rows_of,
)
from cairn.datasets.labels import Labels
from cairn.errors import LabelError, MissingExtra, SkeletonError
from cairn.files import atomic_write
from cairn.structures.skeleton import Skeleton

SKELETON = "cairn.skeleton"
"""Key of the skeleton in the metadata of the file."""

OLD_KEYS = (b"cairn.structures.skeleton",)  # of one earlier version


def read_parquet(path: Path, options: ReadOptions) -> Labels:
    """Reads a file of `write_parquet`, or one with at least the columns image, object, joint, x, y and v.

    Cairn's results, `cairn.parquet`, are read too: keypoints with at least the confidence of the options are labeled.
    A given skeleton names the joints where the file contains none.

    Raises:
        LabelError: Anything is missing or contradictory. Names the file and the row.
        MissingExtra: pyarrow is not installed.
    """
    pyarrow, parquet = _pyarrow()
    try:
        table = parquet.read_table(path)
        metadata = table.schema.metadata or {}
        text = next((metadata[key] for key in (SKELETON.encode(), *OLD_KEYS) if key in metadata), None)
        skeleton = Skeleton.from_dict(json.loads(text)) if text else None
        own_names, records = table.column_names, table.to_pylist()  # texts are decoded here
    except OSError as error:
        raise LabelError(f"cannot read labels {path}: {error.strerror or 'damaged, or not a Parquet file'}") from None
    except (pyarrow.ArrowException, ValueError, SkeletonError) as error:
        raise LabelError(f"{path} is damaged, or not a Parquet file ({type(error).__name__})") from None
    names = renamed_columns(path, own_names)
    columns = {name: names.get(name, name) for name in (*COLUMNS, CLASS)}
    rows = [{name: _typed(name, row.get(own)) for name, own in columns.items()} for row in records]
    return labels_from_rows(rows, path, options, first=1, skeleton=skeleton, predicted=bool(names))


def write_parquet(labels: Labels, path: Path) -> None:
    """Writes labels as a Parquet table with the skeleton.

    Raises:
        OutputError: The file cannot be written.
        MissingExtra: pyarrow is not installed.
    """
    pyarrow, parquet = _pyarrow()
    types = {name: pyarrow.string() if name in STRINGS else pyarrow.float64() for name in COLUMNS}
    types |= {name: pyarrow.int64() for name in INTEGERS}
    types |= {CLASS: pyarrow.string()} if labels.classes else {}
    rows = list(rows_of(labels, path))
    columns = {name: pyarrow.array([row.get(name) for row in rows], kind) for name, kind in types.items()}
    table = pyarrow.table(columns, metadata={SKELETON: json.dumps(labels.skeleton.to_dict())})
    with atomic_write(path) as partial:
        parquet.write_table(table, partial)


def _sniff(path: Path) -> bool:
    return first_bytes(path).startswith(b"PAR1")


def _write(labels: Labels, path: Path, split: str) -> tuple[str, ...]:
    write_parquet(labels, path)
    return ()


def _typed(name: str, value: Any) -> Any:
    """A value of the column's type; a number of another type becomes NaN, which every column rejects."""
    if value is None or isinstance(value, str if name in STRINGS else int | float):
        return value
    return str(value) if name in STRINGS else float("nan")


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet as parquet
    except ImportError:
        raise MissingExtra("pyarrow", "parquet") from None
    return pyarrow, parquet


FORMAT = Format("parquet", "Cairn's table (.parquet)", (".parquet",), _sniff, read_parquet, _write, heads=True)
