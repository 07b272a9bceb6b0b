"""YOLO-pose folders (https://docs.ultralytics.com/datasets/pose): a YAML file, images, and a text file for each.

    data.yaml           train: images/train    kpt_shape: [13, 3]    flip_idx: [...]    names: {0: fly}
    images/train/a.jpg
    labels/train/a.txt  class, center x and y, width, height, then x, y, v of each joint: a line for each object

All lengths are shares of the image's sides.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from cairn.datasets.formats.category import described
from cairn.datasets.formats.people import Listed, Person, gather, placed
from cairn.datasets.formats.yaml_file import read_yaml
from cairn.datasets.image_files import located
from cairn.datasets.labels import Labels
from cairn.datasets.problems import Faults
from cairn.errors import ImageError, LabelError, SkeletonError
from cairn.media.images import image_size
from cairn.structures.geometry import Size
from cairn.structures.skeleton import Limb, Skeleton

PARTS = ("train", "val", "test")
IMAGES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
BOX = 5  # numbers before the joints: class and box


def read_yolo(
    path: Path,
    images: Path | None = None,
    names: Skeleton | None = None,
    part: str | None = None,
    faults: Faults | None = None,
) -> Labels:
    """The labels of a data set's YAML file. Images without a text file have no objects.

    names  what the joints are where the file does not name them, in its order
    part   train, val or test; None takes all that there are
    Raises LabelError with file and line where anything is missing or contradictory, MissingExtra without PyYAML.
    """
    faults = faults or Faults()
    table = read_yaml(path)
    joints, numbers = _shape(table, path)
    skeleton = _skeleton(table, joints, names, path)
    wanted = [part] if part else [name for name in PARTS if table.get(name)]
    if not wanted or not table.get(wanted[0]):
        raise LabelError(f"{path} names no images under {part or 'train, val or test'}")
    entries = [image for name in wanted for image in _listed(table, name, path, images, faults)]
    people: list[Person] = []
    listed: dict[Path, Listed] = {}
    for image in entries:
        with faults:
            if image in listed:
                raise LabelError(f"{path} lists {image} twice: keep train, val and test apart")
            try:
                size = image_size(image)
            except ImageError as error:
                raise LabelError(f"{path}: {error}") from None
            people += _people(_label_file(image), str(image), size, joints, numbers, faults)
            listed[image] = Listed(str(image), size)
    return gather(people, skeleton, path, None, listed=listed.values(), faults=faults)


def _shape(table: dict[str, Any], path: Path) -> tuple[int, int]:
    """(joints, numbers for each)."""
    shape = table.get("kpt_shape")
    if not (isinstance(shape, list) and len(shape) == 2 and all(isinstance(n, int) for n in shape)):
        raise LabelError(f"{path}: kpt_shape must be [joints, 2 or 3], got {shape!r:.60}")
    if shape[0] < 1 or shape[1] not in (2, 3):
        raise LabelError(f"{path}: kpt_shape must be [joints, 2 or 3], got {shape}")
    return shape[0], shape[1]


def _skeleton(table: dict[str, Any], joints: int, names: Skeleton | None, path: Path) -> Skeleton:
    """Names by `kpt_names`, else of the skeleton that is given, else numbers; pairs by `flip_idx`."""
    found = _joint_names(table.get("kpt_names"), joints, path)
    classes = table.get("names")
    classes = list(classes.values()) if isinstance(classes, dict) else classes
    name = str(classes[0]) if isinstance(classes, list) and classes else "object"
    if not found and names is not None and len(names) == joints:
        return names
    flips = table.get("flip_idx")
    pairs: list[Limb] | None = None
    if flips is not None:
        if not isinstance(flips, list) or sorted(flips, key=str) != sorted(range(joints), key=str):
            raise LabelError(f"{path}: flip_idx must be the numbers from 0 to {joints - 1} in some order, got {flips}")
        if any(flips[flips[i]] != i for i in range(joints)):
            raise LabelError(f"{path}: flip_idx must return each joint to its place when applied twice, got {flips}")
        pairs = [(i, j) for i, j in enumerate(flips) if i < j]
        if not pairs and found:  # many tools write 0, 1, 2, ...: then names say what changes sides
            pairs = None
    limbs = table.get("skeleton") or []
    try:
        if not all(isinstance(limb, list) and len(limb) == 2 and set(limb) <= set(range(joints)) for limb in limbs):
            raise SkeletonError(f"skeleton must be pairs of joint numbers from 0 to {joints - 1}, got {limbs!r:.60}")
        sigmas = table.get("sigmas")
        return described(name, found or [f"point_{i}" for i in range(joints)], map(tuple, limbs), pairs, sigmas)
    except (SkeletonError, TypeError) as error:
        raise LabelError(f"{path}: {error}") from None


def _joint_names(value: Any, joints: int, path: Path) -> list[str]:
    """Of `kpt_names`: a list, or one for each class, which must agree."""
    if value is None:
        return []
    lists = list(value.values()) if isinstance(value, dict) else value
    if isinstance(lists, list) and lists and not isinstance(lists[0], list):
        lists = [lists]
    if not isinstance(lists, list) or not lists or any(not isinstance(names, list) for names in lists):
        raise LabelError(f"{path}: kpt_names must be a list of names for each class, got {value!r:.60}")
    if any(names != lists[0] for names in lists):
        raise LabelError(f"{path}: classes have different keypoints: keep one class in each set")
    if len(lists[0]) != joints:
        raise LabelError(f"{path}: kpt_names must be {joints} names as kpt_shape says, got {len(lists[0])}")
    return [str(name) for name in lists[0]]


def _listed(table: dict[str, Any], part: str, path: Path, images: Path | None, faults: Faults) -> Iterator[Path]:
    """The images of a part: of a folder, of several, or of text files that list them."""
    places = table[part] if isinstance(table[part], list) else [table[part]]
    for place in places:
        if not isinstance(place, str):
            raise LabelError(f"{path}: {part} must be a folder of images or a list in a .txt file, got {place!r:.60}")
        where = _place(path, table.get("path"), place, part, images)
        if where.is_dir():
            yield from sorted(file for file in where.rglob("*") if file.suffix.lower() in IMAGES)
        else:
            try:
                lines = [line.strip() for line in where.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
            except (OSError, UnicodeDecodeError):
                raise LabelError(f"{path}: {part} is {where}: expected a folder, or a text file of names") from None
            called = [f"{where.name} line {i}" for i in range(1, len(lines) + 1)]
            names = [line.removeprefix("./") for line in lines]
            yield from (file for file in located(names, path, images or where.parent, faults, called=called) if file)


def _place(path: Path, root: Any, place: str, part: str, images: Path | None) -> Path:
    """Where a part's images lie: below `path` of the file, which many write for another machine, or beside it."""
    roots = [path.parent / str(root)] if root else []
    if images is not None:
        roots, place = [images, images.parent], place.removeprefix("images/")
    trimmed = place.replace("\\", "/")
    while trimmed.startswith("../"):  # Roboflow writes one too many
        trimmed = trimmed[3:]
    tried = [folder / trimmed for folder in (*roots, path.parent)]
    found = next((folder for folder in tried if folder.exists()), None)
    if found is not None:
        return found
    if trimmed != place:
        raise LabelError(f"{path}: {part} has a name that leaves the folder: {place}")
    if images is not None:
        return images
    raise LabelError(f"{path}: there are no images at {tried[0]} ({part}): say where they lie with --images")


