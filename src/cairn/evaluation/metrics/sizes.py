"""Error against the size of the objects."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cairn.evaluation.evaluate import Evaluation
from cairn.evaluation.metrics.pck import average, count, mean_error, normalized_errors, pck
from cairn.evaluation.protocols import box_side

MAX_BINS = 6
MIN_OBJECTS = 10  # in a bin: a mean of fewer says little


@dataclass(frozen=True)
class SizeBin:
    """The objects whose box has a longer side from `low` to `high` pixels.

    pck    percent of their keypoints within the evaluation's threshold; NaN where none can be measured
    error  NME in percent, of those that were found; NaN likewise
    """

    low: float
    high: float
    objects: int
    pck: float
    error: float

    @property
    def name(self) -> str:
        return f"{self.low:.0f}-{self.high:.0f}"


def by_size(evaluation: Evaluation) -> list[SizeBin]:
    """From small to large, about as many objects in each; the same bins for every model on the same labels."""
    pairs, protocol = evaluation.pairs, evaluation.error.protocol
    sides = box_side(pairs.truth, pairs.skeleton)
    lengths = protocol.length(pairs.truth, pairs.skeleton)
    errors = 100 * normalized_errors(pairs.predicted, pairs.truth.keypoints, lengths)
    result = []
    for rows in bins_of(sides):
        near, far = evaluation.pck.errors[rows], errors[rows]
        result.append(
            SizeBin(
                low=float(sides[rows].min()),
                high=float(sides[rows].max()),
                objects=len(rows),
                pck=average(pck(near, evaluation.pck.threshold), count(near), "pooled"),
                error=average(mean_error(far), np.isfinite(far).sum(axis=0), "pooled"),
            )
        )
    return result


def bins_of(sides: NDArray) -> list[NDArray[np.intp]]:
    """Rows of each bin, by (N,) sides; objects of one side are in one bin."""
    number = min(MAX_BINS, max(1, len(sides) // MIN_OBJECTS))
    edges = np.unique(np.quantile(sides, np.arange(1, number) / number)) if len(sides) else np.zeros(0)
    bins = np.searchsorted(edges, sides, side="right")
    return [np.flatnonzero(bins == i) for i in np.unique(bins)]
