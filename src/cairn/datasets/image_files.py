"""Locating the images of a label file: tools write names relative to folders of their own."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from cairn.datasets.problems import Problems
from cairn.errors import LabelError

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
"""Suffixes of images, for formats that list a folder instead of naming files."""

DRIVE = re.compile(r"[A-Za-z]:/")
ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://")


def image_folders(source: Path, images: Path | None) -> tuple[Path, ...]:
    """Returns the folders that the names in a label file may be relative to, the most likely first.

    Args:
        source: The label file.
        images: The folder of the images; no other folder is searched. None searches `images/` beside the file. For
            a file `annotations/NAME_SPLIT.json`, the layout of COCO and CVAT, it also searches `../images/SPLIT`,
            `../images` and `../SPLIT`. If none of these exists, it is the folder of the file.

    Raises:
        LabelError: The given folder does not exist.
    """
    if images is not None:
        if not images.is_dir():
            raise LabelError(f"{source}: no folder of images at {images}")
        return (images,)
    candidates = [source.parent / "images"]
    if source.parent.name == "annotations":
        root, split = source.parent.parent, source.stem.rsplit("_", 1)[-1]
        candidates += [root / "images" / split, root / "images", root / split]
    return tuple(folder for folder in candidates if folder.is_dir()) or (source.parent,)


def locate_images(
    names: Sequence[str],
    source: Path,
    images: Path | None,
    problems: Problems,
    missing_ok: bool = False,
    records: Sequence[str] | None = None,
) -> list[Path | None]:
    """Returns the path of each image; None for a skipped one.

    A name that does not exist is tried without its first folder, then without the next: `images/a.jpg` and
    `/data/mine/a.jpg` of another machine are both found as `a.jpg`.

    Args:
        names: File names as the label file has them.
        source: The label file.
        images: Folder of the images; see `image_folders`.
        problems: Collects the skipped records.
        missing_ok: Whether an image may be missing.
        records: Name of each record in messages; None numbers them.

    Raises:
        LabelError: A name leaves the folder, an image is listed twice, or images are missing.
    """
    folders = image_folders(source, images)
    records = records or [f"image {number}" for number in range(1, len(names) + 1)]
    paths: list[Path | None] = []
    owners: dict[Path, str] = {}
    missing: list[tuple[int, Path]] = []
    for i, (name, record) in enumerate(zip(names, records, strict=True)):
        paths.append(None)
        with problems:
            candidates = [folder / tail for tail in _tails(name, f"{source}: {record}") for folder in folders]
            path = next((path for path in candidates if _is_file(path)), None)
            if path is None and not missing_ok:
                missing.append((i, candidates[0]))
                continue
            path = path or candidates[0]
            if path in owners:
                raise LabelError(f"{source}: {record} is {path}, which is {owners[path]} already: list an image once")
            owners[path] = record
            paths[i] = path
    if missing and not problems.skip:
        raise LabelError(
            f"{source}: {len(missing)} of {len(names)} images are missing, the first is {missing[0][1]}: "
            "give their folder with --images"
        )
    for i, path in missing:
        with problems:
            raise LabelError(f"{source}: {records[i]} is missing: {path}")
    return paths


def _tails(name: str, record: str) -> Iterator[str]:
    """The name, then the name without its first folder, and so on."""
    if not isinstance(name, str) or not name.strip():
        raise LabelError(f"{record} needs a file name, got {name!r:.80}")
    if ADDRESS.match(name):
        raise LabelError(f"{record} is at {name:.100}: download it and give its folder with --images")
    name = DRIVE.sub("/", name.replace("\\", "/"), count=1)
    parts = PurePosixPath(os.path.normpath(name)).parts
    if parts and parts[0] == "..":
        raise LabelError(f"{record} has a name that leaves the folder of images: {name:.100}")
    return (str(PurePosixPath(*parts[start:])) for start in range(len(parts)))


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long, or a folder without permission
        return False