def _label_file(image: Path) -> Path:
    """images/a.jpg -> labels/a.txt, by the last folder called images; else the text file beside the image."""
    parts = list(image.parts[:-1])
    if "images" in parts:
        parts[len(parts) - 1 - parts[::-1].index("images")] = "labels"
    return Path(*parts, f"{image.stem}.txt")


def _people(path: Path, image: str, size: Size, joints: int, numbers: int, faults: Faults) -> Iterator[Person]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines() if path.is_file() else []
    except OSError as error:
        raise LabelError(f"cannot read labels {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise LabelError(f"{path} is no UTF-8 text") from None
    count = BOX + joints * numbers
    for i, line in enumerate(lines, start=1):
        person = None
        with faults:
            if fields := line.split():
                person = _person(fields, f"{path} line {i}", image, size, count, numbers)
        if person is not None:
            yield person


def _person(fields: list[str], record: str, image: str, size: Size, count: int, numbers: int) -> Person:
    try:
        values = np.array([float(field) for field in fields])
    except ValueError:
        raise LabelError(f"{record}: expected numbers, got {' '.join(fields):.60}") from None
    if len(values) != count:
        raise LabelError(f"{record}: expected {count} numbers as kpt_shape says, got {len(values)}")
    if not np.isfinite(values).all():
        raise LabelError(f"{record}: expected finite numbers, got {fields[int(np.argmin(np.isfinite(values)))]}")
    height, width = size
    table = values[BOX:].reshape(-1, numbers)
    points = table[:, :2] * (width, height)
    flags = table[:, 2] if numbers == 3 else np.where((table > 0).any(axis=1), 2, 0)
    if not np.isin(flags, (0, 1, 2)).all():
        bad = flags[~np.isin(flags, (0, 1, 2))][0]
        raise LabelError(f"{record}: v must be 0 (not labeled), 1 (hidden) or 2 (visible), got {bad:g}")
    x, y, w, h = (values[1:BOX] * (width, height, width, height)).tolist()
    if w < 0 or h < 0:
        raise LabelError(f"{record}: the box has a negative width or height")
    points = placed(np.where(flags[:, None] > 0, points, np.nan), record)
    return Person(image, points, flags == 1, (x - w / 2, y - h / 2, w, h))
