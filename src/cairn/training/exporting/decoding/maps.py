"""`cairn.ops.heatmaps` as nodes of a graph: peaks, maxima, refinement and values between cells."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from cairn.ops.heatmaps import GAUSSIAN_CUT, TINY, Refinement
from cairn.training.exporting.decoding.graph import Value, scatter, stack


@dataclass(frozen=True)
class Padded:
    """Maps (B, C, h, w) with a border of -inf, and -inf instead of NaN.

    Attributes:
        maps: (B, C, h, w).
        padded: (B, C, h + 2, w + 2).
        flat: The same as one line.
        height: h, a scalar.
        width: w, a scalar.
    """

    maps: Value
    padded: Value
    flat: Value
    height: Value
    width: Value

    @classmethod
    def of(cls, maps: Value) -> Padded:
        """Returns maps with their border."""
        graph = maps.graph
        numbers = maps.unary("IsNaN", "bool").where(-math.inf, maps)
        border = graph.constant(-math.inf, "float32")
        padded = graph.node("Pad", numbers, graph.ints([0, 0, 1, 1, 0, 0, 1, 1]), border)
        return cls(numbers, padded, padded.reshape(-1), maps.size(2), maps.size(3))

    def neighbor(self, down: int, right: int) -> Value:
        """Returns the cell above, here or below (-1, 0, 1), and left, here or right, of each cell (B, C, h, w)."""
        rows = self.padded.slice(2, down + 1, down - 1)
        return rows.slice(3, right + 1, right - 1)

    def cells(self, plane: Value, y: Value, x: Value) -> Value:
        """Returns the indices into `flat` of the cells (x, y) of maps number `plane` = b·C + c."""
        return (plane * (self.height + 2) + y + 1) * (self.width + 2) + x + 1


def find_peaks(heatmaps: Value, threshold: float, max_peaks: int) -> Value:
    """Returns the peaks (B, K, P, 3) of heatmaps (B, K, h, w): x, y in cells and score, the highest first.

    P is the largest number of peaks of a keypoint, at least 1 and at most `max_peaks`; unused places are 0.
    """
    graph, padded = heatmaps.graph, Padded.of(heatmaps)
    around = [padded.neighbor(row, column) for row in (-1, 0, 1) for column in (-1, 0, 1)]
    earlier, later = (graph.node("Max", *part) for part in (around[:4], around[5:]))
    # The first of exactly equal neighbors represents all.
    is_peak = (padded.maps > earlier) & (padded.maps >= later) & (padded.maps > max(threshold, 0.0))
    _, columns = is_peak.nonzero(4)
    image, keypoint, y, x = (columns.at(0, i) for i in range(4))
    cells = padded.cells(image * heatmaps.size(1) + keypoint, y, x)
    (right, gain_x), (down, gain_y) = parabola(padded, cells, y, x)
    scores = (padded.flat.take(cells) * (gain_x + gain_y).unary("Exp")).minimum(1.0)
    found = stack([x.cast("float32") + right, y.cast("float32") + down, scores], 1)

    shape = graph.vector(heatmaps.size(0), heatmaps.size(1), padded.height * padded.width, 3)
    every = scatter(shape, stack([image, keypoint, y * padded.width + x], 1), found)
    count = graph.node("ReduceMax", is_peak.cast("int64").sum(2, 3), keepdims=0).clip(1, max_peaks)
    _, best = graph.outputs("TopK", every.at(3, 2), graph.vector(count), dtypes=("float32", "int64"), axis=2, sorted=1)
    return every.take_at(best.expand(3), batch_axes=2)


def argmax_keypoints(heatmaps: Value, refinement: Refinement) -> tuple[Value, Value]:
    """Returns the highest cell of each heatmap (B, K, h, w): positions (B, K, 2) in cells and heights (B, K)."""
    graph, padded = heatmaps.graph, Padded.of(heatmaps)
    flat = padded.maps.reshape(heatmaps.size(0), heatmaps.size(1), -1)
    place = graph.node("ArgMax", flat, dtype="int64", axis=2, keepdims=0)
    y = graph.node("Div", place, padded.width)
    x = place - y * padded.width
    planes = graph.range(heatmaps.size(0) * heatmaps.size(1)).reshape(heatmaps.size(0), heatmaps.size(1))
    cells = padded.cells(planes, y, x)
    right, down = _offsets(padded, cells, y, x, refinement)
    points = stack([x.cast("float32") + right, y.cast("float32") + down], 2)
    return points, padded.flat.take(cells)


def parabola(padded: Padded, cells: Value, y: Value, x: Value) -> list[tuple[Value, Value]]:
    """Returns the vertex of the log-parabola at cells: offset and logarithm of the gain, along x and along y."""
    # Cut tails and small negative values have no logarithm: they count as 1% of the peak.
    low = (padded.flat.take(cells) * GAUSSIAN_CUT).maximum(TINY)
    results = []
    for before, here, after, shift in _stencils(padded, cells, y, x):
        logs = [values.maximum(low).unary("Log") for values in (before, here, after)]
        slope, curvature = (logs[2] - logs[0]) * 0.5, logs[1] * 2.0 - logs[0] - logs[2]
        moved = shift.cast("float32")
        top = (slope / curvature + moved).maximum(-0.5).minimum(0.5)
        gain = slope * top + curvature * (moved * moved - (top - moved) * (top - moved)) * 0.5
        curved = (curvature > 0.0) & (gain < math.inf)
        results.append((curved.where(top, 0.0), curved.where(gain, 0.0)))
    return results


def values_at(maps: Value, points: Value) -> Value:
    """Returns maps (B, C, h, w) at points (B, N, 2) in cells, bilinear: (B, N, C). The border is repeated."""
    graph, height, width, count = maps.graph, maps.size(2), maps.size(3), maps.size(1)
    x, y = (
        points.at(2, axis).maximum(0.0).minimum((length - 1).cast("float32"))
        for axis, length in ((0, width), (1, height))
    )
    plane = (graph.range(maps.size(0)) * count).expand(1, 2) + graph.range(count)  # (B, 1, C)
    return bilinear(maps.reshape(-1), plane * (height * width), x.expand(2), y.expand(2), (height, width))


def bilinear(flat: Value, first: Value, x: Value, y: Value, size: tuple[Value, Value]) -> Value:
    """Returns values between the cells of maps.

    Args:
        flat: Maps of one size as one line.
        first: Index of the first cell of the map of each point.
        x: Column in cells.
        y: Row in cells.
        size: Height and width of the maps.
    """
    height, width = size
    column, row = (
        place.maximum(0.0).minimum((length - 2).maximum(0).cast("float32")).unary("Floor")
        for place, length in ((x, width), (y, height))
    )
    right, down = x - column, y - row
    cells = first + row.cast("int64") * width + column.cast("int64")
    beside, below = (width > 1).cast("int64"), width * (height > 1).cast("int64")

    def between(cells: Value) -> Value:
        left = flat.take(cells)
        return left + (flat.take(cells + beside) - left) * right

    upper = between(cells)
    return upper + (between(cells + below) - upper) * down


def _offsets(padded: Padded, cells: Value, y: Value, x: Value, refinement: Refinement) -> list[Any]:
    """Returns the refinement of cells along x and along y."""
    if refinement == "none":
        return [0.0, 0.0]
    tops = [top for top, _ in parabola(padded, cells, y, x)]
    if refinement == "log-parabola":
        return tops
    offsets = []
    for top, (before, _, after, shift) in zip(tops, _stencils(padded, cells, y, x), strict=True):
        rise = (after > before).cast("float32") - (before > after).cast("float32")
        offsets.append(shift.equals(0).where(rise, top.unary("Sign")) * 0.25)
    return offsets


def _stencils(padded: Padded, cells: Value, y: Value, x: Value) -> list[tuple[Value, Value, Value, Value]]:
    """Returns three cells in a line around each cell, and their shift, along x and along y.

    On the border the three cells are shifted inwards, where the map has three.
    """
    stencils = []
    one = padded.flat.graph.constant(1, "int64")
    for place, length, step in ((x, padded.width, one), (y, padded.height, padded.width + 2)):
        inwards = place.equals(0).cast("int64") - place.equals(length - 1).cast("int64")
        shift = inwards * (length > 2).cast("int64")
        middle = cells + shift * step
        before, here, after = (padded.flat.take(each) for each in (middle - step, middle, middle + step))
        stencils.append((before, here, after, shift))
    return stencils
