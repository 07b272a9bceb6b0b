"""Writes "CVAT for images 1.1", which CVAT imports into a task as annotations to correct."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from xml.etree.ElementTree import Element, ElementTree, SubElement, indent

import numpy as np

from cairn.datasets.formats.coco.writing import decimals, image_folder, name_in
from cairn.datasets.formats.cvat.schema import drawing
from cairn.datasets.formats.losses import losses
from cairn.datasets.labels import LabeledImage, Labels
from cairn.files import atomic_write

NO_SUBSET = ("", "train")
"""What `write_labels` passes where the user chooses no split."""

BOX_TOLERANCE = 0.5
"""Pixels by which a bounding box may differ from that of the keypoints before its loss is reported."""


def write_cvat(labels: Labels, path: Path, split: str = "") -> tuple[str, ...]:
    """Writes one skeleton for each instance; the task must have the labels that `<meta>` lists.

    Args:
        labels: The labels.
        path: The file.
        split: Subset of the images without a split; NO_SUBSET gives them none.

    Returns:
        A message for each kind of information that the format cannot hold.

    Raises:
        OutputError: The file cannot be written.
    """
    lost: Counter[str] = Counter()
    names = labels.classes or (labels.skeleton.name,)
    root = Element("annotations")
    SubElement(root, "version").text = "1.1"
    task = SubElement(SubElement(root, "meta"), "task")
    for tag, text in (("name", path.stem), ("size", str(len(labels))), ("mode", "annotation")):
        SubElement(task, tag).text = text
    listed = SubElement(task, "labels")
    for name in names:
        _add_label(listed, name, "skeleton", svg=drawing(labels.skeleton))
        for joint in labels.skeleton.joints:
            _add_label(listed, joint, "points", parent=name)
    folder = image_folder(path)
    for number, image in enumerate(labels):
        height, width = image.size
        attributes = {"id": str(number), "name": name_in(folder, image.path)}
        subset = image.split or (split if split not in NO_SUBSET else None)
        attributes |= {"subset": subset} if subset else {}
        element = SubElement(root, "image", {**attributes, "width": str(width), "height": str(height)})
        _add_skeletons(element, image, names, labels.skeleton.joints, lost)
    indent(root)
    with atomic_write(path) as beside:
        ElementTree(root).write(beside, encoding="utf-8", xml_declaration=True)
    own = (f"{count} {what}" for what, count in lost.items())
    return (*losses(labels, "CVAT", ("joints", "crowd regions")), *own)


def _add_label(labels: Element, name: str, kind: str, **texts: str) -> None:
    label = SubElement(labels, "label")
    for tag, text in (("name", name), ("type", kind)):
        SubElement(label, tag).text = text
    SubElement(label, "attributes")
    for tag, text in texts.items():
        SubElement(label, tag).text = text


def _add_skeletons(
    element: Element, image: LabeledImage, names: tuple[str, ...], joints: tuple[str, ...], lost: Counter[str]
) -> None:
    rows = image.annotation
    for i in range(len(rows)):
        if not rows.labeled[i]:
            lost["instances without keypoints are skipped: CVAT's skeletons need them"] += 1
            continue
        labeled = rows.visibility[i] > 0
        points = rows.keypoints[i]
        tight = np.concatenate([points[labeled].min(axis=0), np.ptp(points[labeled], axis=0)])
        if (np.abs(tight - rows.boxes[i]) > BOX_TOLERANCE).any():
            lost["bounding boxes are skipped: CVAT computes that of a skeleton from its keypoints"] += 1
        name = names[0] if rows.classes is None else names[int(rows.classes[i])]
        skeleton = SubElement(element, "skeleton", {"label": name, "source": "file", "z_order": "0"})
        middle = points[labeled].mean(axis=0, dtype=np.float64).astype(np.float32)  # CVAT needs a place
        for joint, point, v in zip(joints, points, rows.visibility[i].tolist(), strict=True):
            x, y = decimals(point if v else middle)
            flags = {"outside": str(int(v == 0)), "occluded": str(int(v == 1))}
            SubElement(skeleton, "points", {"label": joint, "source": "file", **flags, "points": f"{x},{y}"})
