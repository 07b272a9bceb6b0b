"""COCO files of a few instances, written by tests."""

import json
from pathlib import Path
from typing import Any


def put_coco(path: Path, *names: str, joints: tuple[str, ...] = ("head", "tail"), **category: Any) -> Path:
    """A file that lists images of 40 x 60 pixels with one instance each."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table = {
        "info": {"year": 2020},
        "images": [{"id": i, "file_name": name, "width": 60, "height": 40} for i, name in enumerate(names, start=1)],
        "annotations": [
            {"id": i, "image_id": i, "category_id": 1, "keypoints": [9, 8, 2] * len(joints), "bbox": [1, 2, 30, 20]}
            for i in range(1, len(names) + 1)
        ],
        "categories": [{"id": 1, "name": "fly", "keypoints": list(joints)} | category],
    }
    path.write_text(json.dumps(table))
    return path
