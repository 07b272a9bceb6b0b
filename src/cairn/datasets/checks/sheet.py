"""Labeled objects side by side, with their labels on them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.checks.findings import Check
from cairn.datasets.labels import LabeledImage
from cairn.errors import ImageError
from cairn.media.images import read_image
from cairn.structures.geometry import crop
from cairn.structures.poses import Poses
from cairn.structures.skeleton import Skeleton
from cairn.visualization.overlay import draw

TILE = 240  # pixels
COLUMNS = 4
MOST = 12
AROUND = 1.4  # side of a tile over the longer side of what is labeled


def example_sheet(check: Check, count: int = MOST) -> NDArray[np.uint8]:
    """Objects of the first set, the same at every call."""
    name, labels = next(iter(check.sets.items()))
    rows = [(name, i, int(row)) for i, p in enumerate(labels) for row in np.flatnonzero(p.annotation.labeled)]
    chosen = np.random.default_rng(0).permutation(len(rows))[:count]
    return _sheet(check, [(*rows[i], ()) for i in sorted(chosen.tolist())])


def suspect_sheet(check: Check, count: int = MOST) -> NDArray[np.uint8]:
    """The suspects, numbered in their order, the joints in question ringed."""
    return _sheet(check, [(s.set, s.image, s.row, s.joints) for s in check.suspects[:count]])


def _sheet(check: Check, places: Sequence[tuple[str, int, int, Sequence[str]]]) -> NDArray[np.uint8]:
    """(H, W, 3) uint8: a numbered tile for each object (set, image, row, joints to ring)."""
    lines = max(1, -(-len(places) // COLUMNS))
    sheet = np.full((lines * TILE, COLUMNS * TILE, 3), 255, np.uint8)
    for i, (name, image, row, ringed) in enumerate(places):
        labels = check.sets[name]
        top, left = i // COLUMNS * TILE, i % COLUMNS * TILE
        joints = [labels.skeleton.index(joint) for joint in ringed]
        sheet[top : top + TILE, left : left + TILE] = _tile(
            labels.images[image], row, labels.skeleton, joints, str(i + 1)
        )
    return sheet


def _tile(image: LabeledImage, row: int, skeleton: Skeleton, ringed: Iterable[int], caption: str) -> NDArray[np.uint8]:
    import cv2

    points = image.annotation.keypoints[row : row + 1]
    there = np.isfinite(points).all(axis=2)
    low, high = points[there].min(axis=0), points[there].max(axis=0)
    side = max(AROUND * float((high - low).max()), 16.0)
    view = crop((float(low[0] + high[0]) / 2, float(low[1] + high[1]) / 2), side, (TILE, TILE))
    try:
        shown = view.warp(read_image(image.path), (TILE, TILE))
    except ImageError:  # a finding of its own; the labels are to be seen without it
        shown = np.full((TILE, TILE, 3), 127, np.uint8)
    poses = Poses(points, np.asarray(there, np.float32), np.ones(1, np.float32), skeleton)
    shown = draw(shown, poses.transformed(view))
    for x, y in view.apply(points[0, list(ringed)]).round().astype(int).tolist():
        cv2.circle(shown, (x, y), 8, (0, 0, 0), 3, cv2.LINE_AA)
        cv2.circle(shown, (x, y), 8, (255, 255, 255), 1, cv2.LINE_AA)
    for color, thickness in (((0, 0, 0), 4), ((255, 255, 255), 1)):
        cv2.putText(shown, caption, (8, 24), cv2.FONT_HERSHEY_SIMPLEX, 0.6, color, thickness, cv2.LINE_AA)
    return shown
