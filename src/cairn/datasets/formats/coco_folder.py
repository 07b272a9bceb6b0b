"""A folder with one COCO file for each split, as COCO, mmpose and Roboflow have it.

| layout | example |
|---|---|
| COCO, mmpose | annotations/person_keypoints_train2017.json, train2017/ |
| beside the images | train.json, val.json, images/ |
| Roboflow | train/_annotations.coco.json, valid/_annotations.coco.json, with the images beside |
"""

from __future__ import annotations

import re
from pathlib import Path

from cairn.datasets.containers.text_file import first_bytes
from cairn.datasets.formats.coco_files import AnnotationFile, read_files
from cairn.datasets.formats.format import Format, ReadOptions
from cairn.datasets.labels import SPLITS, Labels
from cairn.errors import LabelError

WORDS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
"""Split by a word in the name of a file."""

START = re.compile(rb'\s*\{\s*"(info|licenses?|images|annotations|categories|videos)"\s*:')
OTHER_TASKS = ("captions", "instances", "image_info", "panoptic", "stuff")  # files of COCO beside person_keypoints


def read_coco_folder(path: Path, options: ReadOptions) -> Labels:
    """Reads the files of a folder as splits. Images are searched as for each file alone.

    Raises:
        LabelError: A split has several files, or a file is invalid.
    """
    files = annotation_files(path)
    for file in files:
        others = [other.path.name for other in files if other.split == file.split]
        if len(others) > 1:
            raise LabelError(
                f"{path} has {len(others)} annotation files of the split {file.split}: {', '.join(others):.100}: "
                "give one of them, or move the others away"
            )
    return read_files([_with_images(file, options.images) for file in files], path, options)


def annotation_files(folder: Path) -> list[AnnotationFile]:
    """Returns the COCO files of a folder that name a split, in the order train, val, test."""
    if not folder.is_dir():
        return []
    found: list[AnnotationFile] = []
    for file in sorted((*folder.glob("*.json"), *folder.glob("annotations/*.json"))):
        split = _split_of(file.stem)
        if split and not file.name.startswith((".", *OTHER_TASKS)) and START.match(first_bytes(file)):
            found.append(AnnotationFile(file, split))
    for file in sorted(folder.glob("*/_annotations.coco.json")):
        if split := _split_of(file.parent.name):
            found.append(AnnotationFile(file, split, file.parent))
    return sorted(found, key=lambda file: SPLITS.index(file.split or ""))


def _split_of(name: str) -> str | None:
    """The split that a name has as a word: train in `person_keypoints_train2017`."""
    words = {WORDS[word] for word in re.findall("[a-z]+", name.lower()) if word in WORDS}
    return words.pop() if len(words) == 1 else None


def _with_images(file: AnnotationFile, images: Path | None) -> AnnotationFile:
    """The file with the folder of its split below a given folder of images, named after the end of its name."""
    below = images / re.split("[_-]", file.path.stem)[-1] if images is not None else None
    return AnnotationFile(file.path, file.split, below) if below is not None and below.is_dir() else file


def _sniff(path: Path) -> bool:
    return bool(annotation_files(path))


FORMAT = Format(
    "coco-folder",
    "a folder of COCO files, one for each split",
    ("",),
    _sniff,
    read_coco_folder,
    splits=SPLITS,
    selects_category=True,
)
