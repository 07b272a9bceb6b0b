"""Writes LabelMe's JSON files."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

from cairn.datasets.formats.coco.writing import decimals
from cairn.datasets.formats.losses import losses
from cairn.datasets.labels import LabeledImage, Labels
from cairn.files import atomic_write

VERSION = "5.4.1"


def write_labelme(labels: Labels, folder: Path) -> tuple[str, ...]:
    """Writes a folder with one file for each image; images are named relative to it where they are near.

    Returns:
        A message for each kind of information that the format cannot hold.

    Raises:
        OutputError: A file cannot be written.
    """
    lost: Counter[str] = Counter()
    for image, name in zip(labels, _names(labels), strict=True):
        height, width = image.size
        content: dict[str, Any] = {
            "version": VERSION,
            "flags": {},
            "shapes": _shapes(image, labels, lost),
            "imagePath": _image_path(image.path, folder / name, folder),
            "imageData": None,
            "imageHeight": height,
            "imageWidth": width,
        }
        with atomic_write(folder / name) as beside:
            beside.write_text(json.dumps(content, ensure_ascii=False, indent=2), encoding="utf-8")
    own = (f"{count} {what}" for what, count in lost.items())
    return (*losses(labels, "LabelMe", ("crowd regions",)), *own)


def _shapes(image: LabeledImage, labels: Labels, lost: Counter[str]) -> list[dict[str, Any]]:
    rows = image.annotation
    shapes = []
    for i in range(len(rows)):
        if rows.crowd[i]:
            lost["crowd regions are skipped: LabelMe has no field for them"] += 1
            continue
        category = labels.skeleton.name if rows.classes is None else labels.classes[int(rows.classes[i])]
        corners = [decimals(rows.boxes[i, :2]), decimals(rows.boxes[i, :2] + rows.boxes[i, 2:])]
        shapes.append(_shape(category, "rectangle", corners, i + 1))
        for joint, point, v in zip(labels.skeleton.joints, rows.keypoints[i], rows.visibility[i], strict=True):
            if v:
                flags = {"occluded": True} if v == 1 else {}
                shapes.append(_shape(joint, "point", [decimals(point)], i + 1, flags))
    return shapes


def _shape(
    label: str, kind: str, points: list[list[float | int]], group: int, flags: dict[str, bool] | None = None
) -> dict[str, Any]:
    return {
        "label": label,
        "points": points,
        "group_id": group,
        "description": "",
        "shape_type": kind,
        "flags": flags or {},
    }


def _image_path(image: Path, file: Path, folder: Path) -> str:
    """The image relative to its file where both are in one folder, otherwise its absolute path."""
    is_near = image.resolve().is_relative_to(folder.resolve().parent)
    path = os.path.relpath(image.resolve(), file.resolve().parent) if is_near else str(image.absolute())
    return path.replace(os.sep, "/")


def _names(labels: Labels) -> list[str]:
    """The name of each file: that of its image below the folder of all, with its id where another image has it."""
    common = os.path.commonpath([image.path.absolute().parent for image in labels])
    names: dict[str, None] = {}
    for image in labels:
        name = image.path.absolute().relative_to(common).with_suffix(".json")
        while name.as_posix() in names:
            name = name.with_stem(f"{name.stem}_{image.id}")
        names[name.as_posix()] = None
    return list(names)
