"""The data frame of a DeepLabCut .h5 file, as pandas writes it ("fixed", or "table" in older versions).

pandas executes pickled content of such a file. This reader accepts only strings, numbers, lists and tuples.
"""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from cairn.errors import LabelError, MissingExtra

Column = tuple[str, ...]


def read_data_frame(path: Path) -> tuple[list[Column], tuple[str, ...], NDArray[np.float64]]:
    """Returns the columns, the names of the rows, and the values (rows, columns).

    Raises:
        LabelError: The file is damaged, or not a file of DeepLabCut.
        MissingExtra: h5py is not installed.
    """
    try:
        import h5py
    except ImportError:
        raise MissingExtra("h5py", "io") from None
    try:
        with h5py.File(path) as file:
            frames = [group for group in file.values() if "pandas_type" in group.attrs]
            if len(frames) != 1:
                raise LabelError(f"{path} is not a file of DeepLabCut: expected one data frame, got {len(frames)}")
            return _table(frames[0]) if "table" in frames[0] else _fixed(frames[0])
    except (OSError, KeyError, ValueError, TypeError, IndexError, pickle.UnpicklingError, EOFError) as error:
        raise LabelError(f"{path} is damaged, or not a file of DeepLabCut ({type(error).__name__})") from None


def _fixed(group: Any) -> tuple[list[Column], tuple[str, ...], NDArray[np.float64]]:
    columns, names = _axis(group, "axis0"), _axis(group, "axis1")
    values = np.full((len(names), len(columns)), np.nan)
    for block in range(int(group.attrs["nblocks"])):
        indices = [columns.index(column) for column in _axis(group, f"block{block}_items")]
        values[:, indices] = group[f"block{block}_values"][()]
    return columns, tuple("/".join(name) for name in names), values


def _axis(group: Any, axis: str) -> list[Column]:
    """The labels of an axis, each with its levels."""
    if f"{axis}_nlevels" not in group.attrs:
        return [(_text(label),) for label in group[axis][()]]
    count = int(group.attrs[f"{axis}_nlevels"])
    levels = [[_text(label) for label in group[f"{axis}_level{i}"][()]] for i in range(count)]
    codes = [group[f"{axis}_label{i}"][()] for i in range(count)]
    return [tuple(level[code] for level, code in zip(levels, row, strict=True)) for row in zip(*codes, strict=True)]


def _table(group: Any) -> tuple[list[Column], tuple[str, ...], NDArray[np.float64]]:
    rows = group["table"][()]
    ((_, columns),) = _PlainUnpickler(io.BytesIO(bytes(group.attrs["non_index_axes"]))).load()
    blocks = sorted(name for name in rows.dtype.names if name.startswith("values_block_"))
    if len(blocks) != 1:
        raise ValueError("columns of several types")
    return [tuple(map(str, column)) for column in columns], tuple(map(_text, rows["index"])), rows[blocks[0]]


class _PlainUnpickler(pickle.Unpickler):
    """Loads built-in values only, and no classes or functions."""

    def find_class(self, module: str, name: str) -> NoReturn:
        raise pickle.UnpicklingError(f"{module}.{name}")

    def persistent_load(self, pid: Any) -> NoReturn:
        raise pickle.UnpicklingError("an external object")


def _text(label: Any) -> str:
    return label.decode("utf-8") if isinstance(label, bytes) else str(label)
