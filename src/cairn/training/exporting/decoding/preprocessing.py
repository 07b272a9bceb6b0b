"""Images of any size to network input as nodes of a graph: `Affine.warp` of a letterbox or a centered square."""

from __future__ import annotations

import math
from dataclasses import dataclass

from cairn.inference.model_spec import ModelSpec
from cairn.training.exporting.decoding.graph import Value, stack

BORDER = 127.0
"""Value of the pixels outside the image."""


@dataclass(frozen=True)
class Fit:
    """The map from an image to the network input: p -> (p + 0.5) · scale - 0.5 + offset.

    Attributes:
        scale: Scalar.
        offset: (2,), along x and y.
        height: Height of the network input in pixels, a scalar.
        width: Its width.
    """

    scale: Value
    offset: Value
    height: Value
    width: Value

    @classmethod
    def letterbox(cls, image: Value, longest: Value, multiple: int) -> Fit:
        """Returns the map of `cairn.structures.geometry.letterbox` for an image (B, 3, H, W); longest is a float."""
        sides = [image.size(axis).cast("float32") for axis in (2, 3)]
        largest = sides[0].maximum(sides[1])
        padded = [
            ((side * longest / largest).unary("Round") / float(multiple)).unary("Ceil").maximum(1.0).cast("int64")
            * multiple
            for side in sides
        ]
        return cls(longest / largest, image.graph.constant([0, 0], "float32"), *padded)

    @classmethod
    def square(cls, image: Value, side: int) -> Fit:
        """Returns the map of the square that holds a whole image (B, 3, H, W) onto a square of `side` pixels."""
        graph = image.graph
        sides = [image.size(axis).cast("float32") for axis in (3, 2)]
        scale = graph.constant(float(side), "float32") / sides[0].maximum(sides[1])
        offset = stack([(float(side) - length * scale) * 0.5 for length in sides], 0)
        length = graph.constant(side, "int64")
        return cls(scale, offset, length, length)

    def to_image(self, points: Value) -> Value:
        """Returns pixels (..., 2) of the network input as pixels of the image."""
        return (points + 0.5 - self.offset) / self.scale - 0.5

    def warp(self, image: Value) -> Value:
        """Returns the network input (B, 3, h, w), of an image (B, 3, H, W) uint8.

        As `Affine.warp` against aliasing: areas of k×k pixels are averaged first, where k is 2 from scale 1/2 down, 4
        from 1/4 and so on.
        """
        graph = image.graph
        halvings = (self.scale.unary("Log") * (-1 / math.log(2)) + 1e-5).unary("Floor").maximum(0.0)
        k = graph.node("Pow", graph.constant(2.0, "float32"), halvings).cast("int64")
        height, width = image.size(2), image.size(3)
        columns = _averaged(_averaged(image, k).transpose(0, 1, 3, 2), k)  # (B, 3, W/k, H/k)
        inside = _rounded(columns) - BORDER  # 0 outside the image
        columns = self._sampled(inside, width, self.offset.at(0, 0), self.width)
        warped = self._sampled(columns.transpose(0, 1, 3, 2), height, self.offset.at(0, 1), self.height)
        return _rounded(warped + BORDER)

    def _sampled(self, pixels: Value, extent: Value, offset: Value, count: Value) -> Value:
        """Returns values between pixels along axis 2, linear; `extent` is that axis in pixels of the whole image."""
        graph, length = pixels.graph, pixels.size(2)
        share = length.cast("float32") / (self.scale * extent.cast("float32"))
        place = (graph.range(count).cast("float32") + 0.5 - offset) * share - 0.5
        first = place.unary("Floor")
        index = first.expand(1) + graph.constant([0.0, 1.0], "float32")
        weights = 1.0 - (place.expand(1) - index).unary("Abs")
        there = (index >= 0.0) & (index < length.cast("float32"))
        return _mixed(pixels, index.cast("int64").clip(0, length - 1), there.where(weights, 0.0))


def fits_of(image: Value, spec: ModelSpec, size: Value) -> list[Fit]:
    """Returns the map for each test-time scale; `size` is the longest side of the network input, an integer."""
    own = spec.input
    if spec.task != "multi_instance":
        return [Fit.square(image, own.size)]
    longest = size.cast("float32")
    return [Fit.letterbox(image, longest * factor, own.multiple) for factor in factors_of(spec)]


def factors_of(spec: ModelSpec) -> tuple[float, ...]:
    """Returns the test-time scales relative to the first."""
    own = spec.input
    return tuple(1 - i * own.scale_gap for i in range(own.scales if spec.task == "multi_instance" else 1))


def _averaged(image: Value, k: Value) -> Value:
    """Returns the means of about k pixels along axis 2; a pixel may be divided, so that all count."""
    graph, length = image.graph, image.size(2)
    count = (length / k).maximum(1)
    extent = length.cast("float32") / count.cast("float32")
    taps = length.equals(count * k).where(k, extent.unary("Ceil").cast("int64") + 1)
    left = (graph.range(count).cast("float32") * extent).expand(1)
    index = left.unary("Floor").cast("int64") + graph.range(taps)  # (count, taps)
    place = index.cast("float32")
    weights = ((place + 1.0).minimum(left + extent) - place.maximum(left)).maximum(0.0) / extent
    return _mixed(image, index.minimum(length - 1), weights)


def _mixed(pixels: Value, index: Value, weights: Value) -> Value:
    """Returns weighted sums (B, 3, N, M) of rows of pixels (B, 3, n, M); index and weights are (N, taps)."""
    return (pixels.take(index, axis=2).cast("float32") * weights.expand(2)).sum(3)


def _rounded(values: Value) -> Value:
    """Returns the nearest integers; of two, the larger one, as OpenCV does."""
    return (values + 0.5).unary("Floor")
