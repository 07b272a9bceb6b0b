"""MATLAB files, in which the published data sets come. Their pixels count from 1: readers subtract 1."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.containers.text_file import first_bytes
from cairn.datasets.containers.trial import MAX_SECONDS, TOO_LARGE, failed_trial
from cairn.errors import LabelError, MissingExtra

T = TypeVar("T")

MAX_BYTES = 2**30
"""Size that the variables of a file may expand to: a few megabytes of zeros in a file become gigabytes in memory."""

TRIAL = f"""
import os
import struct
import sys
import zlib
try:
    from scipy.io import loadmat
except ImportError:
    sys.exit(0)

path = sys.argv[1]
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
try:
    loadmat(path, appendmat=False, struct_as_record=False)
except MemoryError:
    sys.exit({TOO_LARGE})
except Exception:
    pass
"""
"""Measures what is compressed and reads all of a file; the reader finds errors again."""


def has_variable(path: Path, name: str) -> bool:
    """Returns whether a path is a MATLAB file with a variable of this name; the values are not loaded.

    Raises:
        LabelError: The file is damaged.
        MissingExtra: scipy is not installed.
    """
    return first_bytes(path).startswith(b"MATLAB") and name in variable_names(path)


def check_readable(path: Path) -> None:
    """Reads a file in another process first, because a damaged file can crash scipy.

    Raises:
        LabelError: A file crashes it, expands beyond bounds, or reading does not end.
    """
    try:
        state = path.stat()
    except OSError:  # the reader says so
        return
    if (reason := _failure(path, state.st_size, state.st_mtime_ns)) is not None:
        raise LabelError(reason)


def variable_names(path: Path) -> list[str]:
    """Returns the names of the variables in a MATLAB file.

    Raises:
        LabelError: The file is damaged.
        MissingExtra: scipy is not installed.
    """

    def names() -> list[str]:
        from scipy.io import whosmat

        return [name for name, *_ in whosmat(str(path), appendmat=False)]

    return _guarded(names, path)


def read_mat(path: Path, squeeze: bool = True) -> dict[str, Any]:
    """Returns the variables of a file: structs as objects with attributes.

    Args:
        path: The file.
        squeeze: Whether singleton dimensions are dropped; nested cells are ambiguous without them.

    Raises:
        LabelError: The file is missing, damaged, or not a MATLAB file.
        MissingExtra: scipy is not installed.
    """

    def variables() -> dict[str, Any]:
        from scipy.io import loadmat

        content: dict[str, Any] = loadmat(str(path), squeeze_me=squeeze, struct_as_record=False, appendmat=False)
        return content

    return _guarded(variables, path)


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


def _guarded(load: Callable[[], T], path: Path) -> T:
    """The result of a function that uses scipy, whose errors depend on how a file is damaged."""
    check_readable(path)
    try:
        return load()
    except ImportError:
        raise MissingExtra("scipy", "train") from None
    except FileNotFoundError:
        raise LabelError(f"cannot read labels {path}: no such file") from None
    except NotImplementedError:
        raise LabelError(f"{path} is a MATLAB file of version 7.3: save it with -v7") from None
    except Exception as error:
        raise LabelError(f"{path} is damaged, or not a MATLAB file ({type(error).__name__})") from None


@lru_cache(maxsize=8)
def _failure(path: Path, size: int, changed: int) -> str | None:
    """Why a file cannot be read; once for each state of it, since detection and reading ask."""
    return failed_trial(TRIAL, [path], f"it expands to more than {MAX_BYTES:,} bytes", "scipy", MAX_SECONDS)
