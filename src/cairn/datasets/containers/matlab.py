"""MATLAB files, in which the published data sets come. Their pixels count from 1: readers subtract 1.

scipy reads them in another process, which hands their variables over: a damaged file can crash it, one time and not the
next.
"""

from __future__ import annotations

import pickle
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.containers.text_file import first_bytes
from cairn.datasets.containers.trial import MAX_SECONDS, TOO_LARGE, run_apart, seconds_for, why_ended
from cairn.errors import LabelError, MissingExtra

MAX_BYTES = 2**30
"""Size that the variables of a file may expand to: a few megabytes of zeros in a file become gigabytes in memory."""

MISSING = 3
"""Exit status of the process without scipy."""

READING = f"""
import os
import pickle
import struct
import sys
import zlib
try:
    from scipy.io import loadmat, whosmat
except ImportError:
    sys.exit({MISSING})

path, what = sys.argv[1:]
try:
    with open(path, "rb") as file:
        order = ">" if file.read(128)[126:] == b"MI" else "<"
        expanded = 0
        while len(tag := file.read(8)) == 8:
            kind, size = struct.unpack(order + "2I", tag)
            if kind != 15:  # not compressed
                file.seek(size, 1)
                continue
            stream, part = zlib.decompressobj(), file.read(min(size, os.path.getsize(path)))
            try:
                while part and not stream.eof:
                    expanded += len(stream.decompress(part, 1 << 20))
                    part = stream.unconsumed_tail
                    if expanded > {MAX_BYTES}:
                        sys.exit({TOO_LARGE})
            except zlib.error:
                pass
    if what == "names":
        value = [name for name, *_ in whosmat(path, appendmat=False)]
    else:
        value = loadmat(path, squeeze_me=what == "squeezed", struct_as_record=False, appendmat=False)
    result = pickle.dumps((None, value))
except MemoryError:
    sys.exit({TOO_LARGE})
except Exception as error:
    result = pickle.dumps((type(error).__name__, None))
sys.stdout.buffer.write(result)
"""
"""Measures what is compressed, and writes the name of an error and the variables, or their names."""


def has_variable(path: Path, name: str) -> bool:
    """Returns whether a path is a MATLAB file with a variable of this name; the values are not loaded.

    Raises:
        LabelError: The file is damaged.
        MissingExtra: scipy is not installed.
    """
    return first_bytes(path).startswith(b"MATLAB") and name in variable_names(path)


def variable_names(path: Path) -> list[str]:
    """Returns the names of the variables in a MATLAB file.

    Raises:
        LabelError: The file is damaged.
        MissingExtra: scipy is not installed.
    """
    try:
        state = path.stat()
    except OSError as error:
        raise LabelError(f"cannot read labels {path}: {error.strerror or error}") from None
    names: list[str] = _value(path, _names(path, state.st_size, state.st_mtime_ns))
    return names


def read_mat(path: Path, squeeze: bool = True) -> dict[str, Any]:
    """Returns the variables of a file: structs as objects with attributes.

    Args:
        path: The file.
        squeeze: Whether singleton dimensions are dropped; nested cells are ambiguous without them.

    Raises:
        LabelError: The file is missing, damaged, or not a MATLAB file.
        MissingExtra: scipy is not installed.
    """
    variables: dict[str, Any] = _value(path, _read(path, "squeezed" if squeeze else "whole"))
    return variables


def elements(value: Any) -> list[Any]:
    """Returns a struct array as a list, whatever number of dimensions it has left."""
    return list(value.ravel()) if isinstance(value, np.ndarray) else [value]


def field(struct: Any, name: str) -> Any:
    """Returns a field of a struct; None where it is missing or empty."""
    value = getattr(struct, name, None)
    return None if isinstance(value, np.ndarray) and value.size == 0 else value


def number(struct: Any, name: str) -> float:
    """Returns a numeric field; NaN where it is missing, empty or not a number."""
    value = field(struct, name)
    try:
        return float(value) if value is not None else float("nan")
    except (TypeError, ValueError):
        return float("nan")


def numbers(value: Any, shape: tuple[int, ...], what: str) -> NDArray[np.float64]:
    """Returns an array of the expected shape.

    Args:
        value: The array.
        shape: The expected shape.
        what: Start of the error message.

    Raises:
        LabelError: It has another shape, or is not numeric.
    """
    table = np.asarray(value)
    if table.dtype.kind not in "iuf" or table.shape != shape:
        raise LabelError(f"{what} must be {shape} numbers, got {table.shape} of {table.dtype}")
    return table.astype(np.float64)


def _value(path: Path, content: tuple[str | None, Any]) -> Any:
    """The value that the process has read, or its error."""
    error, value = content
    if error is None:
        return value
    if error == "FileNotFoundError":
        raise LabelError(f"cannot read labels {path}: no such file")
    if error == "NotImplementedError":
        raise LabelError(f"{path} is a MATLAB file of version 7.3: save it with -v7")
    raise LabelError(f"{path} is damaged, or not a MATLAB file ({error})")


@lru_cache(maxsize=8)
def _names(path: Path, size: int, changed: int) -> tuple[str | None, Any]:
    """Error or names of the variables; once for each state of a file, since every format asks."""
    return _read(path, "names")


def _read(path: Path, what: str) -> tuple[str | None, Any]:
    """Error or value that the process hands over."""
    output, status = run_apart(READING, [str(path.absolute()), what], seconds_for([path], MAX_SECONDS))
    if status == MISSING:
        raise MissingExtra("scipy", "train")
    if (reason := why_ended(status, f"it expands to more than {MAX_BYTES:,} bytes", "scipy")) is not None:
        raise LabelError(f"{path} is damaged: {reason}")
    if not output:
        raise LabelError(f"cannot read labels {path}: no process can be started that reads it")
    content: tuple[str | None, Any] = pickle.loads(output)  # written by our own process
    return content
