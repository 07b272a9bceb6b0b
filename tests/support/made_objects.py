"""Synthetic instances for tests: animals from above, people from the front and from behind, and labels of them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from cairn.datasets.labels import LabeledImage, Labels
from cairn.media.images import write_image
from cairn.structures.annotation import Annotation
from cairn.structures.skeleton import Skeleton

ANIMAL = Skeleton(
    "animal",
    ("nose", "left_ear", "right_ear", "neck", "left_paw", "right_paw", "tail"),
    limbs=((0, 1), (0, 2), (0, 3), (3, 4), (3, 5), (3, 6)),
    flip_pairs=((1, 2), (4, 5)),
)
SHAPE = np.array([[0, -30], [-8, -22], [8, -22], [0, -12], [-14, 0], [14, 0], [0, 30]], float)

PERSON = Skeleton(
    "figure",
    ("head", "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
     "left_hip", "right_hip"),
    limbs=((0, 1), (0, 2), (1, 3), (3, 5), (2, 4), (4, 6), (1, 7), (2, 8)),
    flip_pairs=((1, 2), (3, 4), (5, 6), (7, 8)),
)  # fmt: skip


def animals(count: int, seed: int = 0) -> np.ndarray:
    """(count, 7, 2) keypoints with random rotations and sizes, and noise of a twentieth of the length."""
    rng = np.random.default_rng(seed)
    shapes = SHAPE + rng.normal(0, 1.5, (count, *SHAPE.shape))
    return placed(shapes, rng)


def people(count: int, seed: int = 0) -> np.ndarray:
    """(count, 9, 2) keypoints of upright people, half of them from behind, with random arm angles."""
    rng = np.random.default_rng(seed)
    side = np.array([-1.0, 1.0])
    shapes = np.zeros((count, 9, 2))
    shapes[:, 0] = 0, -25
    shapes[:, 1:3, 0], shapes[:, 1:3, 1] = 15 * side, -12
    shapes[:, 7:9, 0], shapes[:, 7:9, 1] = 10 * side, 30
    swing = rng.uniform(-0.3, 1.2, (2, count, 2))  # upper and lower arms, outward from hanging
    for part, angles in enumerate(swing):
        arm = 18 * np.stack([np.sin(angles) * side, np.cos(angles)], axis=2)
        shapes[:, 3 + 2 * part : 5 + 2 * part] = shapes[:, 1 + 2 * part : 3 + 2 * part] + arm
    shapes[rng.random(count) < 0.5, :, 0] *= -1
    return placed(shapes + rng.normal(0, 1, shapes.shape), rng, turn=0.3)


def placed(shapes: np.ndarray, rng: np.random.Generator, turn: float = np.pi) -> np.ndarray:
    angles, sizes = rng.uniform(-turn, turn, len(shapes)), rng.uniform(0.5, 2, len(shapes))
    c, s = np.cos(angles), np.sin(angles)
    matrices = sizes[:, None, None] * np.stack([np.stack([c, -s], 1), np.stack([s, c], 1)], 1)
    return np.einsum("nij,nkj->nki", matrices, shapes) + rng.uniform(80, 120, (len(shapes), 1, 2))


def random_image(seed: int, size: tuple[int, int] = (200, 200)) -> np.ndarray:
    """An image of random colors, unlike that of any other seed."""
    coarse = np.random.default_rng(seed).integers(0, 256, (7, 7, 3)).astype(np.uint8)
    return cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC)


def labels_of(folder: Path, keypoints: np.ndarray, skeleton: Skeleton, images: Sequence[np.ndarray]) -> Labels:
    """Writes the images and labels one instance in each."""
    labeled_images = []
    for i, (points, image) in enumerate(zip(keypoints, images, strict=True)):
        path = folder / f"p{i}x.png"
        write_image(path, image)
        low, high = np.nanmin(points, axis=0), np.nanmax(points, axis=0)
        annotation = Annotation(
            points[None].astype(np.float32),
            np.where(np.isfinite(points[None, :, 0]), 2, 0).astype(np.uint8),
            np.array([[*low, *(high - low)]], np.float32),
            np.array([(high - low).prod()], np.float32),
            np.zeros(1, bool),
        )
        labeled_images.append(LabeledImage(i + 1, path, image.shape[:2], annotation))
    labeled_joints = np.isfinite(keypoints).all(axis=2).any(axis=0)
    return Labels(skeleton, tuple(labeled_images), labeled_joints)


def with_image(labels: Labels, index: int, **changes: object) -> Labels:
    images = list(labels.images)
    images[index] = replace(images[index], **changes)  # type: ignore[arg-type]
    return replace(labels, images=tuple(images))
