"""Ground truth for the networks that detect totems."""

import json
from collections.abc import Sequence
from pathlib import Path

from cairn.media.images import write_image
from support.fake_network import SPEC, totems


def write_totem_labels(folder: Path, scenes: Sequence[Sequence[tuple[int, int]]]) -> Path:
    """Writes images of totems at the given centers, and their labels."""
    (folder / "images").mkdir(parents=True)
    images, annotations = [], []
    for i, middles in enumerate(scenes):
        write_image(folder / "images" / f"{i}.png", totems((320, 320), list(middles)))
        images.append({"id": i, "file_name": f"{i}.png", "width": 320, "height": 320})
        for x, y in middles:
            points = [x, y - 40, 2, x, y, 2, x, y + 40, 2]
            box = [x - 10, y - 50, 20, 100]
            annotations.append(
                {"id": len(annotations), "image_id": i, "category_id": 1, "keypoints": points, "bbox": box,
                 "area": 2000, "iscrowd": 0}
            )  # fmt: skip
    category = {"id": 1, "name": "totem", "keypoints": list(SPEC.skeleton.joints), "skeleton": [[1, 2], [2, 3]]}
    path = folder / "labels.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": [category]}))
    return path
