"""Outlines of regions in images, kept small: polygons, or the run lengths of a mask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from cairn.structures.geometry import Affine, Size, from_corner


@dataclass(frozen=True, slots=True, eq=False)
class Polygons:
    """The union of polygons.

    Attributes:
        rings: Of each polygon its corners, x, y, x, y, ... in pixels from the corner of the first pixel, as the bytes
            of little-endian float32: half the memory of an array.
    """

    rings: tuple[bytes, ...]

    def covers(self, affine: Affine, size: Size) -> NDArray[np.bool_]:
        """Returns (h, w) which points of a grid are inside; see `covered`."""
        corners = [np.frombuffer(ring, "<f4").reshape(-1, 2) for ring in self.rings]
        own = from_corner().then(affine)
        inside: NDArray[np.bool_] = np.logical_or.reduce([_inside(own.apply(ring), size) for ring in corners])
        return inside


@dataclass(frozen=True, slots=True, eq=False)
class RunLengths:
    """A mask of an image, column by column: lengths of runs outside and inside in turn, the first one outside.

    Attributes:
        counts: (R,) unsigned integers, the length of each run in pixels.
        size: (height, width) of the mask.
    """

    counts: NDArray[np.unsignedinteger[Any]]
    size: Size

    def covers(self, affine: Affine, size: Size) -> NDArray[np.bool_]:
        """Returns (h, w) which points of a grid are inside; see `covered`. Points outside the mask are not."""
        rows, columns = np.indices(size, dtype=np.float32)
        pixels = np.floor(affine.inverse().apply(np.stack([columns, rows], axis=-1)) + np.float32(0.5))
        x, y = np.moveaxis(pixels.astype(np.int64), -1, 0)
        within = (x >= 0) & (y >= 0) & (x < self.size[1]) & (y < self.size[0])
        run = np.searchsorted(np.cumsum(self.counts, dtype=np.int64), x * self.size[0] + y, side="right")
        covered: NDArray[np.bool_] = within & (run % 2 == 1)
        return covered


Outline: TypeAlias = Polygons | RunLengths
"""The region of an instance in an image."""


def covered(outline: Outline, affine: Affine, size: Size) -> NDArray[np.bool_]:
    """Returns (h, w) which points of a grid are inside an outline, without a mask of the whole image.

    Args:
        outline: The outline.
        affine: Map from pixels of the image to the grid, whose points are at integers.
        size: (h, w) of the grid.
    """
    return outline.covers(affine, size)


def _inside(ring: NDArray[np.floating[Any]], size: Size) -> NDArray[np.bool_]:
    """(h, w) which points of a grid are inside one polygon, by the even-odd rule.

    In each row an edge that crosses it inverts all points from the crossing on.
    """
    height, width = size
    (ax, ay), (bx, by) = ring.T.astype(np.float64), np.roll(ring, -1, axis=0).T.astype(np.float64)
    rows = np.arange(height)[:, None]
    row, edge = np.nonzero((ay <= rows) != (by <= rows))
    x = ax[edge] + (row - ay[edge]) * (bx[edge] - ax[edge]) / (by[edge] - ay[edge])
    column = np.ceil(x).clip(0, width).astype(np.int64)
    crossings = np.bincount(row * (width + 1) + column, minlength=height * (width + 1)).reshape(height, width + 1)
    inside: NDArray[np.bool_] = np.cumsum(crossings, axis=1)[:, :width] % 2 == 1
    return inside
