"""Point clouds with their keypoints: a page to turn and zoom, and an image from two sides."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from cairn.structures.cloud import Cloud, CloudKeypoints
from cairn.visualization.page import page, paragraph
from cairn.visualization.scene3d import PointSet, Surface, Up, scene
from cairn.wording import counted

MAX_DRAWN = 300_000
"""Points of a cloud that a page holds; a larger cloud is thinned at random."""

GRAY = (150, 150, 145)
ORANGE, BLUE = (225, 120, 30), (40, 110, 200)
BACKGROUND = 250
MARGIN = 20


def score_colors(scores: NDArray[np.float64], lower_is_better: bool = False) -> NDArray[np.uint8]:
    """Returns colors (K, 3) RGB by the rank of each score: from blue, the worst, to red, the best."""
    ranks = np.argsort(np.argsort(scores, kind="stable"), kind="stable")
    shares = ranks / max(len(scores) - 1, 1)
    shares = 1 - shares if lower_is_better else shares
    levels = np.round(255 * (0.1 + 0.9 * shares)).astype(np.uint8).reshape(-1, 1)
    if not len(levels):
        return np.zeros((0, 3), np.uint8)
    colors: NDArray[np.uint8] = cv2.applyColorMap(levels, cv2.COLORMAP_TURBO)[:, 0, ::-1]
    return np.ascontiguousarray(colors)


def cloud_item(cloud: Cloud, name: str = "cloud", color: Sequence[int] | None = None) -> PointSet | Surface:
    """Returns a cloud as an item of a scene: a surface if it has faces, otherwise points, thinned where they are many.

    Args:
        cloud: The cloud.
        name: Name in the scene.
        color: RGB. Default: the cloud's own colors, or gray.
    """
    colors = np.asarray(color if color is not None else GRAY, np.uint8)
    if color is None and cloud.colors is not None:
        colors = cloud.colors
    if cloud.faces is not None:
        return Surface(name, cloud.points, cloud.faces, colors)
    rows = np.arange(len(cloud))
    if len(cloud) > MAX_DRAWN:
        rows = np.sort(np.random.default_rng(0).choice(len(cloud), MAX_DRAWN, replace=False))
    return PointSet(name, cloud.points[rows], colors[rows] if colors.ndim == 2 else colors, size=2)


def keypoint_page(keypoints: CloudKeypoints, up: Up = "z") -> str:
    """Returns an HTML page with a cloud and its keypoints, colored by the rank of their scores; it opens offline."""
    lower = keypoints.score_name != "saliency"
    rows = keypoints.cloud.file_rows(keypoints.indices)
    labels = tuple(
        f"{keypoints.names[i] + ', ' if keypoints.names else ''}point {row}, {keypoints.score_name} {score:.4g}"
        for i, (row, score) in enumerate(zip(rows, keypoints.scores, strict=True))
    )
    items: list[PointSet | Surface] = [cloud_item(keypoints.cloud)]
    if len(keypoints):
        colors = score_colors(keypoints.scores, lower)
        items.append(PointSet("keypoints", keypoints.points, colors, size=9, labels=labels))
    caption = f"{counted(len(keypoints), 'keypoint')}, from blue ({'high' if lower else 'low'} {keypoints.score_name}) "
    caption += f"to red ({'low' if lower else 'high'})"
    title = f"Keypoints of {Path(keypoints.cloud.source).name}"
    return page(title, [paragraph(f"{keypoints.method}: {keypoints.summary}"), scene(items, up=up, caption=caption)])


def registration_page(source: Cloud, target: Cloud, summary: str, up: Up = "z") -> str:
    """Returns an HTML page with two clouds in the same coordinates, one orange and one blue."""
    names = Path(source.source).name, Path(target.source).name
    items = [cloud_item(source, names[0], ORANGE), cloud_item(target, names[1], BLUE)]
    return page(f"{names[0]} on {names[1]}", [paragraph(summary), scene(items, up=up)])


def keypoint_image(keypoints: CloudKeypoints, height: int = 700) -> NDArray[np.uint8]:
    """Returns an image of a cloud and its keypoints, from both sides of its largest cross section.

    Args:
        keypoints: The keypoints. Those behind the cloud are rings.
        height: Height in pixels.

    Returns:
        (height, W, 3) uint8 RGB.
    """
    colors = score_colors(keypoints.scores, keypoints.score_name != "saliency")
    axes = _view(keypoints.cloud.points)
    sides = (axes, axes * np.array([[-1.0], [1.0], [-1.0]]))
    drawn: NDArray[np.uint8] = np.concatenate([_side(keypoints, side, colors, height) for side in sides], axis=1)
    return drawn


def _view(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the axes (3, 3) of a view: right, up, and toward the viewer, along the direction of least variance."""
    _, vectors = np.linalg.eigh(np.cov((points - points.mean(axis=0)).T)) if len(points) > 1 else (0, np.eye(3))
    toward = vectors[:, 0] * (1 if vectors[np.abs(vectors[:, 0]).argmax(), 0] > 0 else -1)
    up = np.array([0.0, 0.0, 1.0]) if abs(toward[2]) < 0.9 else np.array([0.0, 1.0, 0.0])
    up -= toward * (up @ toward)
    up /= np.linalg.norm(up)
    return np.stack([np.cross(up, toward), up, toward])


def _side(
    keypoints: CloudKeypoints, axes: NDArray[np.float64], colors: NDArray[np.uint8], height: int
) -> NDArray[np.uint8]:
    """Returns one view: near points are light, and keypoints are discs."""
    points = (keypoints.cloud.points - keypoints.cloud.points.mean(axis=0)) @ axes.T
    low, high = points.min(axis=0), points.max(axis=0)
    span = np.maximum(high - low, 1e-12 + 1e-9 * float((high - low).max()))
    scale = min((height - 2 * MARGIN) / span[1], 1.6 * height / span[0])
    width = int(span[0] * scale) + 2 * MARGIN
    size = int(np.clip(round(0.7 * scale * np.sqrt(span[0] * span[1] / len(points))), 1, 8))
    columns, rows = _pixels(points, low, high, scale, height)
    depth = np.full((height, width), -np.inf)
    for down in range(size):
        for across in range(size):
            at = np.clip(rows + down, 0, height - 1), np.clip(columns + across, 0, width - 1)
            np.maximum.at(depth, at, points[:, 2])
    image = np.full((height, width, 3), BACKGROUND, np.uint8)
    seen = np.isfinite(depth)
    image[seen] = (90 + 120 * (depth[seen] - low[2]) / span[2]).astype(np.uint8)[:, None]
    found = (keypoints.points - keypoints.cloud.points.mean(axis=0)) @ axes.T
    columns, rows = _pixels(found, low, high, scale, height)
    for column, row, z, color in zip(columns, rows, found[:, 2], colors, strict=True):
        hidden = depth[np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)] > z + 0.03 * span[2]
        center, shade = (int(column), int(row)), tuple(map(int, color))
        if not hidden:
            cv2.circle(image, center, 4, shade, -1, cv2.LINE_AA)
        cv2.circle(image, center, 4, shade if hidden else (30, 30, 30), 1, cv2.LINE_AA)
    return image


def _pixels(
    points: NDArray[np.float64], low: NDArray[np.float64], high: NDArray[np.float64], scale: float, height: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Returns the column and the row of each point of a view."""
    columns = np.round((points[:, 0] - low[0]) * scale).astype(np.int64) + MARGIN
    middle = (low[1] + high[1]) / 2
    rows = np.round(height / 2 - (points[:, 1] - middle) * scale).astype(np.int64)
    return columns, np.clip(rows, 0, height - 1)
