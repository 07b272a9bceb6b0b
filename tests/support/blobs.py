"""Small images of one or two objects with three colored keypoints, as the runs of version 0.1 were trained on."""

import json
from pathlib import Path

import cv2
import numpy as np

IMAGES, SIDE = 12, 64
OFFSETS = ((0, 0), (16, 2), (8, 16))
COLORS = ((255, 0, 0), (0, 255, 0), (0, 0, 255))


def draw_blobs(root: Path) -> None:
    """Writes `single/` (one object per image) and `several/` (two) with `labels.json` and `images/` below root."""
    rng = np.random.default_rng(0)  # one generator for both sets: their images depend on the order
    for name, count in (("single", 1), ("several", 2)):
        _draw_set(root / name, count, rng)


def _draw_set(folder: Path, count: int, rng: np.random.Generator) -> None:
    (folder / "images").mkdir(parents=True, exist_ok=True)
    images, annotations = [], []
    for i in range(IMAGES):
        image = rng.integers(0, 60, (SIDE, SIDE, 3)).astype(np.uint8)
        images.append({"id": i + 1, "file_name": f"{i}.png", "width": SIDE, "height": SIDE})
        for instance in range(count):
            x, y = (int(value) for value in rng.integers(6, 26, 2) + instance * 26)
            points = [(x + dx, y + dy) for dx, dy in OFFSETS]
            for point, color in zip(points, COLORS, strict=True):
                cv2.circle(image, point, 3, color, -1)
            annotations.append({
                "id": len(annotations) + 1, "image_id": i + 1, "category_id": 1, "iscrowd": 0, "num_keypoints": 3,
                "keypoints": [value for point in points for value in (*point, 2)],
                "bbox": [x - 3, y - 3, 22, 22], "area": 484,
            })  # fmt: skip
        cv2.imwrite(str(folder / "images" / f"{i}.png"), image[..., ::-1])
    category = {"id": 1, "name": "blob", "keypoints": ["left_ear", "right_ear", "chin"], "skeleton": [[1, 2], [2, 3]]}
    labels = {"images": images, "annotations": annotations, "categories": [category]}
    (folder / "labels.json").write_text(json.dumps(labels))
