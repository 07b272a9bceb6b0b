"""HDF5 files, in which SLEAP and DeepLabCut write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.formats.format import first_bytes
from cairn.errors import LabelError, MissingExtra

SIGNATURE = b"\x89HDF\r\n\x1a\n"

LABELS = frozenset({"metadata", "frames"})
"""Names at the root of SLEAP's .slp."""

ANALYSIS = frozenset({"tracks", "node_names"})
"""Names at the root of SLEAP's analysis files."""

MAX_BYTES = 2**31
"""Size in memory of the largest array that is read: a damaged or malicious header may state any size."""


def root_keys(path: Path) -> frozenset[str] | None:
    """Returns the names at the root of an HDF5 file; None for another file.

    Raises:
        LabelError: The file is damaged.
        MissingExtra: h5py is not installed.
    """
    if not first_bytes(path).startswith(SIGNATURE):
        return None
    try:
        import h5py
    except ImportError:
        raise MissingExtra("h5py", "io") from None
    try:
        with h5py.File(path) as file:
            return frozenset(file)
    except (OSError, RuntimeError, ValueError, UnicodeDecodeError):
        raise LabelError(f"{path} is damaged: it is an HDF5 file (SLEAP, DeepLabCut) and cannot be opened") from None


def read_array(group: Any, name: str) -> NDArray[Any]:
    """Returns an array of an open file.

    Args:
        group: h5py.File or h5py.Group.
        name: Name of the array in the group.

    Raises:
        KeyError: There is none of this name.
        ValueError: It is too large, or not an array.
    """
    dataset = group[name]
    size = int(np.prod(dataset.shape, dtype=np.float64)) * dataset.dtype.itemsize
    if size > MAX_BYTES:
        raise ValueError(f"{name} has {size:,} bytes")
    return np.asarray(dataset[()])
