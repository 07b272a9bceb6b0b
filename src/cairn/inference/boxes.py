"""Bounding boxes of instances: validation, and the smallest crop that a network can use."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cairn.errors import LabelError
from cairn.structures.geometry import Size

MIN_CROP = 16
"""Side in pixels of the smallest crop: fewer than four cells of a map carry no information."""


def large_enough(boxes: NDArray[Any]) -> NDArray[np.float64]:
    """Returns boxes (P, 4), small ones grown around their centers to `MIN_CROP`; one keypoint has no area."""
    return _with_sides(boxes, np.maximum(boxes[:, 2:].astype(np.float64), MIN_CROP))


def scaled(boxes: NDArray[Any], factors: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """Returns boxes (P, 4) whose sides are multiplied by factors (P,), or by one, around the same centers."""
    return _with_sides(boxes, boxes[:, 2:].astype(np.float64) * np.reshape(factors, (-1, 1)))


def _with_sides(boxes: NDArray[Any], sides: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns boxes (P, 4) with other sides (P, 2), around the same centers."""
    return np.concatenate([boxes[:, :2] + (boxes[:, 2:] - sides) / 2, sides], axis=1)


def check_boxes(boxes: ArrayLike, size: Size) -> NDArray[np.float64]:
    """Returns boxes as (P, 4) x, y, width, height in pixels, each with an area inside an image of `size`.

    Raises:
        LabelError: The boxes have another shape, are not finite, have no area, or are outside the image.
    """
    try:
        checked = np.asarray(boxes, dtype=np.float64)
    except (TypeError, ValueError):
        raise LabelError("boxes must be (P, 4) numbers x, y, width, height; got something else") from None
    if checked.size == 0:
        return np.zeros((0, 4))
    if checked.ndim != 2 or checked.shape[1] != 4:
        raise LabelError(f"boxes must be (P, 4) numbers x, y, width, height; got {checked.shape}")
    for wrong, what in (
        (~np.isfinite(checked).all(axis=1), "has a number that is not finite"),
        (~(checked[:, 2:] > 0).all(axis=1), "has no area: width and height must be above 0"),
        (~overlapping(checked, size), f"lies outside the image of {size[1]} x {size[0]} pixels"),
    ):
        if wrong.any():
            i = int(wrong.argmax())
            raise LabelError(f"box {i} ({box_text(checked[i])}) {what}")
    return checked


def overlapping(boxes: NDArray[Any], size: Size) -> NDArray[np.bool_]:
    """Returns (P,) whether each of boxes (P, 4) shares an area with an image, which spans -0.5 to side - 0.5."""
    low, high = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]
    overlap: NDArray[np.bool_] = ((low < np.array(size[::-1]) - 0.5) & (high > -0.5)).all(axis=1)
    return overlap


def box_text(box: NDArray[Any]) -> str:
    """Returns the numbers of one box, for messages."""
    return ", ".join(f"{value:g}" for value in box)
