"""MATLAB files, in which the published data sets come. Their pixels count from 1: readers subtract 1."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.formats.format import first_bytes
from cairn.errors import LabelError, MissingExtra

T = TypeVar("T")


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

    def names() -> list[str]:
        from scipy.io import whosmat

        return [name for name, *_ in whosmat(str(path), appendmat=False)]

    return _guarded(names, path)


def read_mat(path: Path) -> dict[str, Any]:
    """Returns the variables of a file: structs as objects with attributes, singleton dimensions dropped.

    Raises:
        LabelError: The file is missing, damaged, or not a MATLAB file.
        MissingExtra: scipy is not installed.
    """

    def variables() -> dict[str, Any]:
        from scipy.io import loadmat

        content: dict[str, Any] = loadmat(str(path), squeeze_me=True, struct_as_record=False, appendmat=False)
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
