"""Annotations of Stacked Hourglass Networks (Newell et al., ECCV 2016) for MPII and FLIC: train.h5, valid.h5, annot.h5.

The datasets of a file have one row for each person:

    imgname     names, as strings, or (N, 16) codes of their characters
    part        (N, 16, 2) of MPII, (N, 11, 2) of FLIC, in pixels from 1; (0, 0) or (-1, -1) is not labeled
    visible     (N, K), 0 where occluded
    center      (N, 2), scale (N): the crop has a side of 200·scale
    normalize   (N): 0.6 of the diagonal of the head box; of FLIC the distance from right shoulder to left hip
    index, person   (N), from 0: image and person in the annolist of MPII
    istrain     (N), in annot.h5 alone: 1 training, 0 test, 2 a training image, but a person without joints

In annot.h5, center and scale are those of MPII. In the other files, the center is moved down by 15·scale, and the scale
is enlarged by 1.25. Of annot.h5, the people that valid.h5 has are those of validation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.containers.hdf5 import check_readable, read_array, root_keys
from cairn.datasets.containers.text_file import exists, read_text
from cairn.datasets.formats.format import Format, ReadOptions
from cairn.datasets.formats.instances import (
    CROP_MARGIN,
    PERSON_HEIGHT,
    Instance,
    checked_points,
    collect,
    square,
)
from cairn.datasets.formats.mpii.crops import crop_box, missing_joints
from cairn.datasets.formats.splits import by_split
from cairn.datasets.labels import Labels
from cairn.errors import LabelError
from cairn.structures.skeleton import load_skeleton

SKELETONS = {16: "mpii16", 11: "flic11"}
SPLITS = {"train": "train", "valid": "val", "test": "test"}
"""Split by the start of the file name."""

NORMALIZE = 0.6
"""Share of the head box's diagonal that `normalize` is."""

TORSO = 3, 6
"""Right shoulder and left hip of flic11."""

Rows = list[tuple[str | None, Instance]]


@dataclass(frozen=True, eq=False)
class _Table:
    """The arrays of a file: N people with K joints; None where it lacks one."""

    names: Sequence[str]
    part: NDArray[np.float64]
    visible: NDArray[np.float64] | None
    center: NDArray[np.float64] | None
    scale: NDArray[np.float64] | None
    normalize: NDArray[np.float64] | None
    istrain: NDArray[np.float64] | None
    person: NDArray[np.float64] | None


def read_pose_hg(path: Path, options: ReadOptions) -> Labels:
    """Reads a file, or train.h5 and valid.h5 of a folder, or of its folder `annot`.

    People of train.h5 in images of valid.h5 stay without keypoints: neither training nor validation uses them.

    Raises:
        LabelError: A file does not have the expected structure.
        MissingExtra: h5py is not installed.
    """
    files = _files(path) if path.is_dir() else [path]
    check_readable(files)
    rows: Rows = []
    for file in files:
        rows += _rows(file, _read(file), options)
    counts = {len(instance.keypoints) for _, instance in rows} or {16}
    if len(counts) > 1:
        raise LabelError(f"{path} has files of MPII and of FLIC: give one of them")
    (count,) = counts
    validated = {instance.image for split, instance in rows if split == "val"}
    several = len({split for split, _ in rows}) > 1
    rows = [
        (split, instance) if split == "val" or not several or instance.image not in validated else _unlabeled(instance)
        for split, instance in rows
    ]
    instances, listed = by_split(rows, options.split, options.problems)
    source = files[0].parent / path.name if path.is_dir() else path
    skeleton = load_skeleton(SKELETONS[count])
    return collect(instances, skeleton, source, options.images, listed, count == 16, options.problems)


def _unlabeled(instance: Instance) -> tuple[str, Instance]:
    """A person of training in an image of validation, which counts for neither."""
    return "val", replace(instance, keypoints=np.full_like(instance.keypoints, np.nan))


def _files(folder: Path) -> list[Path]:
    """train.h5 and valid.h5 of a folder, where they are such annotations."""
    for each in (folder, folder / "annot"):
        found = [file for name in ("train.h5", "valid.h5") if exists(file := each / name)]
        if found and all(_is_annotation(file) for file in found):
            return found
    return []


def _is_annotation(path: Path) -> bool:
    keys = root_keys(path)
    return keys is not None and "part" in keys and bool(keys & {"imgname", "center", "normalize"})


def _sniff(path: Path) -> bool:
    return bool(_files(path)) if path.is_dir() else _is_annotation(path)


def _read(path: Path) -> _Table:
    import h5py

    with h5py.File(path) as file:
        try:
            part = _numbers(file, "part", path)
            if part is None or part.ndim != 3 or part.shape[1] not in SKELETONS or part.shape[2] != 2:
                shape = None if part is None else part.shape
                raise LabelError(f"{path}: part must be (N, 16, 2) of MPII or (N, 11, 2) of FLIC, got {shape}")
            count, joints = part.shape[:2]
            shapes = {"visible": (count, joints), "center": (count, 2)}
            columns = {
                name: _numbers(file, name, path, shapes.get(name, (count,)))
                for name in ("visible", "center", "scale", "normalize", "istrain", "person")
            }
            names = _names(file, path, count)
        except (KeyError, OSError, RuntimeError, ValueError, TypeError) as error:
            raise LabelError(f"{path} is damaged ({type(error).__name__}: {str(error)[:60]})") from None
    return _Table(names, part, **columns)


