"""Tiny files with the structure of the published data sets."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cairn.media.images import write_image


def struct_array(entries: Sequence[dict[str, Any]]) -> np.ndarray:
    """(1, N) struct array as MATLAB has it; a field that an entry lacks is []."""
    names = list(dict.fromkeys(name for entry in entries for name in entry))
    table = np.empty((1, len(entries)), dtype=[(name, object) for name in names])
    for i, entry in enumerate(entries):
        for name in names:
            table[name][0, i] = entry.get(name, np.zeros((0, 0)))
    return table


def save(path: Path, **variables: Any) -> Path:
    from scipy.io import savemat

    savemat(str(path), variables)
    return path


def images(folder: Path, names: Sequence[str], size: tuple[int, int] = (30, 40)) -> None:
    for name in names:
        write_image(folder / name, np.full((*size, 3), 90, np.uint8))
