"""Heatmaps of a crop -> the pose of one instance (section 3.4)."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from cairn.inference.crop_decoder import decode_crop
from cairn.ops.heatmaps import Refinement
from cairn.structures.poses import Poses
from cairn.structures.skeleton import Skeleton


def decode(heatmaps: NDArray[Any], skeleton: Skeleton, refinement: Refinement = "log-parabola") -> Poses:
    """Decodes the heatmaps of a crop into the pose of one instance, in heatmap cells.

    The confidence of a joint is the height of its highest cell, clipped to [0, 1]; a joint whose heatmap is nowhere
    above 0 is not detected. The score is the mean of the K confidences.

    Args:
        heatmaps: (K, h, w).
        skeleton: The K joints.
        refinement: Refinement of each highest cell: "log-parabola", "quarter" as in the paper, or "none".

    Raises:
        ModelError: The heatmaps do not fit the skeleton, or the refinement is unknown.
    """
    return decode_crop(heatmaps, skeleton, refinement)
