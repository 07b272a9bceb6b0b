"""The data frame of a DeepLabCut .h5 file, in the layout of pandas ("fixed", or "table" for predictions).

pandas executes pickled content of such a file. This reader accepts only strings, numbers, lists and tuples.
"""

from __future__ import annotations

import io
import pickle
import pickletools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.containers.hdf5 import read_array
from cairn.errors import LabelError, MissingExtra

Column = tuple[str, ...]

KEY = "df_with_missing"
"""Name of the data frame in the files of DeepLabCut."""

GROUP = {"CLASS": "GROUP", "VERSION": "1.0", "TITLE": ""}
ARRAY = {"CLASS": "ARRAY", "VERSION": "2.4", "FLAVOR": "numpy", "TITLE": ""}
NO_NAME = "N."  # None, pickled, where a level has no name


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
    except LabelError:
        raise
    except Exception as error:  # its type depends on how the file is damaged
        raise LabelError(f"{path} is damaged, or not a file of DeepLabCut ({type(error).__name__})") from None


def write_data_frame(
    path: Path, columns: Sequence[Column], levels: Sequence[str], names: Sequence[Column], values: NDArray[np.float64]
) -> None:
    """Writes a data frame that pandas reads with `read_hdf`.

    Args:
        path: The file.
        columns: Labels of each column, one for each level.
        levels: Names of the levels.
        names: Labels of each row.
        values: (rows, columns).

    Raises:
        MissingExtra: h5py is not installed.
    """
    try:
        import h5py
    except ImportError:
        raise MissingExtra("h5py", "io") from None
    with h5py.File(path, "w") as file:
        _set_texts(file, {**GROUP, "PYTABLES_FORMAT_VERSION": "2.1"})
        group = file.create_group(KEY)
        _set_texts(group, {**GROUP, "pandas_type": "frame", "encoding": "UTF-8", "errors": "strict"})
        group.attrs["ndim"], group.attrs["nblocks"] = 2, 1
        _add_axis(group, "axis0", columns, levels)
        _add_axis(group, "block0_items", columns, levels)
        _add_axis(group, "axis1", names, [NO_NAME] * len(names[0]))
        _add_array(group, "block0_values", values)


def _fixed(group: Any) -> tuple[list[Column], tuple[str, ...], NDArray[np.float64]]:
    columns, names = _axis(group, "axis0"), _axis(group, "axis1")
    values = np.full((len(names), len(columns)), np.nan)
    places = {column: i for i, column in enumerate(columns)}
    for block in range(int(group.attrs["nblocks"])):
        indices = [places[column] for column in _axis(group, f"block{block}_items")]
        values[:, indices] = read_array(group, f"block{block}_values")
    return columns, tuple("/".join(filter(None, name)) for name in names), values


def _axis(group: Any, axis: str) -> list[Column]:
    """The labels of an axis, each with its levels."""
    if f"{axis}_nlevels" not in group.attrs:
        return [(_text(label),) for label in read_array(group, axis)]
    count = int(group.attrs[f"{axis}_nlevels"])
    levels = [[_text(label) for label in read_array(group, f"{axis}_level{i}")] for i in range(count)]
    codes = [read_array(group, f"{axis}_label{i}").tolist() for i in range(count)]
    return [
        tuple(level[code] if code >= 0 else "" for level, code in zip(levels, row, strict=True))
        for row in zip(*codes, strict=True)
    ]


def _add_axis(group: Any, axis: str, labels: Sequence[Column], names: Sequence[str]) -> None:
    group.attrs[f"{axis}_nlevels"] = len(names)
    _set_texts(group, {f"{axis}_variety": "multi"})
    for i, (name, column) in enumerate(zip(names, zip(*labels, strict=True), strict=True)):
        level = sorted(set(column))
        places = {label: place for place, label in enumerate(level)}
        encoded = np.array([label.encode() for label in level])
        array = _add_array(group, f"{axis}_level{i}", encoded)
        known = "None" if name == NO_NAME else name
        _set_texts(array, {"kind": "string", "nan_rep": ""})
        for key in ("name", f"{axis}_name{known}"):
            if name == NO_NAME:
                array.attrs[key] = np.bytes_(name)  # PyTables takes bytes for a pickle, and UTF-8 for text
            else:
                _set_texts(array, {key: name})
        _add_array(group, f"{axis}_label{i}", np.array([places[label] for label in column], np.int32))


def _add_array(group: Any, name: str, values: NDArray[Any]) -> Any:
    array = group.create_dataset(name, data=values)
    _set_texts(array, ARRAY)
    array.attrs["transposed"] = np.uint8(1)
    return array


def _set_texts(owner: Any, texts: dict[str, str]) -> None:
    """Attributes as PyTables writes them: of fixed length, in UTF-8."""
    import h5py

    for name, text in texts.items():
        kind = h5py.string_dtype("utf-8", max(len(text), 1))
        owner.attrs.create(name, np.array(text.encode(), kind) if text else h5py.Empty(kind), dtype=kind)


def _table(group: Any) -> tuple[list[Column], tuple[str, ...], NDArray[np.float64]]:
    rows = read_array(group, "table")
    ((_, columns),) = _unpickled(bytes(group.attrs["non_index_axes"]))
    blocks = sorted(name for name in rows.dtype.names or () if name.startswith("values_block_"))
    if len(blocks) != 1:
        raise ValueError("columns of several types")
    labels = [tuple(map(_text, column)) for column in columns]
    return labels, tuple(map(_text, rows["index"])), rows[blocks[0]]


def _unpickled(data: bytes) -> Any:
    """Built-in values of a pickle, no classes or functions."""
    for _, number, _ in pickletools.genops(data):
        if isinstance(number, int) and number > len(data):  # of a memo, for which memory would be reserved
            raise pickle.UnpicklingError(f"{number}")
    return _PlainUnpickler(io.BytesIO(data)).load()


class _PlainUnpickler(pickle.Unpickler):
    """Loads built-in values only, and no classes or functions."""

    def find_class(self, module: str, name: str) -> NoReturn:
        raise pickle.UnpicklingError(f"{module}.{name}")

    def persistent_load(self, pid: Any) -> NoReturn:
        raise pickle.UnpicklingError("an external object")


def _text(label: Any) -> str:
    """A name or a frame number as text."""
    if isinstance(label, list | tuple | dict | set):
        raise ValueError("nested labels")
    return label.decode("utf-8") if isinstance(label, bytes) else str(label)
