"""Images of squares and disks: two classes with the same three keypoints, drawn alike."""

from pathlib import Path

import cv2
import numpy as np

from cairn.datasets.labels import LabeledImage, Labels
from cairn.media.images import write_image
from cairn.structures.annotation import Annotation
from cairn.structures.skeleton import Skeleton

CLASSES = ("square", "disk")
SHAPE = Skeleton("shape", ("left_ear", "right_ear", "chin"), ((0, 1), (1, 2)))
OFFSETS = np.array([(-7, -6), (7, -6), (0, 8)], np.float32)
COLORS = ((255, 0, 0), (0, 255, 0), (0, 0, 255))
SIDE = 64
RADIUS = 13


def draw_shape(image: np.ndarray, center: tuple[int, int], kind: int) -> None:
    """Draws a yellow square (0) or a violet disk (1) with the three keypoints."""
    x, y = center
    if kind == 0:
        cv2.rectangle(image, (x - RADIUS, y - RADIUS), (x + RADIUS, y + RADIUS), (230, 230, 60), -1)
    else:
        cv2.circle(image, center, RADIUS, (150, 60, 230), -1)
    for (dx, dy), color in zip(OFFSETS.astype(int).tolist(), COLORS, strict=True):
        cv2.circle(image, (x + dx, y + dy), 3, color, -1)


def class_labels(folder: Path, images: int = 8, instances: int = 2, seed: int = 0) -> Labels:
    """Returns labels of images of `SIDE` pixels with one or two shapes each, of random classes."""
    rng = np.random.default_rng(seed)
    result = []
    for number in range(1, images + 1):
        image = rng.integers(0, 60, (SIDE, SIDE, 3)).astype(np.uint8)
        kinds = rng.integers(0, 2, instances)
        centers = [(int(rng.integers(14, 18) + 32 * i), int(rng.integers(16, 48))) for i in range(instances)]
        for center, kind in zip(centers, kinds.tolist(), strict=True):
            draw_shape(image, center, kind)
        path = folder / f"{seed}_{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_image(path, image)
        points = np.array(centers, np.float32)[:, None] + OFFSETS
        boxes = np.array([(x - RADIUS, y - RADIUS, 2 * RADIUS, 2 * RADIUS) for x, y in centers], np.float32)
        annotation = Annotation(
            keypoints=points,
            visibility=np.full((instances, 3), 2, np.uint8),
            boxes=boxes,
            areas=np.full(instances, 400, np.float32),
            crowd=np.zeros(instances, bool),
            classes=kinds.astype(np.int64),
        )
        result.append(LabeledImage(number, path, (SIDE, SIDE), annotation))
    return Labels(SHAPE, tuple(result), np.ones(3, bool), CLASSES)
