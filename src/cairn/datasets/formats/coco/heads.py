"""Head sizes in COCO files: a field that Cairn adds, so that PCKh can be measured on converted labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.problems import Problems
from cairn.structures.annotation import MAX_VALUE

HEAD = "head_size"
"""Field of an annotation: diagonal of the head box in pixels."""


def head_sizes(rows: Sequence[Mapping[str, Any]], problems: Problems) -> NDArray[np.float32] | None:
    """Returns the (N,) head sizes of annotations in pixels; NaN where one has none, None where all have none.

    Args:
        rows: The fields of the annotations.
        problems: Collects notes about values that are no sizes.
    """
    if not any(rows):  # most files have none
        return None
    sizes = np.full(len(rows), np.nan, np.float32)
    for i, row in enumerate(rows):
        size = row.get(HEAD)
        if size is None:
            continue
        if isinstance(size, int | float) and not isinstance(size, bool) and 0 < size <= MAX_VALUE:
            sizes[i] = size
        else:
            problems.note(f"values of {HEAD} that are not positive numbers are ignored", f"{size!r:.40}")
    return sizes if np.isfinite(sizes).any() else None


def head_field(heads: NDArray[np.float32] | None, row: int) -> dict[str, float]:
    """Returns the field of an instance; empty where its head size is unknown."""
    if heads is None or not (np.isfinite(heads[row]) and heads[row] > 0):
        return {}
    return {HEAD: float(str(heads[row]))}  # the fewest digits that single precision reads back unchanged
