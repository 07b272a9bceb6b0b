"""Where the images of each split are. Projects move between machines and tools, so that few paths hold."""

from __future__ import annotations

import os
import re
import reprlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

from cairn.datasets.containers.text_file import exists, read_text
from cairn.datasets.formats.format import ReadOptions
from cairn.datasets.formats.splits import ORDER, images_apart
from cairn.datasets.image_files import DRIVE, SUFFIXES, locate_images
from cairn.datasets.problems import Problems
from cairn.errors import LabelError
from cairn.media.folders import walk_folder

SPLIT_KEYS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
"""Split by key of data.yaml."""

ABOVE = re.compile(r"^(\.{1,2}/)+")  # folders above, at the start of a name
MAX_PATTERN = 4096  # characters of the longest path; expanding a pattern takes quadratic time
SAMPLE = 100  # names of a list by which its folder is determined


def images_of_splits(table: dict[str, Any], path: Path, options: ReadOptions) -> dict[str, list[Path]]:
    """Returns the images of each split that data.yaml lists: of folders, of lists in text files, and of patterns.

    An image is in one split: validation images are not trained on, and test images are neither. A split whose images
    do not exist is noted and skipped, unless the options ask for it.

    Raises:
        LabelError: No images are left, or none for training; or a list is invalid.
    """
    places = _places(table, path)
    if not places or (options.split and options.split not in places):
        raise LabelError(f"{path} lists no images under {options.split or 'train, val or test'}")
    roots, problems = _roots(table.get("path"), path, options.images), options.problems
    single = sum(len(names) for names in places.values()) == 1
    needed = ORDER[: ORDER.index(options.split) + 1] if options.split else ORDER
    found: dict[str, list[Path]] = {}
    for split, names in places.items():
        if split not in needed:
            continue
        images: dict[Path, None] = {}
        for name in names:
            of_place = list(_images(name, roots, path, single, problems))
            if not of_place and single and options.images is not None:
                of_place = walk_folder(options.images, SUFFIXES)
            if not of_place and split != options.split:
                problems.note("folders and lists of splits without an image are skipped", f"{split} is {name}")
            if len(of_place) > len(of_place_once := dict.fromkeys(of_place)) or of_place_once.keys() & images.keys():
                problems.note("images that a split lists several times are read once", f"{split} is {name}")
            images |= of_place_once
        if images:
            found[split] = list(images)
    asked = [options.split] if options.split else list(places)
    if not any(split in found for split in asked):
        tried = ", ".join(f"{names[0]} ({split})" for split, names in places.items() if split in asked)
        where = f"below {options.images}" if options.images else "give their folder with --images"
        raise LabelError(f"{path}: no images at {tried}: {where}")
    return images_apart(found, path, options.split, problems)


def label_file(image: Path) -> Path:
    """Returns images/a.jpg -> labels/a.txt, by the last folder named images, or the text file beside the image.

    The one beside the image is returned where the other does not exist.
    """
    beside, parts = image.with_suffix(".txt"), list(image.parts[:-1])
    if "images" not in parts:
        return beside
    parts[len(parts) - 1 - parts[::-1].index("images")] = "labels"
    usual = Path(*parts, beside.name)
    return usual if usual.is_file() or not beside.is_file() else beside


def _places(table: dict[str, Any], path: Path) -> dict[str, list[str]]:
    """The folders, lists and patterns of each split, in the order train, val, test."""
    places: dict[str, list[str]] = {}
    for key, split in SPLIT_KEYS.items():
        value = table.get(key)
        if not value or split in places:
            continue
        names = value if isinstance(value, list) else [value]
        for name in names:
            if not isinstance(name, str) or not name.strip() or "\0" in name:
                got = reprlib.repr(name)
                raise LabelError(f"{path}: {key} must be a folder of images or a list in a .txt file, got {got}")
        places[split] = [name.strip() for name in names]
    return places


def _roots(root: Any, path: Path, images: Path | None) -> list[Path]:
    """Folders that places may be relative to: the given one, `path`, which is often of another machine, data.yaml's."""
    roots = [images, images.parent] if images is not None else []
    if isinstance(root, str) and root.strip() and "\0" not in root:
        stated = _path(root.strip())
        roots += [path.parent / stated, Path.cwd() / stated]
        roots += [path.parent / tail for tail in _tails(root)]
    roots.append(path.parent)
    return list(dict.fromkeys(folder for folder in roots if exists(folder) and folder.is_dir()))


def _images(name: str, roots: list[Path], path: Path, single: bool, problems: Problems) -> Iterator[Path]:
    """The images of a place; none where it does not exist."""
    for where in _resolved(name, roots, single):
        if where.is_dir():
            yield from walk_folder(where, SUFFIXES)
        elif where.suffix.lower() in SUFFIXES:
            yield where
        else:
            yield from _listed(where, roots, path, problems)


def _resolved(name: str, roots: list[Path], single: bool) -> list[Path]:
    """The file, the folder or the matches of a pattern that a place is, by its longest tail that exists.

    Folders above a root are dropped: Roboflow writes `../train/images` of a folder beside data.yaml. `images` alone is
    no tail where there are several places: it could be the folder that holds all of them.
    """
    absolute = _path(name)
    anchor = Path(absolute.anchor)
    candidates = [(anchor, str(absolute.relative_to(anchor)))] if absolute.anchor and absolute.name else []
    for spelling in dict.fromkeys((name, unquote(name))):
        for i, tail in enumerate(_tails(spelling)):
            if i == 0 or single or tail != "images":
                candidates += [(root, tail) for root in roots]
    for root, tail in candidates:
        if exists(root / tail):
            return [root / tail]
        if matches := _matches(root, tail):
            return matches
    return []


def _matches(root: Path, pattern: str) -> list[Path]:
    """The folders, images and lists below a folder that match a pattern, such as `images/batch*`."""
    if not any(sign in pattern for sign in "*?[") or len(pattern) > MAX_PATTERN:
        return []
    try:
        found = sorted(root.glob(pattern))
    except (ValueError, OSError):  # no valid pattern
        return []
    return [path for path in found if path.is_dir() or path.suffix.lower() in (*SUFFIXES, ".txt")]


def _path(name: str) -> Path:
    path = Path(name.replace("\\", "/"))
    return path.expanduser() if name.startswith("~/") else path


def _tails(name: str) -> list[str]:
    """A name without the folders above, then without its first folder, and so on."""
    text = DRIVE.sub("/", name.strip().replace("\\", "/"), count=1)
    parts = [part for part in PurePosixPath(os.path.normpath(text)).parts if part not in ("..", ".", "/", "//")]
    return [str(PurePosixPath(*parts[start:])) for start in range(len(parts))] or ["."]


def _listed(where: Path, roots: list[Path], path: Path, problems: Problems) -> list[Path]:
    """The images of a list in a text file, whose names are relative to its folder or to a root."""
    try:
        lines = read_text(where).splitlines()
    except LabelError:
        raise LabelError(f"{path}: {where} must be a folder of images, or a text file of their names") from None
    numbered: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        if name := ABOVE.sub("", line.strip().replace("\\", "/")):
            if name in numbered:
                problems.note("images that a split lists several times are read once", f"{where} line {number}")
            numbered.setdefault(name, number)
    names, records = list(numbered), [f"{where.name} line {number}" for number in numbered.values()]
    sample = names[:: max(1, len(names) // SAMPLE)]
    for folder in dict.fromkeys((where.parent, *roots)):
        if any(locate_images(sample, path, folder, Problems(skip=True, log_notes=False))):
            return [file for file in locate_images(names, path, folder, problems, records=records) if file]
    return []
