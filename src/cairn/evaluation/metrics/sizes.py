"""PCK and NME by instance size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.evaluation.evaluate import Evaluation
from cairn.evaluation.metrics.pck import average, count, mean_error, normalized_errors, pck
from cairn.evaluation.protocols import box_side

MAX_BINS = 6
MIN_INSTANCES = 10
"""Minimum number of instances per bin: a mean of fewer is noise."""


@dataclass(frozen=True)
class SizeBin:
    """The instances whose bounding box has a longer side from `min_side` to `max_side` pixels.

    Attributes:
        min_side: Minimum longer side in pixels.
        max_side: Maximum longer side in pixels.
        instances: Number of annotated instances.
        pck: Percentage of their keypoints within the threshold of the evaluation; NaN if none can be measured.
        nme: NME of their detected keypoints in percent; NaN if none can be measured.
    """

    min_side: float
    max_side: float
    instances: int
    pck: float
    nme: float

    @property
    def name(self) -> str:
        """The range of sides, such as `32-96`."""
        return f"{self.min_side:.0f}-{self.max_side:.0f}"


def by_size(evaluation: Evaluation) -> list[SizeBin]:
    """Returns bins from small to large with similar numbers of instances; they depend on the labels alone."""
    pairs, protocol = evaluation.pairs, evaluation.error.protocol
    sides = box_side(pairs.ground_truth, pairs.skeleton)
    lengths = protocol.length(pairs.ground_truth, pairs.skeleton)
    nme_errors = 100 * normalized_errors(pairs.predicted, pairs.ground_truth.keypoints, lengths)
    result = []
    for rows in bins_of(sides):
        pck_bin, nme_bin = evaluation.pck.errors[rows], nme_errors[rows]
        result.append(
            SizeBin(
                min_side=float(sides[rows].min()),
                max_side=float(sides[rows].max()),
                instances=len(rows),
                pck=average(pck(pck_bin, evaluation.pck.threshold), count(pck_bin), "pooled"),
                nme=average(mean_error(nme_bin), np.isfinite(nme_bin).sum(axis=0), "pooled"),
            )
        )
    return result


def bins_of(sides: NDArray[Any]) -> list[NDArray[np.intp]]:
    """Returns the rows of each bin, by (N,) sides; instances with the same side share a bin."""
    number = min(MAX_BINS, max(1, len(sides) // MIN_INSTANCES))
    edges = np.unique(np.quantile(sides, np.arange(1, number) / number)) if len(sides) else np.zeros(0)
    bins = np.searchsorted(edges, sides, side="right")
    return [np.flatnonzero(bins == i) for i in np.unique(bins)]
