"""Sheets of annotated instances, with their keypoints drawn."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.checks.check import Check
from cairn.datasets.labels import LabeledImage
from cairn.errors import ImageError
from cairn.media.images import read_image
from cairn.structures.poses import Poses
from cairn.structures.skeleton import Skeleton
from cairn.visualization.overlay import draw
from cairn.visualization.sheet import TILE, compose_sheet, draw_caption, draw_ring, tile_view

MAX_TILES = 12
RING_RADIUS = 8
"""In pixels of a tile."""

Place = tuple[str, int, int, Sequence[str]]
"""Name of the set, index of the image, row of the instance, joints to mark with a ring."""


def example_sheet(check: Check, count: int = MAX_TILES) -> NDArray[np.uint8]:
    """Returns (H, W, 3) a sheet of random instances of the first set, the same at every call."""
    name, labels = next(iter(check.sets.items()))
    labeled = labels.instances[labels.instances.annotation.labeled]
    sample = labeled[np.sort(np.random.default_rng(0).permutation(len(labeled))[:count])]
    return _sheet(
        check, [(name, i, row, ()) for i, row in zip(sample.images.tolist(), sample.rows.tolist(), strict=True)]
    )


def suspicious_sheet(check: Check, count: int = MAX_TILES) -> NDArray[np.uint8]:
    """Returns (H, W, 3) a sheet of the suspicious annotations in their order, with rings at the joints in question."""
    return _sheet(check, [(entry.set, entry.image, entry.row, entry.joints) for entry in check.suspicious[:count]])


def _sheet(check: Check, places: Sequence[Place]) -> NDArray[np.uint8]:
    tiles = []
    for number, (name, image, row, ringed) in enumerate(places, start=1):
        labels = check.sets[name]
        joints = [labels.skeleton.index(joint) for joint in ringed]
        tiles.append(_tile(labels.images[image], row, labels.skeleton, joints, str(number)))
    return compose_sheet(tiles)


def _tile(image: LabeledImage, row: int, skeleton: Skeleton, ringed: Iterable[int], caption: str) -> NDArray[np.uint8]:
    """(TILE, TILE, 3) an instance with its keypoints."""
    points = image.annotation.keypoints[row : row + 1]
    labeled = np.isfinite(points).all(axis=2)
    low, high = points[labeled].min(axis=0), points[labeled].max(axis=0)
    view = tile_view((float(low[0] + high[0]) / 2, float(low[1] + high[1]) / 2), float((high - low).max()))
    try:
        canvas = view.warp(read_image(image.path), (TILE, TILE))
    except ImageError:  # a finding of its own; the keypoints are drawn on gray
        canvas = np.full((TILE, TILE, 3), 127, np.uint8)
    poses = Poses(points, np.asarray(labeled, np.float32), np.ones(1, np.float32), skeleton)
    canvas = draw(canvas, poses.transformed(view))
    for point in view.apply(points[0, list(ringed)]):
        draw_ring(canvas, point, RING_RADIUS, outline=3)
    draw_caption(canvas, caption)
    return canvas
