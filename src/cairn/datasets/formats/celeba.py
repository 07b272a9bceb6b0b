"""CelebA's lists (Liu et al., ICCV 2015), and MAFL's lists of its images (Zhang et al., ECCV 2014).

| file | content |
|---|---|
| Anno/list_landmarks_align_celeba.txt | five points in the aligned images, img_align_celeba |
| Anno/list_landmarks_celeba.txt | five points in the images as they are, img_celeba |
| Anno/list_bbox_celeba.txt | boxes in the images as they are |
| Eval/list_eval_partition.txt | splits: 0 train, 1 val, 2 test |
| MAFL/training.txt, MAFL/testing.txt | names of images |

The files may also be in one folder, and be Kaggle's .csv.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.containers.text_file import first_bytes
from cairn.datasets.formats.format import Format, ReadOptions
from cairn.datasets.formats.point_rows import (
    NAME,
    PERSON_SIDES,
    PointRows,
    read_names,
    read_rows,
    split_of_name,
)
from cairn.datasets.image_files import image_folders
from cairn.datasets.labels import SPLITS, LabeledImage, Labels
from cairn.datasets.problems import Problems
from cairn.errors import ImageError, LabelError
from cairn.media.images import image_size
from cairn.structures.annotation import AREA_PER_BOX, Annotation
from cairn.structures.geometry import Size
from cairn.structures.skeleton import load_skeleton

ALIGNED, WILD = "list_landmarks_align_celeba", "list_landmarks_celeba"
BOXES, PARTITION = "list_bbox_celeba", "list_eval_partition"
ENDINGS = (".txt", ".csv")

ALIGNED_SIZE: Size = (218, 178)
"""(height, width) of all aligned images as published."""

SAMPLED = 16
"""Aligned images whose size is compared with the published one; where all have it, no other image is opened."""

FOLDERS = {
    ALIGNED: ("img_align_celeba", "img_align_celeba/img_align_celeba", "img_align_celeba_png", "celeba"),
    WILD: ("img_celeba", "img_celeba/img_celeba", "img_celeba.7z/img_celeba", "celeba"),
}
"""Folders of the images, as the archives of the data set and its copies have them."""


@dataclass(frozen=True, eq=False)
class Faces:
    """The rows of a list of landmarks that are read.

    Attributes:
        list: The list.
        names: Names of the N images.
        points: (N, 5, 2) points in the order of `face5`.
        splits: Split of each image.
        boxes: (N, 4) x, y, width, height; NaN where unknown.
    """

    list: Path
    names: Sequence[str]
    points: NDArray[np.float64]
    splits: Sequence[str | None]
    boxes: NDArray[np.float64]

    def __getitem__(self, rows: NDArray[np.int64]) -> Faces:
        return Faces(
            self.list,
            [self.names[i] for i in rows],
            self.points[rows],
            [self.splits[i] for i in rows],
            self.boxes[rows],
        )


def read_celeba(path: Path, options: ReadOptions) -> Labels:
    """Reads a list of landmarks, one of MAFL's lists, or the folder of CelebA.

    Boxes are those of list_bbox_celeba for the images as they are, otherwise those of the points. The splits are those
    of list_eval_partition; of MAFL's lists, train and test.

    Raises:
        LabelError: A line is invalid, a file that is needed is missing, or images are.
    """
    landmarks = _landmarks_of(path, options.images)
    faces = _faces(landmarks, options.problems)
    if _is_names(path):
        faces = _selected(faces, path, options.problems)
    if options.split is not None:
        rows = np.flatnonzero(np.array(faces.splits, object) == options.split)
        if not len(rows):
            raise LabelError(f"{path} has no images of split {options.split}{_without_partition(landmarks)}")
        faces = faces[rows]
    return _labels(faces, path, options)


def _landmarks_of(path: Path, images: Path | None) -> Path:
    """The list of landmarks that a path is or belongs to: of the aligned images, where their folder is there."""
    if path.is_file() and not _is_names(path):
        return path
    found = [file for name in (ALIGNED, WILD) if (file := _near(path, name)) is not None]
    if not found:
        raise LabelError(
            f"{path} is a list of image names, as MAFL's: its points are those of CelebA's {ALIGNED}.txt or "
            f"{WILD}.txt, and there is neither beside it nor in ../Anno"
        )
    if images is not None:
        wild = "align" not in images.name and found[-1].stem == WILD
        return found[-1] if wild else found[0]
    return next((file for file in found if _image_folder(file, None) is not None), found[0])


def _near(path: Path, name: str) -> Path | None:
    """A file of the data set, in the folder of a path, in those beside it and above it."""
    own = path if path.is_dir() else path.parent
    for base in (own, own.parent) if path.is_file() else (own,):
        for folder in (base, base / "Anno", base / "Eval"):
            for ending in ENDINGS:
                if (folder / f"{name}{ending}").is_file():
                    return folder / f"{name}{ending}"
    return None


def _faces(landmarks: Path, problems: Problems) -> Faces:
    rows = read_rows(landmarks, 10, problems)
    if len(set(rows.names)) < len(rows.names):
        first: dict[str, int] = {}
        for name, line in zip(rows.names, rows.lines.tolist(), strict=True):
            if (before := first.setdefault(name, line)) != line:
                raise LabelError(f"{landmarks}: line {line} is {name}, as line {before} is: list an image once")
    points = rows.values.reshape(-1, 5, 2)[:, PERSON_SIDES]
    count = len(rows.names)
    splits: list[str | None] = [None] * count
    partition = _near(landmarks, PARTITION)
    if partition is not None:
        numbers = _matched(read_rows(partition, 1, problems), rows.names)[:, 0]
        wrong = ~(np.isnan(numbers) | np.isin(numbers, range(len(SPLITS))))
        if wrong.any():
            i = int(wrong.argmax())
            raise LabelError(f"{partition}: {rows.names[i]} must be 0, 1 or 2 (train, val, test), got {numbers[i]:g}")
        splits = [None if np.isnan(number) else SPLITS[int(number)] for number in numbers]
    boxes = np.full((count, 4), np.nan)
    listed = _near(landmarks, BOXES) if not _is_aligned(landmarks) else None
    if listed is not None:
        boxes = _matched(read_rows(listed, 4, problems), rows.names)
        empty = ~(boxes[:, 2:] > 0).all(axis=1)
        for i in np.flatnonzero(empty).tolist():
            problems.note("images without a usable box get that of their points", f"{rows.names[i]} in {listed.name}")
        boxes[empty] = np.nan
    return Faces(landmarks, rows.names, points, splits, boxes)


def _matched(rows: PointRows, names: Sequence[str]) -> NDArray[np.float64]:
    """(N, C) the values of each name; NaN where it is not listed."""
    if list(names) == rows.names:  # as published
        return rows.values.copy()
    index = {name: i for i, name in enumerate(rows.names)}
    order = np.array([index.get(name, -1) for name in names], np.int64)
    return np.where((order >= 0)[:, None], rows.values[order], np.nan)


def _selected(faces: Faces, names: Path, problems: Problems) -> Faces:
    """The faces of a list of names, in its order and with its split."""
    index = {name: i for i, name in enumerate(faces.names)}
    split, rows = split_of_name(names.stem), []
    for name in dict.fromkeys(read_names(names)):
        with problems:
            if name not in index:
                raise LabelError(f"{names}: {name} is not in {faces.list}")
            rows.append(index[name])
    chosen = faces[np.array(rows, np.int64)]
    return Faces(chosen.list, chosen.names, chosen.points, [split or own for own in chosen.splits], chosen.boxes)


def _labels(faces: Faces, source: Path, options: ReadOptions) -> Labels:
    aligned = _is_aligned(faces.list)
    folder = _image_folder(faces.list, options.images) or image_folders(faces.list, options.images)[0]
    files, found = _files(faces.names, folder)
    missing = [i for i, file in enumerate(files) if file not in found]
    if missing and not (options.missing_ok and aligned):
        if not options.problems.skip:
            raise LabelError(
                f"{source}: {len(missing)} of {len(files)} images are missing, the first is "
                f"{folder / files[missing[0]]}: give their folder with --images"
            )
        for i in missing:
            with options.problems:
                raise LabelError(f"{source}: {faces.names[i]} is missing: {folder / files[i]}")
        kept = np.setdiff1d(np.arange(len(files)), missing)
        faces, files = faces[kept], [files[i] for i in kept]
        if not files:
            raise LabelError(f"{source}: none of its images is in {folder}")
    paths = [folder / file for file in files]
    sizes = _sizes(paths, [file in found for file in files], source, aligned)
    low, high = faces.points.min(axis=1), faces.points.max(axis=1)
    tight = np.concatenate([low, high - low], axis=1)
    boxes = np.where(np.isnan(faces.boxes), tight, faces.boxes).astype(np.float32)
    points = faces.points.astype(np.float32)
    visible, alone = np.full((len(files), 5), 2, np.uint8), np.zeros(len(files), bool)
    areas = (AREA_PER_BOX * tight[:, 2] * tight[:, 3]).astype(np.float32)
    images: list[LabeledImage] = []
    for i, (path, size, split) in enumerate(zip(paths, sizes, faces.splits, strict=True)):
        row = slice(i, i + 1)
        annotation = Annotation(points[row], visible[row], boxes[row], areas[row], alone[row])
        images.append(LabeledImage(i + 1, path, size, annotation, split=split))
    return Labels(load_skeleton("face5"), tuple(images), np.ones(5, bool))


def _image_folder(landmarks: Path, images: Path | None) -> Path | None:
    """The folder of the images of a list; None where there is none of the known ones."""
    kind = ALIGNED if _is_aligned(landmarks) else WILD
    bases = (images,) if images else tuple(
        folder for base in (landmarks.parent, landmarks.parent.parent) for folder in (base / "Img", base)
    )  # fmt: skip
    places = [base / name for base in bases for name in FOLDERS[kind]]
    found = [place for place in places if place.is_dir()]
    # An archive that is extracted into a folder of its own name is one folder deeper.
    return next((place / place.name if (place / place.name).is_dir() else place for place in found), images)


def _files(names: Sequence[str], folder: Path) -> tuple[list[str], frozenset[str]]:
    """The file of each name, .png where the folder has these instead of .jpg; and all files of the folder."""
    if any("/" in name or "\\" in name for name in names):
        names = [name.replace("\\", "/").rsplit("/", 1)[-1] for name in names]
    try:
        found = frozenset(os.listdir(folder))  # noqa: PTH208 (a path for each of 200,000 takes a second)
    except OSError:
        found = frozenset()
    if not any(name in found for name in names):
        others = [f"{name.rsplit('.', 1)[0]}.png" for name in names]
        if any(other in found for other in others):
            return others, found
    return list(names), found


def _sizes(paths: Sequence[Path], there: Sequence[bool], source: Path, aligned: bool) -> list[Size]:
    """The size of each image: the published one, where a sample of aligned images has it, or where one is missing."""
    found = [path for path, is_there in zip(paths, there, strict=True) if is_there]
    try:
        if aligned and all(image_size(path) == ALIGNED_SIZE for path in found[:: max(1, len(found) // SAMPLED)]):
            return [ALIGNED_SIZE] * len(paths)
        return [image_size(path) if is_there else ALIGNED_SIZE for path, is_there in zip(paths, there, strict=True)]
    except ImageError as error:
        raise LabelError(f"{source}: {error}") from None


def _without_partition(landmarks: Path) -> str:
    return "" if _near(landmarks, PARTITION) else f": {PARTITION}.txt, which states the splits, is not beside it"


def _is_aligned(landmarks: Path) -> bool:
    return "align" in landmarks.stem.lower()


def _is_names(path: Path) -> bool:
    """Whether a path is one of MAFL's lists: names of CelebA's images alone."""
    if not path.is_file() or path.suffix.lower() != ".txt":
        return False
    lines = [line.strip() for line in first_bytes(path).decode("latin-1").splitlines()[:3] if line.strip()]
    return bool(lines) and all(NAME.fullmatch(line) for line in lines[:-1] or lines)


def _sniff(path: Path) -> bool:
    if path.is_dir():
        return any(_near(path, name) is not None for name in (ALIGNED, WILD))
    name = path.name.lower()
    if not name.endswith(ENDINGS):
        return False
    for other, what in ((BOXES, "boxes"), (PARTITION, "splits")):
        if name.startswith(other):
            raise LabelError(f"{path} has CelebA's {what} alone: give {WILD}.txt or {ALIGNED}.txt, which it belongs to")
    return ("landmarks" in name and "celeba" in name) or _is_names(path)


FORMAT = Format("celeba", "CelebA's and MAFL's lists (.txt)", (".txt", ".csv", ""), _sniff, read_celeba, splits=SPLITS)
