"""Writes COCO keypoint files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.formats.category import category_from_skeleton
from cairn.datasets.formats.coco.heads import head_field
from cairn.datasets.labels import LabeledImage, Labels
from cairn.files import atomic_write


def write_coco(labels: Labels, path: Path) -> None:
    """Writes labels so that `read_coco` returns the same; image names are relative to the file where possible.

    Raises:
        OutputError: The file cannot be written.
    """
    path = Path(path)
    folder = image_folder(path)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for image in labels:
        height, width = image.size
        name = name_in(folder, image.path)
        images.append({"id": image.id, "file_name": name, "width": width, "height": height, **groups_of(image)})
        rows = image.annotation
        points = np.concatenate([np.nan_to_num(rows.keypoints), rows.visibility[..., None]], axis=2, dtype=np.float32)
        for i in range(len(rows)):
            track = -1 if rows.tracks is None else int(rows.tracks[i])
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image.id,
                    "category_id": 1 if rows.classes is None else int(rows.classes[i]) + 1,
                    "keypoints": decimals(points[i].ravel()),
                    "num_keypoints": int((rows.visibility[i] > 0).sum()),
                    "bbox": decimals(rows.boxes[i]),
                    "area": decimals(rows.areas[i : i + 1])[0],
                    "iscrowd": int(rows.crowd[i]),
                    **({"track_id": track} if track >= 0 else {}),
                    **head_field(rows.heads, i),
                }
            )
    categories = [category_from_skeleton(labels.skeleton, i, name) for i, name in enumerate(labels.classes, start=1)]
    categories = categories or [category_from_skeleton(labels.skeleton)]
    with atomic_write(path) as partial:
        partial.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))


def image_folder(path: Path) -> Path:
    """Returns the folder that image names in a new label file are relative to."""
    return path.parent / "images" if (path.parent / "images").is_dir() else path.parent


def name_in(folder: Path, image: Path) -> str:
    """Returns the name of an image in a label file: relative to the folder if it is inside, otherwise absolute."""
    inside = image.resolve().is_relative_to(folder.resolve())
    return (image.resolve().relative_to(folder.resolve()) if inside else image.absolute()).as_posix()


def decimals(values: NDArray[np.float32]) -> list[float | int]:
    """Returns numbers with the fewest digits that single precision reads back unchanged."""
    return [int(v) if v == int(v) else float(str(v)) for v in values]


def groups_of(image: LabeledImage) -> dict[str, Any]:
    """Returns the fields `video`, `subject` and `frame` of an image, where known."""
    groups = dict(name.split(" ", 1) for name in image.groups if name.split(" ", 1)[0] in ("video", "subject"))
    return {**groups, **({} if image.frame is None else {"frame": image.frame})}
