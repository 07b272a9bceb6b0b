"""Images that tests draw themselves: a figure of five colored blobs that turns and moves over gray."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.formats.coco import read_coco, write_coco
from cairn.datasets.labels import LabeledImage, Labels
from cairn.media.images import write_image
from cairn.structures.annotation import Annotation
from cairn.structures.skeleton import Skeleton

FIGURE = Skeleton("figure", ("head", "left_hand", "right_hand", "left_foot", "right_foot"))
SHAPE = np.array([[0, -16], [-12, -4], [12, -4], [-7, 13], [7, 13]])
COLORS = np.array([[230, 60, 60], [60, 230, 60], [60, 60, 230], [230, 230, 40], [40, 220, 230]])

SMALL = {
    "seed": 3,
    "input": {"size": 48},
    "network": {"landmarks": 5, "widths": [16, 24, 32]},
    "warps": {"rotation": 10, "scale": 0.1, "shift": 0.15, "first": 0.003, "second": 0.004},
    "loss": {"weight": 0.05, "patch": 2},
    "optimizer": {"learning_rate": 1e-2, "ema": 0.9},
    "run": {"epochs": 2, "batch_size": 16, "workers": 0, "threads": 1, "validate_every": 1},
}
"""A recipe that learns in seconds."""


def draw_figure(rng: np.random.Generator, height: int = 64, width: int = 64) -> tuple[NDArray[np.uint8], NDArray]:
    """An image (height, width, 3) and keypoints (5, 2)."""
    angle, scale = rng.normal(0, 0.2), min(height, width) / 64 * rng.uniform(0.8, 1.1)
    turn = scale * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    points = SHAPE @ turn + [width / 2, height / 2] + rng.uniform(-5, 5, 2) * scale
    ys, xs = np.mgrid[:height, :width]
    image = np.full((height, width, 3), 128.0) + rng.normal(0, 4, (height, width, 3))
    for point, color in zip(points, COLORS, strict=True):
        near = np.exp(-((xs - point[0]) ** 2 + (ys - point[1]) ** 2) / (2 * (4 * scale) ** 2))[..., None]
        image = image * (1 - near) + color * near
    return np.clip(image, 0, 255).astype(np.uint8), points.astype(np.float32)


def made_figures(folder: Path, images: int, seed: int = 0) -> Labels:
    """Written to `folder`/labels.json and `folder`/images, and read back."""
    rng = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True)
    listed = []
    for i in range(images):
        image, points = draw_figure(rng)
        path = folder / "images" / f"{i:02}.png"
        write_image(path, image)
        low, high = points.min(axis=0), points.max(axis=0)
        annotation = Annotation(
            points[None],
            np.full((1, 5), 2, np.uint8),
            np.concatenate([low, high - low])[None].astype(np.float32),
            (high - low).prod(keepdims=True).astype(np.float32),
            np.zeros(1, bool),
        )
        listed.append(LabeledImage(i + 1, path, image.shape[:2], annotation))
    write_coco(Labels(FIGURE, tuple(listed), np.ones(5, bool)), folder / "labels.json")
    return read_coco(folder / "labels.json")
