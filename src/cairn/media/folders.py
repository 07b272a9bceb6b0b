"""Folders of images and videos."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path


def walk_folder(folder: str | Path, suffixes: Sequence[str]) -> list[Path]:
    """Returns the input files below a folder, at any depth, sorted by name within each folder.

    Hidden files, hidden folders and results of an earlier run (`*.cairn.*`) are skipped.

    Args:
        folder: The folder.
        suffixes: Accepted suffixes in lower case, with the dot.
    """
    paths: list[Path] = []
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        paths += [path for path in (Path(place, name) for name in sorted(names)) if is_input(path, suffixes)]
    return paths


def is_input(path: Path, suffixes: Sequence[str]) -> bool:
    """Whether a path is a file with one of the suffixes, neither hidden nor a result of an earlier run."""
    ignored = path.name.startswith(".") or ".cairn." in path.name
    return path.suffix.lower() in suffixes and not ignored and path.is_file()
