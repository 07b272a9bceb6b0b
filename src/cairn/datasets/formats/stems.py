"""Locating images by name without suffix, for files that have the name of their image, or name it so."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cairn.datasets.image_files import SUFFIXES, image_folders
from cairn.datasets.problems import Problems
from cairn.errors import LabelError
from cairn.media.folders import is_input, walk_folder


def locate_stems(
    stems: Sequence[str],
    source: Path,
    images: Path | None,
    problems: Problems,
    hint: str = "give the folder with --images",
) -> list[Path | None]:
    """Returns the image of each name; None for a skipped one.

    Args:
        stems: Names without suffix.
        source: The label file, or the folder of label files, which may also hold the images.
        images: Folder of the images, searched with its subfolders; None searches where tools put them (see
            `image_folders`), the folder itself and that of the file.
        problems: Collects the skipped records.
        hint: What the user can do where an image is missing.

    Raises:
        LabelError: An image is missing, or several images have the name.
    """
    folders = image_folders(source, images)
    if images is None:
        own = source if source.is_dir() else source.parent
        folders = tuple(dict.fromkeys((*folders, own / "images", own, own.parent)))
    tables = [_by_stem(folder, deep=images is not None) for folder in folders]
    paths: list[Path | None] = []
    for stem in stems:
        paths.append(None)
        with problems:
            found = next((table[stem] for table in tables if stem in table), [])
            if not found:
                raise LabelError(f"{source}: no image {stem}.jpg or .png in {folders[0]}: {hint}")
            if len(found) > 1:
                raise LabelError(f"{source}: {found[0]} and {found[1].name} have the same name: keep one of them")
            paths[-1] = found[0]
    return paths


def _by_stem(folder: Path, deep: bool) -> dict[str, list[Path]]:
    if deep:
        files = walk_folder(folder, SUFFIXES)
    else:
        files = sorted(file for file in folder.iterdir() if is_input(file, SUFFIXES)) if folder.is_dir() else []
    table: dict[str, list[Path]] = {}
    for file in files:
        table.setdefault(file.stem, []).append(file)
    return table
