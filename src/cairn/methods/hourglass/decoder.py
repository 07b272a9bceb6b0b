"""From one crop's heatmaps to one object (section 3.4)."""

from __future__ import annotations

from numpy.typing import NDArray

from cairn.inference.crop_decoder import decode_crop
from cairn.ops.heatmaps import Refinement
from cairn.structures.poses import Poses
from cairn.structures.skeleton import Skeleton


def decode(heatmaps: NDArray, skeleton: Skeleton, refinement: Refinement = "log-parabola") -> Poses:
    """Heatmaps (K, h, w) -> one object, in field cells.

    refinement  of the highest cell: "log-parabola", "quarter" as the paper, or "none"

    A joint's confidence is the height of its highest cell, within [0, 1]; one whose map is nowhere above 0
    is not found. The object's score is the mean of its K confidences.
    Raises ModelError where the maps are not the skeleton's, or the refinement is unknown.
    """
    return decode_crop(heatmaps, skeleton, refinement)
