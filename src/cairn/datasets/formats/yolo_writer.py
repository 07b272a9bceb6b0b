"""Writing YOLO-pose folders, with a flip order and names that are right: an order that is not swaps left and right."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from pathlib import Path

import numpy as np

from cairn.datasets.formats.yolo import IMAGES, PARTS
from cairn.datasets.labels import LabeledImage, Labels
from cairn.errors import OutputError
from cairn.files import atomic_write
from cairn.structures.poses import Annotation
from cairn.structures.skeleton import Skeleton


def write_yolo(labels: Labels, folder: Path, part: str = "train") -> tuple[str, ...]:
    """Copies the images to images/PART, writes labels/PART, and data.yaml of all the parts that are there.

    A part that is there already is replaced when all is written. What the form has no room for is returned in words:
    crowds, tracks, and joints outside of their image, for which its readers refuse the image.
    Raises OutputError where it cannot be written, or the parts that are there have other joints.
    """
    beside = folder / f".{part}.{os.getpid()}.partial"
    lost: Counter[str] = Counter()
    _same_joints(folder / "data.yaml", labels.skeleton)
    try:
        for image, name in zip(labels, _names(labels), strict=True):
            copy, text = beside / "images" / name, (beside / "labels" / name).with_suffix(".txt")
            for file in (copy, text):
                file.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(image.path, copy)
            text.write_text("".join(_lines(image, lost)), encoding="utf-8")
        for kind in ("images", "labels"):
            target = folder / kind / part
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(target, ignore_errors=True)
            (beside / kind).replace(target)
    except OSError as error:
        raise OutputError(f"cannot write {folder}: {error.strerror or error}") from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    parts = [name for name in PARTS if (folder / "images" / name).is_dir()]
    with atomic_write(folder / "data.yaml") as path:
        path.write_text(_yaml(labels.skeleton, parts), encoding="utf-8")
    return tuple(f"{count} {what}" for what, count in lost.items())


def _yaml(skeleton: Skeleton, parts: list[str]) -> str:
    """Lists and texts are written as JSON, which is YAML too."""
    names = json.dumps(list(skeleton.joints), ensure_ascii=False)
    lines = [
        *(f"{part}: images/{part}" for part in parts),
        f"kpt_shape: [{len(skeleton)}, 3]",
        f"flip_idx: {list(skeleton.flip_order)} # in a mirrored image joint k is what flip_idx[k] was",
        f"names: {{0: {json.dumps(skeleton.name, ensure_ascii=False)}}}",
        f"kpt_names: {{0: {names}}}",
        "# Cairn's own, which others pass over: limbs as pairs of joint numbers from 0, and OKS sigmas",
        f"skeleton: {[list(limb) for limb in skeleton.limbs]}",
        f"sigmas: {list(skeleton.sigmas)}",
    ]
    return "\n".join(lines) + "\n"


def _same_joints(path: Path, skeleton: Skeleton) -> None:
    """Parts share one data.yaml: what it says of the joints must hold for all."""
    if not path.exists():
        return
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise OutputError(f"cannot add to {path}: {error}") from None
    if not all(line in text for line in _yaml(skeleton, []).splitlines()):
        raise OutputError(f"{path} has other joints, or was not written by Cairn: choose another folder")


def _lines(image: LabeledImage, lost: Counter[str]) -> list[str]:
    """One for each object."""
    rows: Annotation = image.annotation
    height, width = image.size
    side = np.array([width, height], np.float64)
    lines = []
    for i in range(len(rows)):
        if rows.crowd[i]:
            lost["crowds are left out, for which YOLO has no room"] += 1
            continue
        if rows.tracks is not None and rows.tracks[i] >= 0:
            lost["tracks are left out, for which YOLO has no room"] += 1
        shares = rows.keypoints[i] / side
        flags = rows.visibility[i].copy()
        outside = (flags > 0) & ~((shares >= 0) & (shares <= 1)).all(axis=1)
        if outside.any():
            lost["joints are left out that lie outside of their image, which YOLO refuses"] += int(outside.sum())
            flags[outside] = 0
        shares[flags == 0] = 0
        low = np.clip(rows.boxes[i, :2].astype(np.float64), 0, side)
        high = np.clip(rows.boxes[i, :2].astype(np.float64) + rows.boxes[i, 2:], 0, side)
        box = [*((low + high) / 2 / side), *((high - low) / side)]
        joints = (f"{x:.7f} {y:.7f} {flag}" for (x, y), flag in zip(shares.tolist(), flags.tolist(), strict=True))
        lines.append(" ".join(["0", *(f"{value:.7f}" for value in box), *joints]) + "\n")
    return lines


def _names(labels: Labels) -> list[Path]:
    """What each image is called in the part: its path below the folder that all share. A text file goes by the
    name without its ending, so images that differ in nothing else get their number.
    """
    common = os.path.commonpath([image.path.absolute().parent for image in labels])
    names = [image.path.absolute().relative_to(common) for image in labels]
    stems = Counter(name.with_suffix("") for name in names)
    return [
        (name if stems[name.with_suffix("")] == 1 else name.with_stem(f"{name.stem}_{image.id}")).with_suffix(
            name.suffix if name.suffix.lower() in IMAGES else ".jpg"
        )
        for name, image in zip(names, labels, strict=True)
    ]
