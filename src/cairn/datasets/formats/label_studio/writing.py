"""Writes pre-annotations that Label Studio imports: tasks with predictions, and the labeling configuration for them."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.etree.ElementTree import Element, ElementTree, SubElement, indent

import numpy as np

from cairn.datasets.formats.coco.writing import image_folder, name_in
from cairn.datasets.formats.losses import losses
from cairn.datasets.labels import LabeledImage, Labels
from cairn.files import atomic_write

LOCAL = "/data/local-files/?d="
"""Address of a file below LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT."""

MODEL = "cairn"
POINT_WIDTH = 0.5  # percent of the image's width, as it is drawn
CONFIGURATION = ".label_config.xml"


def write_label_studio(labels: Labels, path: Path) -> tuple[str, ...]:
    """Writes tasks, and beside them NAME.label_config.xml, the configuration of a project that can hold them.

    Returns:
        A message for each kind of information that the format cannot hold.

    Raises:
        OutputError: A file cannot be written.
    """
    lost: Counter[str] = Counter()
    names = labels.classes or (labels.skeleton.name,)
    folder = image_folder(path)
    tasks = []
    for image in labels:
        address = LOCAL + quote(name_in(folder, image.path).lstrip("/"))
        result = _regions(image, names, labels.skeleton.joints, lost)
        tasks.append({"data": {"image": address}, "predictions": [{"model_version": MODEL, "result": result}]})
    with atomic_write(path) as beside:
        beside.write_text(json.dumps(tasks, ensure_ascii=False), encoding="utf-8")
    with atomic_write(path.with_name(path.name.split(".")[0] + CONFIGURATION)) as beside:
        _configuration(names, labels.skeleton.joints).write(beside, encoding="utf-8")
    own = (f"{count} {what}" for what, count in lost.items())
    return (*losses(labels, "Label Studio", ("crowd regions",)), *own)


def _regions(
    image: LabeledImage, names: tuple[str, ...], joints: tuple[str, ...], lost: Counter[str]
) -> list[dict[str, Any]]:
    rows = image.annotation
    height, width = image.size
    shared = {"to_name": "image", "original_width": width, "original_height": height, "image_rotation": 0}
    percent = 100 / np.array([width, height], np.float64)
    regions: list[dict[str, Any]] = []
    for i in range(len(rows)):
        if rows.crowd[i]:
            lost["crowd regions are skipped: Label Studio has no field for them"] += 1
            continue
        name = names[0] if rows.classes is None else names[int(rows.classes[i])]
        (x, y), (w, h) = (rows.boxes[i].reshape(2, 2).astype(np.float64) * percent).tolist()
        box = {"x": x, "y": y, "width": w, "height": h, "rotation": 0, "rectanglelabels": [name]}
        parent = f"{image.id}-{i}"
        regions.append({"id": parent, "type": "rectanglelabels", "from_name": "box", **shared, "value": box})
        for k in np.flatnonzero(rows.visibility[i]).tolist():
            x, y = (rows.keypoints[i, k].astype(np.float64) * percent).tolist()
            point = {"x": x, "y": y, "width": POINT_WIDTH, "keypointlabels": [joints[k]]}
            region = {"id": f"{parent}-{k}", "type": "keypointlabels", "from_name": "keypoints", "parentID": parent}
            occluded = {"meta": {"text": ["occluded"]}} if rows.visibility[i, k] == 1 else {}
            regions.append({**region, **shared, "value": point, **occluded})
    return regions


def _configuration(names: tuple[str, ...], joints: tuple[str, ...]) -> ElementTree[Element]:
    """The labeling configuration."""
    view = Element("View")
    SubElement(view, "Image", {"name": "image", "value": "$image"})
    for tag, name, values in (("RectangleLabels", "box", names), ("KeyPointLabels", "keypoints", joints)):
        control = SubElement(view, tag, {"name": name, "toName": "image"})
        for value in values:
            SubElement(control, "Label", {"value": value})
    indent(view)
    return ElementTree(view)
