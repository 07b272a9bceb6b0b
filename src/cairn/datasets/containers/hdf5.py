"""HDF5 files, in which SLEAP and DeepLabCut write."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.containers.text_file import first_bytes
from cairn.datasets.containers.trial import MAX_SECONDS, TOO_LARGE, failed_trial
from cairn.errors import LabelError, MissingExtra

SIGNATURE = b"\x89HDF\r\n\x1a\n"

LABELS = frozenset({"metadata", "frames"})
"""Names at the root of SLEAP's .slp."""

ANALYSIS = frozenset({"tracks", "node_names"})
"""Names at the root of SLEAP's analysis files."""

MAX_BYTES = 2**31
"""Size in memory of the largest array that is read: a damaged or malicious header may state any size."""

MAX_RATIO = 1100
"""Largest ratio of compression: gzip reaches 1032."""

TRIAL = f"""
import os
import sys
try:
    import h5py
except ImportError:
    sys.exit(0)

def read(name, item):
    for key in item.attrs:
        try:
            item.attrs[key]
        except Exception:
            pass
    if isinstance(item, h5py.Dataset):
        ratio = {MAX_RATIO} if item.id.get_create_plist().get_nfilters() else 1
        if item.size * item.dtype.itemsize > ratio * os.path.getsize(path):
            sys.exit({TOO_LARGE})
        if name.endswith("/video") or item.size * item.dtype.itemsize > {MAX_BYTES}:
            return
        try:
            item[()]
        except Exception:
            pass

for path in sys.argv[1:]:
    print(path, flush=True)
    try:
        with h5py.File(path) as file:
            read("", file)
            file.visititems(read)
    except Exception:
        pass
"""
"""Reads all of files but embedded images; the reader finds errors again, and crashes end this process alone."""


def check_readable(paths: Sequence[Path]) -> None:
    """Reads HDF5 files in another process first, because a damaged file can crash the HDF5 library.

    Raises:
        LabelError: A file crashes it, or reading does not end.
    """
    if not paths:
        return
    too_large = "it states an array that is larger than the file"
    if (reason := failed_trial(TRIAL, paths, too_large, "HDF5", MAX_SECONDS)) is not None:
        raise LabelError(reason)


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
    except Exception:  # its type depends on how the file is damaged
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
    import h5py

    dataset = group[name]
    if not isinstance(dataset, h5py.Dataset):
        raise ValueError(f"{name} is not an array")
    size = int(np.prod(dataset.shape, dtype=np.float64)) * dataset.dtype.itemsize
    if size > MAX_BYTES:
        raise ValueError(f"{name} has {size:,} bytes")
    return np.asarray(dataset[()])