def _numbers(file: Any, name: str, path: Path, shape: tuple[int, ...] | None = None) -> NDArray[np.float64] | None:
    """An array of a file, of a shape; None where the file has none of this name."""
    if name not in file:
        return None
    values = read_array(file, name)
    if values.dtype.kind not in "iufb" or (shape is not None and values.shape != shape):
        expected = "numbers" if shape is None else f"{shape} numbers"
        raise LabelError(f"{path}: {name} must be {expected}, got {values.shape} of {values.dtype}")
    return values.astype(np.float64)


def _names(file: Any, path: Path, count: int) -> list[str]:
    """The image name of each person; from NAME_images.txt beside NAME.h5 where the file has none."""
    listed = path.with_name(f"{path.stem}_images.txt")
    if "imgname" in file:
        names = [_name(value) for value in read_array(file, "imgname")]
        where = f"{path}: imgname"
    elif exists(listed):
        names, where = [line.strip() for line in read_text(listed).splitlines()], str(listed)
        names = names[: len(names) - names[::-1].index(next(filter(None, names[::-1]), ""))] if any(names) else []
    else:
        raise LabelError(f"{path} has no imgname, and there is no {listed.name} beside it")
    if len(names) != count:
        raise LabelError(f"{where} must have {count} names, one for each person of part, got {len(names)}")
    if not all(names):
        raise LabelError(f"{where} has no name of person {names.index('') + 1}")
    return names


def _name(value: Any) -> str:
    """A name as text, bytes, or the codes of its characters, filled up with zeros."""
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.rstrip(b"\0").decode("utf-8", "replace")
    codes = np.asarray(value)
    if codes.dtype.kind not in "iuf" or codes.ndim != 1 or not ((codes >= 0) & (codes < 256)).all():
        raise ValueError("imgname is neither text nor codes of characters")
    return codes.astype(np.uint8).tobytes().rstrip(b"\0").decode("utf-8", "replace")


def _rows(path: Path, table: _Table, options: ReadOptions) -> Rows:
    """(split, instance) of each person; those of test images are skipped."""
    splits = _splits(path, table, options)
    is_mpii = table.part.shape[1] == 16
    rows: Rows = []
    for i, split in enumerate(splits):
        if split == "test" and table.istrain is not None:
            continue
        with options.problems:
            record = f"{path}: person {i + 1}"
            points = checked_points(table.part[i] - 1, record)
            points[missing_joints(table.part[i])] = np.nan
            occluded = np.zeros(len(points), bool) if table.visible is None else table.visible[i] == 0
            length = float("nan") if table.normalize is None else float(table.normalize[i])
            head = length / NORMALIZE if is_mpii and length > 0 and np.isfinite(points).any() else float("nan")
            rows.append((split, Instance(table.names[i], points, occluded, _box(table, i), head)))
            if not is_mpii and length > 0 and abs(np.linalg.norm(np.diff(points[TORSO, :], axis=0)) - length) > 0.5:
                options.problems.note(
                    "torso lengths in normalize differ from the distance of right shoulder and left hip, which PCK "
                    "divides by: in *_personcentric.h5, left and right are those of the person",
                    record,
                )
    return rows


def _splits(path: Path, table: _Table, options: ReadOptions) -> list[str | None]:
    """The split of each person: by the name of the file, or by istrain and valid.h5."""
    if table.istrain is None:
        own = next((split for start, split in SPLITS.items() if path.stem.startswith(start)), None)
        return [own] * len(table.names)
    splits: list[str | None] = ["train" if kind in (1, 2) else "test" for kind in table.istrain]
    valid = next((file for file in (path.with_name("valid.h5"), path.parent / "annot/valid.h5") if exists(file)), None)
    if valid is None:
        options.problems.note("annotations have no validation split, because there is no valid.h5 beside the file")
        return splits
    check_readable([valid])
    other = _read(valid)
    if table.person is None or other.person is None:
        raise LabelError(f"{path} and {valid} need the dataset person, by which the people of validation are known")
    known = set(zip(other.names, other.person.tolist(), strict=True))
    people = zip(table.names, table.person.tolist(), splits, strict=True)
    return ["val" if split == "train" and (name, person) in known else split for name, person, split in people]


def _box(table: _Table, i: int) -> tuple[float, float, float, float] | None:
    """The square of the crop before its margin; None where the center or the scale is missing."""
    if table.center is None or table.scale is None:
        return None
    x, y = table.center[i].tolist()
    scale = float(table.scale[i])
    if table.istrain is not None:
        return crop_box((x, y), scale)
    if not (0 < scale < np.inf and np.isfinite(x + y)):
        return None
    return square((x - 1, y - 1), PERSON_HEIGHT * scale / CROP_MARGIN)


FORMAT = Format(
    "pose_hg",
    "pose-hg-train's annotations (.h5) or their folder",
    (".h5", ""),
    _sniff,
    read_pose_hg,
    splits=("train", "val"),
)
