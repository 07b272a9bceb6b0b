"""Overlap of bounding boxes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def box_iou(first: NDArray[Any], second: NDArray[Any]) -> NDArray[np.float64]:
    """Returns (N, M) intersection over union of boxes.

    Args:
        first: (N, 4) x, y, width, height.
        second: (M, 4) of the same.
    """
    shared = _intersection(first, second)
    union = first[:, None, 2:].prod(axis=-1) + second[None, :, 2:].prod(axis=-1) - shared
    return np.where(union > 0, shared / np.maximum(union, 1e-12), 0.0)


def covered_share(boxes: NDArray[Any], by: NDArray[Any]) -> NDArray[np.float64]:
    """Returns (N, M) the share of each box (N, 4) that each of other boxes (M, 4) covers."""
    share: NDArray[np.float64] = _intersection(boxes, by) / np.maximum(boxes[:, None, 2:].prod(axis=-1), 1e-12)
    return share


def _intersection(first: NDArray[Any], second: NDArray[Any]) -> NDArray[np.float64]:
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, :2] + first[:, None, 2:], second[None, :, :2] + second[None, :, 2:])
    shared: NDArray[np.float64] = np.clip(high - low, 0, None).astype(np.float64).prod(axis=-1)
    return shared
