"""HDF5 files, in which SLEAP and DeepLabCut write."""

from __future__ import annotations

from pathlib import Path

from cairn.datasets.formats.format import first_bytes
from cairn.errors import LabelError, MissingExtra

SIGNATURE = b"\x89HDF\r\n\x1a\n"


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
    except OSError:
        raise LabelError(f"{path} is damaged: it is an HDF5 file (SLEAP, DeepLabCut) and cannot be opened") from None
