"""The visual hull of an object: what its masks and cameras say about its shape, and whether both agree."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

EXTENT = 3.2
"""Object units: half the side of the cube that is carved."""

CELLS = 36
"""Cells along a side of the cube."""

AGREEING = 0.9
"""Share of the views whose mask must hold a cell; the rest are errors of masks."""

COARSE = 16
"""Cells along a side of the image in which hull and masks are compared."""


class Outlines(NamedTuple):
    """Views of one object.

    Attributes:
        masks: (V, S, S) bool.
        rotations: (V, 3, 3).
        translations: (V, 3) in object units.
        intrinsics: (V, 4) in half image sides.
    """

    masks: NDArray[np.bool_]
    rotations: Array
    translations: Array
    intrinsics: Array

    def flipped(self) -> Outlines:
        """Returns the views with images that are mirrored left to right."""
        return self._replace(masks=self.masks[:, :, ::-1], intrinsics=self.intrinsics * [1, 1, -1, 1])


def hull(outlines: Outlines) -> Array:
    """Returns the cells (M, 3) in object units that lie within the masks."""
    line = (np.arange(CELLS) + 0.5) / CELLS * 2 * EXTENT - EXTENT
    points = np.stack(np.meshgrid(line, line, line), axis=-1).reshape(-1, 3)
    inside, seen = np.zeros(len(points)), np.zeros(len(points))
    size = outlines.masks.shape[1]
    for mask, *camera in zip(*outlines, strict=True):
        uv = _projected(points, *camera)
        within = (np.abs(uv) < 1).all(axis=1)
        cells = np.clip((uv + 1) * size / 2, 0, size - 1).astype(int)
        seen += within
        inside += within & mask[cells[:, 1], cells[:, 0]]
    found: Array = points[(seen >= len(outlines.masks) / 2) & (inside >= AGREEING * seen)]
    return found


def agreement(outlines: Outlines) -> float:
    """Returns how well masks and cameras agree: the mean overlap (intersection over union) of masks with the hull."""
    points = hull(outlines)
    if not len(points):
        return 0.0
    overlaps = []
    size = outlines.masks.shape[1]
    edges = np.linspace(0, size, COARSE + 1).astype(int)[:-1]
    areas = np.outer(*[np.diff([*edges, size])] * 2)
    for mask, *camera in zip(*outlines, strict=True):
        cells = np.floor((_projected(points, *camera) + 1) * COARSE / 2).astype(int)
        cells = cells[((cells >= 0) & (cells < COARSE)).all(axis=1)]
        filled = np.zeros((COARSE, COARSE), bool)
        filled[cells[:, 1], cells[:, 0]] = True
        share = np.add.reduceat(np.add.reduceat(mask.astype(float), edges, axis=0), edges, axis=1) / areas
        covered = share > 0.5
        overlaps.append((filled & covered).sum() / max(1, (filled | covered).sum()))
    return float(np.mean(overlaps))


def longest_axis(hulls: list[Array], across: Array) -> Array:
    """Returns the principal direction (3,) in which hulls (M, 3) are longest from left to right in the images.

    The longest of all would be the vertical one of a chair or a person, of which no image shows a side.

    Args:
        hulls: The hull of each object.
        across: (V, 3) directions to the right of the images.

    Returns:
        The direction; its largest coordinate is positive.
    """
    centered = np.concatenate([points - points.mean(axis=0) for points in hulls if len(points)])
    variances, axes = np.linalg.eigh(centered.T @ centered)
    axis: Array = axes[:, (variances * ((across @ axes) ** 2).mean(axis=0)).argmax()]
    axis *= np.sign(axis[np.abs(axis).argmax()])
    return axis


def _projected(points: Array, rotation: Array, translation: Array, intrinsics: Array) -> Array:
    """Returns positions (M, 2) in [-1, 1] across the image; far outside for points behind the camera."""
    x, y, z = (points @ rotation.T + translation).T
    before = np.where(z > 1e-3, z, 1e-9)
    fx, fy, cx, cy = intrinsics
    return np.asarray(np.clip(np.column_stack([fx * x / before + cx, fy * y / before + cy]), -1e6, 1e6))
