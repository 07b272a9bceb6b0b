"""Head sizes in COCO files: a field that Cairn adds, so that PCKh can be measured on converted labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.errors import LabelError

HEAD = "head_size"
"""Field of an annotation: diagonal of the head box in pixels."""

MAX_VALUE = float(np.finfo(np.float32).max)


def head_sizes(rows: Sequence[Mapping[str, Any]], error: Callable[[str], LabelError]) -> NDArray[np.float32] | None:
    """Returns the (N,) head sizes of annotations in pixels; NaN where one has none, None where all have none.

    Args:
        rows: The annotations.
        error: Makes an error that names the file.

    Raises:
        LabelError: A value is not a positive number.
    """
    sizes = np.full(len(rows), np.nan, np.float32)
    for i, row in enumerate(rows):
        size = row.get(HEAD)
        if size is None:
            continue
        if not isinstance(size, int | float) or isinstance(size, bool) or not 0 < size <= MAX_VALUE:
            raise error(f"annotation {row.get('id')}: {HEAD} must be a positive number of pixels, got {size!r:.40}")
        sizes[i] = size
    return sizes if np.isfinite(sizes).any() else None


def head_field(heads: NDArray[np.float32] | None, row: int) -> dict[str, float]:
    """Returns the field of an instance; empty where its head size is unknown."""
    known = heads is not None and np.isfinite(heads[row]) and heads[row] > 0
    return {HEAD: float(str(heads[row]))} if known and heads is not None else {}
