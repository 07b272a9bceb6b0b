"""What records of pytorch-pose's mpii_annotations.json state beside their person: other people, and the image size.

    joint_others           (M, 16, 3) or, of one person, (16, 3): x, y from 1, visible
    objpos_other           (M, 2), or (2,)
    scale_provided_other   (M,), or a number
    img_width, img_height  in pixels

The people of validation images who were not chosen for validation are in no record, but in these lists alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.containers.json_file import pixels
from cairn.datasets.formats.instances import Instance, checked_points
from cairn.datasets.formats.mpii.crops import crop_box, missing_joints
from cairn.structures.geometry import Size

Rows = list[tuple[str | None, Instance]]


def other_people(entries: Sequence[Any], people: Rows) -> Rows:
    """Returns the people that are in no record, without keypoints; each once, with a box.

    Args:
        entries: The records, as the file has them; what is not in the expected form is ignored.
        people: (split, instance) of the records.
    """
    known = {(instance.image, _key(instance.keypoints)) for _, instance in people}
    splits = {instance.image: split for split, instance in people}
    result: Rows = []
    for entry in entries:
        if not isinstance(entry, dict) or not isinstance(name := entry.get("img_paths"), str) or name not in splits:
            continue
        for joints, center, scale in _others(entry):
            points = checked_points(np.where(missing_joints(joints)[:, None], np.nan, joints - 1), name)
            key = name, _key(points)
            if key in known or not np.isfinite(points).any():
                continue
            known.add(key)
            box = crop_box(center, scale)
            instance = Instance(name, points, np.zeros(len(points), bool), box)
            result.append((splits[name], _unlabeled(instance)))
    return result


def stated_sizes(entries: Sequence[Any]) -> dict[str, Size]:
    """Returns the (height, width) of images by name, where the records state it."""
    sizes: dict[str, Size] = {}
    for entry in entries:
        if isinstance(entry, dict) and isinstance(name := entry.get("img_paths"), str):
            height, width = pixels(entry.get("img_height")), pixels(entry.get("img_width"))
            if height and width:
                sizes[name] = height, width
    return sizes


def _others(entry: dict[str, Any]) -> list[tuple[NDArray[np.float64], tuple[float, float], float]]:
    """Joints (16, 2), center and scale of the others of a record; none where they are not in the expected form."""
    try:
        joints = np.array(entry.get("joint_others") or [], np.float64)
        joints = joints[None] if joints.ndim == 2 else joints
        if joints.ndim != 3 or joints.shape[1:] != (16, 3):
            return []
        centers = np.array(entry.get("objpos_other") or [], np.float64).reshape(-1, 2)
        scales = np.array(entry.get("scale_provided_other") or [], np.float64).reshape(-1)
    except (TypeError, ValueError):
        return []
    nothing = float("nan")
    if len(centers) != len(joints) or len(scales) != len(joints):
        centers, scales = np.full((len(joints), 2), nothing), np.full(len(joints), nothing)
    return [
        (own[:, :2], (float(x), float(y)), float(scale))
        for own, (x, y), scale in zip(joints, centers, scales, strict=True)
    ]


def _unlabeled(instance: Instance) -> Instance:
    """An instance without keypoints; its box is that of its keypoints where it has none."""
    box = instance.box
    if box is None:
        points = instance.keypoints[np.isfinite(instance.keypoints).all(axis=1)]
        (x, y), (width, height) = points.min(axis=0).tolist(), np.ptp(points, axis=0).tolist()
        box = x, y, width, height
    return replace(instance, keypoints=np.full_like(instance.keypoints, np.nan), box=box)


def _key(points: NDArray[np.float64]) -> bytes:
    """The joints in whole pixels, by which a person is recognized in several lists."""
    return np.nan_to_num(points, nan=-1e6).round().astype(np.int64).tobytes()
