"""`cairn.crop`: writes a crop of each labeled instance, with its labels."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from cairn.api.progress import Progress, counter, output_folder
from cairn.api.reading import read_options
from cairn.api.settings import optional_path
from cairn.arguments import checked
from cairn.errors import CairnError, ImageError, OutputError
from cairn.files import atomic_write
from cairn.machine import in_threads
from cairn.wording import counted

if TYPE_CHECKING:
    from cairn.datasets.crops import Crop
    from cairn.datasets.labels import LabeledImage, Labels
    from cairn.datasets.problems import Problems

IMAGES = "images"
"""Folder of the crops."""

MAX_SIZE = 8192

log = logging.getLogger(__name__)


@dataclass(frozen=True, repr=False)
class Crops:
    """What `cairn.crop` returns.

    Attributes:
        folder: The folder.
        labels: The label files, one for each split.
        num_crops: Number of crops.
        boxes: The boxes of `by="motion"` in the images, for `cairn detect --boxes`; None of other crops.
        skipped: A line for each image that could not be read and was skipped.
    """

    folder: Path
    labels: tuple[Path, ...]
    num_crops: int
    skipped: tuple[str, ...] = ()
    boxes: Path | None = None

    def __repr__(self) -> str:
        return f"Crops({self.folder}: {counted(self.num_crops, 'crop')})"


@checked
def crop(
    labels: str | Path,
    out: str | Path,
    *,
    images: str | Path | None = None,
    by: str = "boxes",
    margin: float = 1.25,
    size: int = 256,
    split: str | None = None,
    confidence: float | None = None,
    category: str | None = None,
    exclude: str | Path | None = None,
    skip_bad: bool = False,
    progress: Progress | None = None,
) -> Crops:
    """Writes a square crop of each labeled instance, and its labels as COCO; or of what moves in front of a camera.

    Writes OUT/images/ and OUT/labels.json; for labels with splits train.json, val.json and test.json instead, which
    together are read as OUT. Crops by motion also write OUT/boxes.json, for `cairn detect --boxes`.

    Example:
        crops = cairn.crop("list_landmarks_celeba.txt", "faces/", by="boxes", size=128)
        cairn.discover("faces/labels.json")

    Args:
        labels: Labels in any format that Cairn reads; by motion also a folder of images.
        out: Folder to write into.
        images: Folder of the images. Default: images/ beside the labels, or their own folder.
        by: What a crop is around: the "boxes" of the labels, their "landmarks", or the "motion" in frames of a static
            camera, which needs no labels.
        margin: Side of a crop over the longer side of that box.
        size: Side of the crops in pixels.
        split: Split of the labels to crop: train, val or test. Default: all.
        confidence: Minimum confidence at which a predicted keypoint counts as labeled, for labels that are
            predictions. Default: 0.5.
        category: Category to crop, where the labels have several. Default: all with the same keypoints.
        exclude: List of image names, or other labels, whose images are excluded.
        skip_bad: Whether records and images that cannot be used are skipped and counted.
        progress: Called with the task, the number of crops done, and their total.

    Raises:
        CairnError: A value is impossible.
        LabelError: The labels cannot be used, or no instance can be cropped.
        ImageError: An image cannot be read.
        OutputError: The folder holds files already, or cannot be written to.
    """
    from cairn.datasets.crops import check_crop, crops_of
    from cairn.datasets.frames import is_folder_of_images, listed_frames
    from cairn.datasets.problems import Problems
    from cairn.datasets.reading import read_labels
    from cairn.files import ensure_writable_folder
    from cairn.inference.boxes import MIN_CROP

    crop_by = check_crop(by, margin)
    if not MIN_CROP <= size <= MAX_SIZE:
        raise CairnError(f"the size of crops must be from {MIN_CROP} to {MAX_SIZE} pixels, got {size}")
    folder = Path(out)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputError(f"{folder} exists and is not empty: give another folder")
    problems = Problems(skip_bad)
    options = read_options(images, split, confidence, category, exclude=optional_path(exclude), problems=problems)
    unlabeled = is_folder_of_images(Path(labels)) and by == "motion"
    read = listed_frames(Path(labels), options) if unlabeled else read_labels(Path(labels), options)
    notes = Problems()
    crops = crops_of(read, crop_by, margin, notes)
    for note in notes.notes:
        log.warning("%s: %s", labels, note)
    with output_folder(folder, ensure_writable_folder):
        report = counter(progress, "cropping", len(crops))
        entries: list[LabeledImage] = []
        for group in _written(crops, folder / IMAGES, margin, size, problems):
            entries += [replace(entry, id=len(entries) + i) for i, entry in enumerate(group, start=1)]
            if report:
                report(len(entries))
        _warn_of_points_outside(entries, size, str(labels))
        files = () if unlabeled else _write_labels(replace(read, images=tuple(entries)), folder)
        boxes = _write_boxes(crops, folder) if by == "motion" else None
    return Crops(folder, files, len(entries), tuple(problems.skipped), boxes)


def _written(
    crops: Sequence[Crop], folder: Path, margin: float, size: int, problems: Problems
) -> Iterator[list[LabeledImage]]:
    """Writes the crops of one image after another, in threads; yields their labels in order."""
    groups = [list(group) for _, group in groupby(crops, key=lambda each: each.image.id)]
    names = _names([group[0].image.path for group in groups])
    made: set[Path] = set()
    for name in names:
        if (parent := (folder / name).parent) not in made:
            parent.mkdir(parents=True, exist_ok=True)
            made.add(parent)

    def write(each: tuple[list[Crop], str]) -> list[LabeledImage] | ImageError:
        group, name = each
        try:
            return _write_crops(group, folder / name, margin, size)
        except ImageError as error:
            return error

    with closing(in_threads(write, zip(groups, names, strict=True))) as results:
        for result in results:
            if not isinstance(result, ImageError):
                yield result
            elif problems.skip:
                problems.skipped.append(str(result))
            else:
                raise result


def _write_crops(group: Sequence[Crop], target: Path, margin: float, size: int) -> list[LabeledImage]:
    from cairn.datasets.crops import moved, square_around
    from cairn.media.images import read_image, write_image
    from cairn.structures.geometry import crop as crop_affine

    pixels = read_image(group[0].image.path)
    entries = []
    for i, each in enumerate(group):
        path = target.with_name(f"{target.stem}_{i}{target.suffix}") if len(group) > 1 else target
        affine = crop_affine(*square_around(each.box, margin), (size, size))
        write_image(path, affine.warp(pixels, (size, size)))
        annotation = moved(each.image.annotation[each.row : each.row + 1], affine)
        entries.append(replace(each.image, path=path, size=(size, size), annotation=annotation))
    return entries


def _names(paths: Sequence[Path]) -> list[str]:
    """A name for the crop of each image: its own below the folder that all share, JPEG for JPEG, otherwise PNG."""
    folders = {str(path.parent.absolute()) for path in paths}
    shared = os.path.commonpath(folders)
    names: list[str] = []
    taken: set[str] = set()
    for path in paths:
        suffix = path.suffix if path.suffix.lower() in (".jpg", ".jpeg") else ".png"
        stem = path.absolute().relative_to(shared).with_suffix("").as_posix()
        name, count = f"{stem}{suffix}", 1
        while name.lower() in taken:
            count += 1
            name = f"{stem}-{count}{suffix}"
        taken.add(name.lower())
        names.append(name)
    return names


def _warn_of_points_outside(entries: Sequence[LabeledImage], size: int, source: str) -> None:
    import numpy as np

    from cairn.structures.geometry import in_image

    if not entries:
        return
    points = np.concatenate([entry.annotation.keypoints[entry.annotation.visibility > 0] for entry in entries])
    outside = int((~in_image(points, (size, size))).sum())
    if outside:
        log.warning(
            "%s: %d of %d labeled keypoints are outside their crop: raise the margin", source, outside, len(points)
        )


def _write_labels(labels: Labels, folder: Path) -> tuple[Path, ...]:
    """Writes one COCO file, or one for each split; images without a split are of train then."""
    from cairn.datasets.formats.coco import write_coco

    if not labels.splits:
        write_coco(labels, folder / "labels.json")
        return (folder / "labels.json",)
    files = []
    for split in ("train", "val", "test"):
        own = tuple(image for image in labels if (image.split or "train") == split)
        if own:
            files.append(folder / f"{split}.json")
            write_coco(replace(labels, images=own), files[-1])
    return tuple(files)


def _write_boxes(crops: Sequence[Crop], folder: Path) -> Path:
    """Writes the boxes by the names of the images below the folder that all share."""
    shared = os.path.commonpath({str(crop.image.path.parent.absolute()) for crop in crops})
    named = {
        crop.image.path.absolute().relative_to(shared).as_posix(): [[round(float(value), 2) for value in crop.box]]
        for crop in crops
    }
    target = folder / "boxes.json"
    with atomic_write(target) as partial:
        partial.write_text(json.dumps(named), encoding="utf-8")
    return target
