"""Targets of the visibility of keypoints: COCO's v is 1 for an occluded keypoint, 2 for a visible one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.labels import Labels
from cairn.errors import LabelError
from cairn.ops.heatmaps import render_gaussians
from cairn.structures.annotation import Annotation

OCCLUDED, VISIBLE = 1, 2
"""COCO's v of a labeled keypoint."""


def visible_cells(
    keypoints: NDArray[np.float32], annotation: Annotation, heatmaps: NDArray[np.float32], sigma: float
) -> NDArray[np.float32]:
    """Returns (K, h, w) 1 where the nearest keypoint of a joint is visible, 0 where it is occluded or there is none.

    The loss of a cell is weighted by its heatmap, so that cells far from all keypoints, and keypoints without a label,
    have none.

    Args:
        keypoints: (P, K, 2) in cells.
        annotation: Their visibility.
        heatmaps: (K, h, w), the targets rendered from them.
        sigma: σ of the heatmaps in cells.
    """
    visible = np.where((annotation.visibility == VISIBLE)[..., None], keypoints, np.float32(np.nan))
    of_visible = render_gaussians(visible, (heatmaps.shape[1], heatmaps.shape[2]), sigma)
    return ((of_visible > 0) & (of_visible >= heatmaps)).astype(np.float32)


def check_occlusion(sets: Sequence[Labels]) -> None:
    """Checks that labels tell occluded keypoints from visible ones.

    Raises:
        LabelError: All labeled keypoints have the same v.
    """
    values = {v for labels in sets for image in labels for v in np.unique(image.annotation.visibility).tolist()}
    for v, name in ((OCCLUDED, "occluded"), (VISIBLE, "visible")):
        if v not in values:
            raise LabelError(
                f"network.visibility needs training labels with occluded (v = 1) and visible (v = 2) keypoints, "
                f"and none is {name}: set network.visibility = false"
            )
