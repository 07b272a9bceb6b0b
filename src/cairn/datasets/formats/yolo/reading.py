"""Reads YOLO-pose data sets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cairn.datasets.formats.category import make_skeleton
from cairn.datasets.formats.format import ReadOptions, read_text
from cairn.datasets.formats.instances import Instance, ListedImage, checked_points, collect
from cairn.datasets.formats.yaml_file import read_yaml, yaml_in
from cairn.datasets.image_files import SUFFIXES, locate_images
from cairn.datasets.labels import SPLITS, Labels
from cairn.datasets.problems import Problems
from cairn.errors import ImageError, LabelError, SkeletonError
from cairn.media.folders import walk_folder
from cairn.media.images import image_size
from cairn.structures.geometry import Size
from cairn.structures.skeleton import Limb, Skeleton

BOX = 5  # numbers before the joints: class and bounding box


@dataclass(frozen=True)
class KeypointShape:
    """`kpt_shape`: the number of joints, and of numbers for each (2 or 3)."""

    joints: int
    numbers: int


def read_yolo(path: Path, options: ReadOptions) -> Labels:
    """Reads the labels of a data set by its YAML file or folder. Images without a text file have no instances.

    A given skeleton of as many joints names them in order, where the file does not.

    Raises:
        LabelError: Anything is missing or contradictory. Names the file and the line.
        MissingExtra: PyYAML is not installed.
    """
    path, problems = yaml_in(path) or path, options.problems
    table = read_yaml(path)
    shape = _shape(table, path)
    skeleton = _skeleton(table, shape.joints, options.skeleton, path)
    splits = [options.split] if options.split else [name for name in SPLITS if table.get(name)]
    if not splits or not table.get(splits[0]):
        raise LabelError(f"{path} lists no images under {options.split or 'train, val or test'}")
    entries = [image for name in splits for image in _images(table, name, path, options.images, problems)]
    instances: list[Instance] = []
    listed: dict[Path, ListedImage] = {}
    for image in entries:
        with problems:
            if image in listed:
                raise LabelError(f"{path} lists {image} twice: keep train, val and test apart")
            try:
                size = image_size(image)
            except ImageError as error:
                raise LabelError(f"{path}: {error}") from None
            instances += _instances(image, size, shape, problems)
            listed[image] = ListedImage(str(image), size)
    return collect(instances, skeleton, path, None, listed.values(), problems=problems)


def _shape(table: dict[str, Any], path: Path) -> KeypointShape:
    shape = table.get("kpt_shape")
    if not (isinstance(shape, list) and len(shape) == 2 and all(isinstance(n, int) for n in shape)):
        raise LabelError(f"{path}: kpt_shape must be [joints, 2 or 3], got {shape!r:.60}")
    if shape[0] < 1 or shape[1] not in (2, 3):
        raise LabelError(f"{path}: kpt_shape must be [joints, 2 or 3], got {shape}")
    return KeypointShape(*shape)


def _skeleton(table: dict[str, Any], joints: int, names: Skeleton | None, path: Path) -> Skeleton:
    """Names from `kpt_names`, otherwise from the given skeleton, otherwise numbers; flip pairs from `flip_idx`."""
    own_names = _joint_names(table.get("kpt_names"), joints, path)
    classes = table.get("names")
    classes = list(classes.values()) if isinstance(classes, dict) else classes
    name = str(classes[0]) if isinstance(classes, list) and classes else "object"
    if not own_names and names is not None and len(names) == joints:
        return names
    pairs = _flip_pairs(table.get("flip_idx"), joints, path)
    if not pairs and own_names:  # many tools write 0, 1, 2, ...: then the names decide
        pairs = None
    limbs = table.get("skeleton") or []
    try:
        if not all(isinstance(limb, list) and len(limb) == 2 and set(limb) <= set(range(joints)) for limb in limbs):
            raise SkeletonError(f"skeleton must be pairs of joint numbers from 0 to {joints - 1}, got {limbs!r:.60}")
        joint_names = own_names or [f"point_{i}" for i in range(joints)]
        return make_skeleton(name, joint_names, ((a, b) for a, b in limbs), pairs, table.get("sigmas"))
    except (SkeletonError, TypeError) as error:
        raise LabelError(f"{path}: {error}") from None


def _flip_pairs(flips: Any, joints: int, path: Path) -> list[Limb] | None:
    """Pairs of `flip_idx`; None where it is missing."""
    if flips is None:
        return None
    if not isinstance(flips, list) or sorted(flips, key=str) != sorted(range(joints), key=str):
        raise LabelError(f"{path}: flip_idx must be the numbers from 0 to {joints - 1} in some order, got {flips}")
    if any(flips[flips[i]] != i for i in range(joints)):
        raise LabelError(f"{path}: flip_idx must map each joint to itself when applied twice, got {flips}")
    return [(i, j) for i, j in enumerate(flips) if i < j]


def _joint_names(value: Any, joints: int, path: Path) -> list[str]:
    """Names of `kpt_names`: a list, or one list for each class, which must agree."""
    if value is None:
        return []
    lists = list(value.values()) if isinstance(value, dict) else value
    if isinstance(lists, list) and lists and not isinstance(lists[0], list):
        lists = [lists]
    if not isinstance(lists, list) or not lists or any(not isinstance(names, list) for names in lists):
        raise LabelError(f"{path}: kpt_names must be a list of names for each class, got {value!r:.60}")
    if any(names != lists[0] for names in lists):
        raise LabelError(f"{path}: classes have different keypoints: keep one class in each data set")
    if len(lists[0]) != joints:
        raise LabelError(f"{path}: kpt_names must have the {joints} names of kpt_shape, got {len(lists[0])}")
    return [str(name) for name in lists[0]]


def _images(table: dict[str, Any], split: str, path: Path, images: Path | None, problems: Problems) -> Iterator[Path]:
    """The images of a split: of one folder, of several, or of text files that list them."""
    places = table[split] if isinstance(table[split], list) else [table[split]]
    for place in places:
        if not isinstance(place, str):
            raise LabelError(f"{path}: {split} must be a folder of images or a list in a .txt file, got {place!r:.60}")
        where = _place(path, table.get("path"), place, split, images)
        if where.is_dir():
            yield from sorted(walk_folder(where, SUFFIXES))
        else:
            try:
                lines = [line.strip() for line in where.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
            except (OSError, UnicodeDecodeError):
                raise LabelError(f"{path}: {split} is {where}: expected a folder, or a text file of names") from None
            records = [f"{where.name} line {i}" for i in range(1, len(lines) + 1)]
            names = [line.removeprefix("./") for line in lines]
            paths = locate_images(names, path, images or where.parent, problems, records=records)
            yield from (file for file in paths if file)


def _place(path: Path, root: Any, place: str, split: str, images: Path | None) -> Path:
    """The folder or list of a split: below `path` of the file, which is often of another machine, or beside it."""
    roots = [path.parent / str(root)] if root else []
    if images is not None:
        roots, place = [images, images.parent], place.removeprefix("images/")
    trimmed = place.replace("\\", "/")
    while trimmed.startswith("../"):  # Roboflow writes one too many
        trimmed = trimmed[3:]
    candidates = [folder / trimmed for folder in (*roots, path.parent)]
    existing = next((folder for folder in candidates if folder.exists()), None)
    if existing is not None:
        return existing
    if trimmed != place:
        raise LabelError(f"{path}: {split} has a name that leaves the folder: {place}")
    if images is not None:
        return images
    raise LabelError(f"{path}: no images at {candidates[0]} ({split}): give their folder with --images")


def _label_file(image: Path) -> Path:
    """images/a.jpg -> labels/a.txt, by the last folder named images; otherwise the text file beside the image."""
    parts = list(image.parts[:-1])
    if "images" in parts:
        parts[len(parts) - 1 - parts[::-1].index("images")] = "labels"
    return Path(*parts, f"{image.stem}.txt")


def _instances(image: Path, size: Size, shape: KeypointShape, problems: Problems) -> Iterator[Instance]:
    """The instances of an image; without a text file it has none."""
    path = _label_file(image)
    lines = read_text(path).splitlines() if path.is_file() else []
    for i, line in enumerate(lines, start=1):
        instance = None
        with problems:
            if fields := line.split():
                instance = _instance(fields, f"{path} line {i}", str(image), size, shape)
        if instance is not None:
            yield instance


def _instance(fields: list[str], record: str, image: str, size: Size, shape: KeypointShape) -> Instance:
    try:
        values = np.array([float(field) for field in fields])
    except ValueError:
        raise LabelError(f"{record}: expected numbers, got {' '.join(fields):.60}") from None
    count = BOX + shape.joints * shape.numbers
    if len(values) != count:
        raise LabelError(f"{record}: expected {count} numbers by kpt_shape, got {len(values)}")
    if not np.isfinite(values).all():
        raise LabelError(f"{record}: expected finite numbers, got {fields[int(np.argmin(np.isfinite(values)))]}")
    height, width = size
    table = values[BOX:].reshape(-1, shape.numbers)
    points = table[:, :2] * (width, height)
    flags = table[:, 2] if shape.numbers == 3 else np.where((table > 0).any(axis=1), 2, 0)
    if not np.isin(flags, (0, 1, 2)).all():
        bad = flags[~np.isin(flags, (0, 1, 2))][0]
        raise LabelError(f"{record}: v must be 0 (not labeled), 1 (occluded) or 2 (visible), got {bad:g}")
    x, y, w, h = (values[1:BOX] * (width, height, width, height)).tolist()
    if w < 0 or h < 0:
        raise LabelError(f"{record}: the bounding box has a negative width or height")
    points = checked_points(np.where(flags[:, None] > 0, points, np.nan), record)
    return Instance(image, points, flags == 1, (x - w / 2, y - h / 2, w, h))
