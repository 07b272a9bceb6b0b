"""Object keypoint similarity (OKS), as COCO defines it: its term for each keypoint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def similarity_terms(
    keypoints: NDArray[Any], others: NDArray[Any], areas: NDArray[Any], sigmas: Sequence[float]
) -> NDArray[np.float64]:
    """Returns (P, G, K) exp(-d² / (2·area·(2·sigma)²)) of the distances d between keypoints; 0 where one is missing.

    Args:
        keypoints: (P, K, 2) in pixels; NaN where missing.
        others: (G, K, 2) of the same.
        areas: (G,) or (P, G) areas of instances in square pixels.
        sigmas: (K,) OKS sigmas.
    """
    variance = (2 * np.asarray(sigmas)) ** 2
    distance = ((keypoints[:, None].astype(np.float64) - others[None]) ** 2).sum(axis=-1)
    areas = areas.astype(np.float64) + np.spacing(1)  # as COCO guards against an area of 0
    terms: NDArray[np.float64] = np.nan_to_num(np.exp(-distance / (2 * areas[..., None] * variance)))
    return terms
