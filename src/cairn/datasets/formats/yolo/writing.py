"""Writes YOLO-pose folders, with joint names and a flip order: a wrong flip order swaps left and right."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from pathlib import Path

import numpy as np

from cairn.datasets.image_files import SUFFIXES
from cairn.datasets.labels import SPLITS, LabeledImage, Labels
from cairn.errors import OutputError
from cairn.files import atomic_write
from cairn.structures.annotation import Annotation
from cairn.structures.skeleton import Skeleton


def write_yolo(labels: Labels, folder: Path, split: str = "train") -> tuple[str, ...]:
    """Copies the images to images/SPLIT, writes labels/SPLIT, and data.yaml of all splits in the folder.

    An existing split is replaced after everything is written.

    Returns:
        A message for each kind of information that the format cannot hold: crowds, tracks, and joints outside their
        image, for which other readers reject the image.

    Raises:
        OutputError: The folder cannot be written, or its other splits have other joints.
    """
    partial = folder / f".{split}.{os.getpid()}.partial"
    lost: Counter[str] = Counter()
    _check_joints(folder / "data.yaml", labels.skeleton)
    try:
        for image, name in zip(labels, _names(labels), strict=True):
            copy, text = partial / "images" / name, (partial / "labels" / name).with_suffix(".txt")
            for file in (copy, text):
                file.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(image.path, copy)
            text.write_text("".join(_lines(image, lost)), encoding="utf-8")
        for kind in ("images", "labels"):
            target = folder / kind / split
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(target, ignore_errors=True)
            (partial / kind).replace(target)
    except OSError as error:
        raise OutputError(f"cannot write {folder}: {error.strerror or error}") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    splits = [name for name in SPLITS if (folder / "images" / name).is_dir()]
    with atomic_write(folder / "data.yaml") as path:
        path.write_text(_yaml(labels.skeleton, splits), encoding="utf-8")
    return tuple(f"{count} {what}" for what, count in lost.items())


def _yaml(skeleton: Skeleton, splits: list[str]) -> str:
    """The text of data.yaml."""
    lines = [
        *(f"{split}: images/{split}" for split in splits),
        "# flip_idx: joint k of a mirrored image is joint flip_idx[k] of the original.",
        "# skeleton (limbs as pairs of joint numbers from 0) and sigmas (for OKS) are ignored by other programs.",
        *_joint_lines(skeleton),
    ]
    return "\n".join(lines) + "\n"


def _joint_lines(skeleton: Skeleton) -> list[str]:
    """What data.yaml states about the joints. Lists and strings are written as JSON, which is valid YAML."""
    return [
        f"kpt_shape: [{len(skeleton)}, 3]",
        f"flip_idx: {list(skeleton.flip_order)}",
        f"names: {{0: {json.dumps(skeleton.name, ensure_ascii=False)}}}",
        f"kpt_names: {{0: {json.dumps(list(skeleton.joints), ensure_ascii=False)}}}",
        f"skeleton: {[list(limb) for limb in skeleton.limbs]}",
        f"sigmas: {list(skeleton.sigmas)}",
    ]


def _check_joints(path: Path, skeleton: Skeleton) -> None:
    """Splits share one data.yaml, so what it states about the joints must hold for all."""
    if not path.exists():
        return
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise OutputError(f"cannot add to {path}: {error}") from None
    if not all(line in text for line in _joint_lines(skeleton)):
        raise OutputError(f"{path} has other joints, or was not written by Cairn: give another folder")


def _lines(image: LabeledImage, lost: Counter[str]) -> list[str]:
    """One line for each instance."""
    rows: Annotation = image.annotation
    height, width = image.size
    side = np.array([width, height], np.float64)
    lines = []
    for i in range(len(rows)):
        if rows.crowd[i]:
            lost["crowds are skipped: YOLO has no field for them"] += 1
            continue
        if rows.tracks is not None and rows.tracks[i] >= 0:
            lost["track IDs are skipped: YOLO has no field for them"] += 1
        shares = rows.keypoints[i] / side
        flags = rows.visibility[i].copy()
        outside = (flags > 0) & ~((shares >= 0) & (shares <= 1)).all(axis=1)
        if outside.any():
            lost["joints outside their image are skipped: YOLO rejects such images"] += int(outside.sum())
            flags[outside] = 0
        shares[flags == 0] = 0
        low = np.clip(rows.boxes[i, :2].astype(np.float64), 0, side)
        high = np.clip(rows.boxes[i, :2].astype(np.float64) + rows.boxes[i, 2:], 0, side)
        box = [*((low + high) / 2 / side), *((high - low) / side)]
        joints = (f"{x:.7f} {y:.7f} {flag}" for (x, y), flag in zip(shares.tolist(), flags.tolist(), strict=True))
        lines.append(" ".join(["0", *(f"{value:.7f}" for value in box), *joints]) + "\n")
    return lines


def _names(labels: Labels) -> list[Path]:
    """The name of each image in the split: its path below the folder that all images share.

    A text file has the name of its image without the suffix, so images that differ only in suffix get their id.
    """
    common = os.path.commonpath([image.path.absolute().parent for image in labels])
    names = [image.path.absolute().relative_to(common) for image in labels]
    stems = Counter(name.with_suffix("") for name in names)
    return [
        (name if stems[name.with_suffix("")] == 1 else name.with_stem(f"{name.stem}_{image.id}")).with_suffix(
            name.suffix if name.suffix.lower() in SUFFIXES else ".jpg"
        )
        for name, image in zip(names, labels, strict=True)
    ]
