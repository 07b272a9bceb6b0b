"""A drawn data set: instances with three keypoints, each a dot of its own color, on gray."""

from pathlib import Path

import numpy as np

from cairn.datasets.formats.coco import read_coco, write_coco
from cairn.datasets.labels import LabeledImage, Labels
from cairn.media.images import write_image
from cairn.structures.annotation import Annotation
from cairn.structures.skeleton import Skeleton

THING = Skeleton("thing", ("head", "left_end", "right_end"), ((0, 1), (0, 2)), flip_pairs=((1, 2),))
COLORS = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255]], np.uint8)


def draw_things(rng: np.random.Generator, people: int, size: int = 96) -> tuple[np.ndarray, np.ndarray]:
    """An image (size, size, 3) and keypoints (people, 3, 2)."""
    image = np.full((size, size, 3), 127, np.uint8)
    heads = np.stack([np.linspace(20, size - 20, people), rng.uniform(20, size - 40, people)], axis=1)
    ends = np.array([[-8, 18], [8, 18]]) + rng.uniform(-3, 3, (people, 2, 2))
    keypoints = np.concatenate([heads[:, None], heads[:, None] + ends], axis=1)
    ys, xs = np.mgrid[:size, :size]
    for thing in keypoints:
        for (x, y), color in zip(thing, COLORS, strict=True):
            image[(xs - x) ** 2 + (ys - y) ** 2 < 16] = color
    return image, keypoints.astype(np.float32)


def made_labels(folder: Path, images: int, people: int = 1, seed: int = 0) -> Labels:
    """Writes `folder`/labels.json and `folder`/images, and returns the labels as they are read."""
    rng = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True)
    listed = []
    for i in range(images):
        image, keypoints = draw_things(rng, people)
        path = folder / "images" / f"{i}.png"
        write_image(path, image)
        low, high = keypoints.min(axis=1) - 5, keypoints.max(axis=1) + 5
        annotation = Annotation(
            keypoints,
            np.full((people, 3), 2, np.uint8),
            np.concatenate([low, high - low], axis=1).astype(np.float32),
            (high - low).prod(axis=1).astype(np.float32),
            np.zeros(people, bool),
        )
        listed.append(LabeledImage(i + 1, path, image.shape[:2], annotation))
    write_coco(Labels(THING, tuple(listed), np.ones(3, bool)), folder / "labels.json")
    return read_coco(folder / "labels.json")
