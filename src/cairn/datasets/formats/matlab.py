"""MATLAB files, as the published sets come. Their images count pixels from 1: readers subtract it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.errors import LabelError, MissingExtra


def read_mat(path: Path) -> dict[str, Any]:
    """The variables of a file; structs as objects with the fields as attributes, singleton dimensions dropped.

    Raises LabelError where it is no such file, MissingExtra without scipy.
    """
    try:
        from scipy.io import loadmat
    except ImportError:
        raise MissingExtra("scipy", "train") from None
    try:
        return loadmat(str(path), squeeze_me=True, struct_as_record=False, appendmat=False)
    except FileNotFoundError:
        raise LabelError(f"cannot read labels {path}: no such file") from None
    except NotImplementedError:
        raise LabelError(f"{path} is a MATLAB file of version 7.3: save it with -v7") from None
    except Exception as error:  # scipy raises whatever a damaged file leads it into
        raise LabelError(f"{path} is damaged, or no MATLAB file ({type(error).__name__})") from None


def elements(value: Any) -> list[Any]:
    """A struct array as a list, whatever of it the dropping of dimensions has left."""
    return list(value.ravel()) if isinstance(value, np.ndarray) else [value]


def field(struct: Any, name: str) -> Any:
    """A field of a struct; None where it is not there or empty."""
    value = getattr(struct, name, None)
    return None if isinstance(value, np.ndarray) and value.size == 0 else value


def number(struct: Any, name: str) -> float:
    """A field that is a number; NaN where it is not there, empty or something else."""
    value = field(struct, name)
    try:
        return float(value) if value is not None else float("nan")
    except (TypeError, ValueError):
        return float("nan")


def numbers(value: Any, shape: tuple[int, ...], what: str) -> NDArray[np.float64]:
    """An array of the shape that is expected. Raises LabelError, which `what` begins."""
    table = np.asarray(value)
    if table.dtype.kind not in "iuf" or table.shape != shape:
        raise LabelError(f"{what} must be {shape} numbers, got {table.shape} of {table.dtype}")
    return table.astype(np.float64)
