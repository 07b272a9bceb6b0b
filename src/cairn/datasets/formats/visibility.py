"""Visibility of keypoints as tools write it: COCO's 0, 1 and 2, a confidence, -1, or nothing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.problems import Problems

EXPECTED = "v must be 0 (not labeled), 1 (occluded) or 2 (visible), or a confidence from 0 to 1 throughout the file"


def are_confidences(v: NDArray[np.float64]) -> bool:
    """Returns whether the values of a file are confidences: one of them lies between 0 and 1."""
    return bool(((v > 0) & (v < 1)).any())


def standard_visibility(v: NDArray[np.float64]) -> NDArray[np.uint8] | None:
    """Returns the visibility of keypoints where all values are COCO's, which takes little time; None otherwise."""
    with np.errstate(invalid="ignore"):
        visibility = v.astype(np.uint8)
    return visibility if (visibility <= 2).all() and (visibility == v).all() else None


def visibility_of(
    v: NDArray[np.float64], threshold: float, problems: Problems, example: str = "", confidences: bool | None = None
) -> NDArray[np.uint8]:
    """Returns COCO's visibility of each keypoint of a file; the kind of its values is that of all, never of one.

    Confidences of at least the threshold are visible (2), lower ones are not labeled (0). -1 and NaN are not labeled.

    Args:
        v: Values of the file, of any shape, none of which is `invalid`. NaN where there is none.
        threshold: Minimum confidence at which a keypoint counts as labeled.
        problems: Collects notes.
        example: Name of the file or of a record, for the notes.
        confidences: Whether they are confidences; None decides by the values.
    """
    absent = ~(v >= 0)
    if absent.any():
        problems.note(f"keypoints without a visibility, or with v = -1, are not labeled ({int(absent.sum())})", example)
    present = np.where(absent, 0, v)
    if not (are_confidences(v) if confidences is None else confidences):
        return present.astype(np.uint8)
    labeled = (present >= threshold) & (present > 0)
    low = int(((present > 0) & ~labeled).sum())
    problems.note(
        f"v is a confidence: {int(labeled.sum())} keypoints of at least {threshold:g} are labeled, {low} are not",
        example,
    )
    return np.where(labeled, np.uint8(2), np.uint8(0))


def invalid(v: NDArray[np.float64], confidences: bool) -> NDArray[np.bool_]:
    """Returns which values are neither COCO's visibility nor, in a file of confidences, a confidence."""
    # Networks exceed a confidence of 1 slightly.
    valid = ((v >= 0) & (v <= 2)) if confidences else ((v == 0) | (v == 1) | (v == 2))
    wrong: NDArray[np.bool_] = ~(valid | (v == -1) | np.isnan(v))
    return wrong


def invalid_visibility(value: float) -> str:
    """Returns what is wrong with an invalid value."""
    return f"{EXPECTED}, got {value:g}"
