"""Folders of images and videos."""

from __future__ import annotations

import heapq
import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path

log = logging.getLogger(__name__)

RESULT_FOLDERS = ("cairn.openpose", "cairn.maps", "cairn.mpii", "cairn.parquet")
"""Folders with results of an earlier run."""

SYSTEM_FILES = ("thumbs.db", "desktop.ini", "icon\r")
"""Files that systems put into folders of images, in lower case."""

WINDOW = 1 << 17
"""Number of files of one folder that are in memory at a time; a folder with more is read several times."""

MAX_NAMED = 8
"""Number of types that are counted one by one."""


@dataclass
class SkippedFiles:
    """Counts the files that a run does not read.

    Hidden files, results of an earlier run and files of the system are not counted.

    Attributes:
        counts: Suffix in lower case -> number of files; "" for files without a suffix.
    """

    counts: Counter[str] = field(default_factory=Counter)

    def add(self, path: Path) -> None:
        """Counts a file, unless it is of no interest."""
        if not (is_hidden_or_result(path.name) or path.name.startswith("cairn.") or path.name.lower() in SYSTEM_FILES):
            self.counts[path.suffix.lower()] += 1

    def __bool__(self) -> bool:
        """Whether a file was skipped."""
        return bool(self.counts)

    def __str__(self) -> str:
        """Such as `4 files skipped: 3 .txt, 1 without a suffix`."""
        return f"{_files(self.counts.total())} skipped: {self.types}"

    @property
    def types(self) -> str:
        """The numbers by type, such as `3 .txt, 1 without a suffix`."""
        ranked = sorted(self.counts.items(), key=lambda item: (-item[1], not item[0], item[0]))
        named = [f"{number} {suffix or 'without a suffix'}" for suffix, number in ranked[:MAX_NAMED]]
        if rest := sum(number for _, number in ranked[MAX_NAMED:]):
            named.append(f"{rest} of other types")
        return ", ".join(named)


def _files(number: int) -> str:
    return "1 file" if number == 1 else f"{number} files"


def walk_folder(folder: str | Path, suffixes: Sequence[str]) -> list[Path]:
    """Returns the input files below a folder, at any depth, sorted by name within each folder.

    Hidden files, hidden folders and results of an earlier run (`*.cairn.*`) are skipped. Linked folders are followed,
    each folder once.

    Args:
        folder: The folder.
        suffixes: Accepted suffixes in lower case, with the dot.
    """
    return [path for path in files_below(folder, links=True) if path.suffix.lower() in suffixes and path.is_file()]


def warn_of_folder(path: str, reason: str) -> None:
    """Logs that a folder cannot be read."""
    log.warning("cannot read the folder %s: %s", path, reason)


def files_below(
    folder: str | Path, links: bool = False, unreadable: Callable[[str, str], None] = warn_of_folder
) -> Iterator[Path]:
    """Yields the files below a folder, of whatever type, as `walk_folder` sorts and skips them.

    A link into the folder itself is skipped: its target is yielded under its own name. Of each folder `WINDOW` names
    are in memory, so that the first files of a folder with millions come at once.

    Args:
        folder: The folder.
        links: Whether to yield such links to files all the same, for labels that name them.
        unreadable: Gets the path of a folder that cannot be read, and the reason.
    """
    seen: set[tuple[int, int]] = set()
    _is_new(folder, seen)
    yield from _below(os.fspath(folder), _Tree(os.path.realpath(folder), links, unreadable), seen)


def _below(place: str, tree: _Tree, seen: set[tuple[int, int]]) -> Iterator[Path]:
    folders = []
    try:
        for entry in _sorted_entries(place):
            if entry.is_dir():
                folders.append(entry)
            elif not is_hidden_or_result(entry.name) and (
                tree.links or not (entry.is_symlink() and entry.path in tree)
            ):
                yield Path(entry.path)
    except OSError as error:
        tree.unreadable(place, error.strerror or str(error))
    for entry in folders:
        if entry.name.startswith(".") or entry.name in RESULT_FOLDERS or (entry.is_symlink() and entry.path in tree):
            continue
        if _is_new(entry.path, seen):
            yield from _below(entry.path, tree, seen)


def _sorted_entries(place: str) -> Iterator[os.DirEntry[str]]:
    """Yields the entries of a folder by name. Raises OSError."""
    last = ""
    while True:
        with os.scandir(place) as listing:
            later = (entry for entry in listing if entry.name > last)
            window = heapq.nsmallest(WINDOW, later, key=attrgetter("name"))
        yield from window
        if len(window) < WINDOW:
            return
        last = window[-1].name


@dataclass(frozen=True)
class _Tree:
    """A folder with all that it contains, and the folders that contain it.

    Attributes:
        root: Its path without links.
        links: Whether links into it are yielded.
        unreadable: Gets the path of a folder that cannot be read, and the reason.
    """

    root: str
    links: bool
    unreadable: Callable[[str, str], None]

    def __contains__(self, path: str) -> bool:
        """Whether what a link names is met without the link too, or is a loop."""
        target = os.path.realpath(path)
        if not os.path.exists(target):  # noqa: PTH110
            return False
        if self.root == target or self.root.startswith(os.path.join(target, "")):  # noqa: PTH118
            return True
        below = target.removeprefix(os.path.join(self.root, ""))  # noqa: PTH118
        return below != target and not any(
            is_hidden_or_result(part) or part in RESULT_FOLDERS for part in Path(below).parts
        )


def is_hidden_or_result(name: str) -> bool:
    """Whether a file name is hidden, or that of a result of an earlier run."""
    return name.startswith(".") or ".cairn." in name


def is_input(path: Path, suffixes: Sequence[str]) -> bool:
    """Whether a path is a file with one of the suffixes, neither hidden nor a result of an earlier run."""
    return path.suffix.lower() in suffixes and not is_hidden_or_result(path.name) and path.is_file()


def _is_new(folder: str | Path, seen: set[tuple[int, int]]) -> bool:
    """Whether a folder is met for the first time, by device and inode."""
    try:
        status = os.stat(folder)  # noqa: PTH116
    except OSError:  # it is listed as empty
        return True
    if status.st_ino == 0:  # a file system without inodes
        return True
    key = status.st_dev, status.st_ino
    if key in seen:
        return False
    seen.add(key)
    return True
