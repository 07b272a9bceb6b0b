"""Writes YOLO-pose folders, with joint names and a flip order: a wrong flip order swaps left and right."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from pathlib import Path

import numpy as np

from cairn.datasets.formats.losses import losses
from cairn.datasets.image_files import SUFFIXES
from cairn.datasets.labels import SPLITS, LabeledImage, Labels
from cairn.errors import OutputError
from cairn.files import atomic_write
from cairn.structures.annotation import Annotation
from cairn.structures.skeleton import Skeleton


def write_yolo(labels: Labels, folder: Path, split: str = "") -> tuple[str, ...]:
    """Copies the images to images/SPLIT, writes labels/SPLIT, and data.yaml of all splits in the folder.

    An existing split is replaced after everything is written.

    Args:
        labels: The labels.
        folder: The folder.
        split: Split of all images; empty writes each image to its own split, and those without one to train.

    Returns:
        A message for each kind of information that the format cannot hold: crowds, tracks, areas, videos, and joints
        outside their image, for which other readers reject the image.

    Raises:
        OutputError: The folder cannot be written, or its other splits have other joints or classes.
    """
    splits = _by_split(labels, split)
    names = _names_with(folder / "data.yaml", labels)
    number_of = [names.index(name) for name in labels.classes or (labels.skeleton.name,)]
    lost: Counter[str] = Counter()
    without = sum(image.split is None for image in labels) if not split and labels.splits else 0
    lost.update({"images without a split are written to train": without} if without else {})
    partial = folder / f".{split or 'splits'}.{os.getpid()}.partial"
    try:
        for name, images in splits.items():
            _write_split(images, partial / name, number_of, lost)
        for name in splits:
            for kind in ("images", "labels"):
                target = folder / kind / name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.rmtree(target, ignore_errors=True)
                (partial / name / kind).replace(target)
    except OSError as error:
        raise OutputError(f"cannot write {folder}: {error.strerror or error}") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    present = [name for name in SPLITS if (folder / "images" / name).is_dir()]
    with atomic_write(folder / "data.yaml") as path:
        path.write_text(_yaml(labels.skeleton, names, present), encoding="utf-8")
    own = tuple(f"{count} {what}" for what, count in lost.items())
    return (*own, *losses(labels, "YOLO", ("track IDs", "crowd regions", "joints")))


def _by_split(labels: Labels, split: str) -> dict[str, list[LabeledImage]]:
    """The images of each split."""
    splits: dict[str, list[LabeledImage]] = {}
    for image in labels:
        splits.setdefault(split or image.split or "train", []).append(image)
    return splits


def _write_split(images: list[LabeledImage], folder: Path, number_of: list[int], lost: Counter[str]) -> None:
    """Writes images/ and labels/ of one split."""
    for image, name in zip(images, _image_names(images), strict=True):
        copy, text = folder / "images" / name, (folder / "labels" / name).with_suffix(".txt")
        for file in (copy, text):
            file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(image.path, copy)
        text.write_text("".join(_lines(image, number_of, lost)), encoding="utf-8")


def _yaml(skeleton: Skeleton, names: list[str], splits: list[str]) -> str:
    """The text of data.yaml."""
    lines = [
        *(f"{split}: images/{split}" for split in splits),
        "# flip_idx: joint k of a mirrored image is joint flip_idx[k] of the original.",
        "# skeleton (limbs as pairs of joint numbers from 0) and sigmas (for OKS) are ignored by other programs.",
        *_joint_lines(skeleton),
        *_class_lines(skeleton, names),
    ]
    return "\n".join(lines) + "\n"


def _joint_lines(skeleton: Skeleton) -> list[str]:
    """What data.yaml states about the joints."""
    return [
        f"kpt_shape: [{len(skeleton)}, 3]",
        f"flip_idx: {list(skeleton.flip_order)}",
        f"skeleton: {[list(limb) for limb in skeleton.limbs]}",
        f"sigmas: {list(skeleton.sigmas)}",
    ]


def _class_lines(skeleton: Skeleton, names: list[str]) -> list[str]:
    """The names of the classes, and the joint names of each. Strings are written as JSON, which is valid YAML."""
    joints = json.dumps(list(skeleton.joints), ensure_ascii=False)
    quoted = [json.dumps(name, ensure_ascii=False) for name in names]
    return [
        f"names: {{{', '.join(f'{i}: {name}' for i, name in enumerate(quoted))}}}",
        f"kpt_names: {{{', '.join(f'{i}: {joints}' for i in range(len(names)))}}}",
    ]


def _names_with(path: Path, labels: Labels) -> list[str]:
    """The names of the classes: of the data.yaml that all splits share, then those that only the labels have."""
    own = list(labels.classes or (labels.skeleton.name,))
    if not path.exists():
        return own
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise OutputError(f"cannot add to {path}: {error}") from None
    names = _written_names(text)
    expected = [*_joint_lines(labels.skeleton), *_class_lines(labels.skeleton, names)]
    if not names or not all(line in text for line in expected):
        raise OutputError(f"{path} has other joints, or was not written by Cairn: give another folder")
    new = [name for name in own if name not in names]
    if new and len(names) == len(own) == 1:
        raise OutputError(f"{path} has the class {names[0]}, the labels have {own[0]}: give another folder")
    return names + new


def _written_names(text: str) -> list[str]:
    """The names of the classes in the text of a data.yaml that Cairn has written; none in another."""
    line = next((line for line in text.splitlines() if line.startswith("names: {0: ")), "")
    names: list[str] = []
    rest = line.removeprefix("names: {")
    while rest.startswith(start := f"{len(names)}: "):
        try:
            name, end = json.JSONDecoder().raw_decode(rest, len(start))
        except ValueError:
            return []
        names.append(name)
        rest = rest[end:].removeprefix(", ")
    return names


def _lines(image: LabeledImage, number_of: list[int], lost: Counter[str]) -> list[str]:
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
        number = number_of[0 if rows.classes is None else int(rows.classes[i])]
        lines.append(" ".join([str(number), *(f"{value:.7f}" for value in box), *joints]) + "\n")
    return lines


def _image_names(images: list[LabeledImage]) -> list[Path]:
    """The name of each image in the split: its path below the folder that all images share.

    A text file has the name of its image without the suffix, so images that differ only in suffix get their id.
    """
    common = os.path.commonpath([image.path.absolute().parent for image in images])
    names = [image.path.absolute().relative_to(common) for image in images]
    stems = Counter(name.with_suffix("") for name in names)
    return [
        (name if stems[name.with_suffix("")] == 1 else name.with_stem(f"{name.stem}_{image.id}")).with_suffix(
            name.suffix if name.suffix.lower() in SUFFIXES else ".jpg"
        )
        for name, image in zip(names, images, strict=True)
    ]
