"""`cairn.ops.pafs.line_integral` as nodes of a graph: the scores of all candidate limbs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from cairn.ops.grouping import NEAR
from cairn.ops.pafs import END_INSET, PROBES, SAMPLES
from cairn.training.exporting.decoding.graph import Value, scatter, stack
from cairn.training.exporting.decoding.maps import bilinear


@dataclass(frozen=True)
class LimbThresholds:
    """When two peaks may be a limb.

    Attributes:
        sample: Minimum PAF · direction of a sample.
        share: Share of the samples that must exceed it.
        near: Score of two peaks nearer than `NEAR` without a score of their own.
        free_length: Length, in heights of the maps, above which a limb loses score.
    """

    sample: float
    share: float
    near: float
    free_length: float = math.inf


def score_limbs(pafs: Value, peaks: Value, limbs: Sequence[tuple[int, int]], thresholds: LimbThresholds) -> Value:
    """Returns the scores (B, L, P, P) of all candidate limbs.

    Element (b, l, i, j) is the line integral of the PAF from peak i of the first keypoint of limb l to peak j of its
    second keypoint; 0 where they are no candidate.

    Args:
        pafs: (B, 2L, h, w).
        peaks: (B, K, P, 3), result of `find_peaks`.
        limbs: L pairs of keypoint indices.
        thresholds: When two peaks may be a limb.
    """
    graph = pafs.graph
    starts, ends = (peaks.take(graph.ints(side), axis=1) for side in zip(*limbs, strict=True))  # (B, L, P, 3)
    both = (starts.at(3, 2) > 0.0).expand(3) & (ends.at(3, 2) > 0.0).expand(2)
    places, columns = both.nonzero(4)
    image, limb, i, j = (columns.at(0, axis) for axis in range(4))
    first, second = starts.take_at(stack([image, limb, i], 1)), ends.take_at(stack([image, limb, j], 1))
    pairs = _Pairs.between(first, second, pafs, plane=image * pafs.size(1) + limb * 2)

    # Most candidates are wrong, and a few samples reject them.
    fractions = graph.constant([(*PROBES[0], *PROBES[1])], "float32")
    misses = (~(pairs.flow(pafs, (pairs.count * fractions).unary("Floor")) > thresholds.sample)).cast("float32").sum(1)
    count = pairs.count.at(1, 0)
    likely = graph.node("NonZero", count - misses > count * thresholds.share, dtype="int64").reshape(-1)
    scores = _mean_flow(pairs.take(likely), pafs, thresholds)
    everywhere = scatter(graph.vector(places.size(0)), likely.expand(1), scores)
    apart = (second - first).slice(1, 0, 2)
    squared = (apart * apart).sum(1)
    near = (squared < NEAR**2) & ~(everywhere > 0.0)
    everywhere = near.where(thresholds.near, everywhere)
    if thresholds.free_length < math.inf:
        free = pafs.size(2).cast("float32") * thresholds.free_length
        everywhere = everywhere + (free / squared.unary("Sqrt").maximum(NEAR) - 1.0).minimum(0.0)
    scored = (everywhere > 0.0) & (everywhere < math.inf)
    count_of_peaks = peaks.size(2)
    shape = graph.vector(pafs.size(0), len(limbs), count_of_peaks, count_of_peaks)
    return scatter(shape, places, scored.where(everywhere, 0.0))


@dataclass(frozen=True)
class _Pairs:
    """Lines between M pairs of peaks, each value (M, 1).

    Attributes:
        line: x, y of the first sample, of the step and of the direction.
        count: Number of samples.
        plane: Number of the map of the x component.
    """

    line: tuple[Value, ...]
    count: Value
    plane: Value

    @classmethod
    def between(cls, starts: Value, ends: Value, pafs: Value, plane: Value) -> _Pairs:
        """Returns the lines between peaks (M, 3) on maps of these numbers (M,)."""
        limits = [(pafs.size(axis) - 1).cast("float32") for axis in (3, 2)]
        (x, y), (far_x, far_y) = (
            [points.slice(1, axis, axis + 1).maximum(0.0).minimum(limits[axis]) for axis in range(2)]
            for points in (starts, ends)
        )
        dx, dy = far_x - x, far_y - y
        length = (dx * dx + dy * dy).unary("Sqrt").maximum(1e-6)  # two keypoints may peak at one point: score 0
        ux, uy = dx / length, dy / length
        reach = dx.unary("Abs").maximum(dy.unary("Abs"))
        count = ((reach * 10.0).unary("Sqrt").unary("Floor") * 2.0 + 1.0).clip(float(SAMPLES[0]), float(SAMPLES[1]))
        inset = (length * 0.5).minimum(END_INSET)
        step = (length - inset * 2.0) / (count - 1.0)
        line = (x + inset * ux, y + inset * uy, step * ux, step * uy, ux, uy)
        return cls(line, count, plane.expand(1))

    def take(self, rows: Value) -> _Pairs:
        """Returns some of the lines."""
        return _Pairs(tuple(each.take(rows) for each in self.line), self.count.take(rows), self.plane.take(rows))

    def flow(self, pafs: Value, place: Value) -> Value:
        """Returns PAF · direction (M, S) at samples; `place` (M, S) or (1, S) is their index."""
        x, y, step_x, step_y, ux, uy = self.line
        size = pafs.size(2), pafs.size(3)
        flat, area = pafs.reshape(-1), size[0] * size[1]
        px, py = x + place * step_x, y + place * step_y
        along_x, along_y = (bilinear(flat, (self.plane + i) * area, px, py, size) for i in range(2))
        return along_x * ux + along_y * uy


def _mean_flow(pairs: _Pairs, pafs: Value, thresholds: LimbThresholds) -> Value:
    """Returns the mean (M,) of the samples above the threshold, 0 where there are too few."""
    place = pafs.graph.constant([range(SAMPLES[1])], "float32")
    flow = pairs.flow(pafs, place)
    above = (flow > thresholds.sample) & (place < pairs.count)
    hits = above.cast("float32").sum(1)
    enough = hits > pairs.count.at(1, 0) * thresholds.share
    return enough.where(above.where(flow, 0.0).sum(1) / hits.maximum(1.0), 0.0)
