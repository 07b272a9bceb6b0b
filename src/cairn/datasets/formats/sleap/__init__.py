"""SLEAP's files (https://sleap.ai): labels (.slp, .pkg.slp with images) and exported predictions (analysis.h5)."""

from __future__ import annotations

from pathlib import Path

from cairn.datasets.containers.hdf5 import ANALYSIS, LABELS, root_keys
from cairn.datasets.formats.format import Format, ReadOptions
from cairn.datasets.formats.sleap.analysis import read_analysis
from cairn.datasets.formats.sleap.slp import read_slp
from cairn.datasets.formats.sleap.writing import write_slp
from cairn.datasets.labels import Labels

__all__ = ["FORMAT", "read_sleap"]


def read_sleap(path: Path, options: ReadOptions) -> Labels:
    """Reads the user's labels of a .slp, or the predictions of an analysis file.

    Raises:
        LabelError: The labels cannot be used. Names the file and the frame.
        MissingExtra: sleap-io or h5py is not installed.
    """
    keys = root_keys(path) or frozenset()
    return read_analysis(path, options) if keys >= ANALYSIS else read_slp(path, options)


def _sniff(path: Path) -> bool:
    keys = root_keys(path)
    return keys is not None and (keys >= LABELS or keys >= ANALYSIS)


FORMAT = Format("sleap", "SLEAP's .slp and analysis.h5", (".slp",), _sniff, read_sleap, write_slp)
