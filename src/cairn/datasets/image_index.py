# ruff: noqa: PTH116, PTH118
# Paths are text, not objects: 100,000 of them are listed in a second.
"""The files of a folder, found by the end of a path: each folder is listed once, however many names are looked up."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator


class Folders:
    """Lists of the files in folders."""

    def __init__(self) -> None:
        self._files: dict[str, frozenset[str]] = {}
        self._trees: dict[str, Tree] = {}

    def has(self, folder: str, name: str) -> bool:
        """Returns whether a folder has a file; a link to one counts."""
        if folder not in self._files:
            self._files[folder] = frozenset(entry.name for entry in _entries(folder) if _is_file(entry))
        return name in self._files[folder]

    def tree(self, folder: str) -> Tree:
        """Returns the tree of a folder."""
        if folder not in self._trees:
            self._trees[folder] = Tree(folder)
        return self._trees[folder]


class Tree:
    """All files below a folder, found by the longest tail that they share with a name.

    Letter case, composed (NFC) and decomposed (NFD) characters are equal, except that an equal spelling is preferred.
    Links to folders are followed, each folder once.
    """

    def __init__(self, folder: str) -> None:
        self._files = list(_walk(folder))
        self._depth = max((file.count("/") + 1 for file in self._files), default=0)
        self._by_tail: dict[int, dict[str, list[str]]] = {}

    def find(self, parts: tuple[str, ...]) -> tuple[int, list[str]]:
        """Returns the length of the longest tail of a name that files have, and these files.

        Args:
            parts: Folders and file of the name.

        Returns:
            Number of equal parts, 0 without a match; and paths below the folder, several where the name is ambiguous.
        """
        for count in range(min(len(parts), self._depth), 0, -1):
            found = self._with_tail(count).get(_folded("/".join(parts[-count:])))
            if found:
                return count, found if len(found) == 1 else _preferred(found, "/".join(parts[-count:]))
        return 0, []

    def _with_tail(self, count: int) -> dict[str, list[str]]:
        """The files by their last parts."""
        if count not in self._by_tail:
            table: dict[str, list[str]] = {}
            for file in self._files:
                parts = file.rsplit("/", count)
                if len(parts) >= count:
                    table.setdefault(_folded("/".join(parts[-count:])), []).append(file)
            self._by_tail[count] = table
        return self._by_tail[count]


def _preferred(files: list[str], tail: str) -> list[str]:
    """Of several files those that are spelled like the tail, and of these the one that is directly in the folder."""
    composed = unicodedata.normalize("NFC", tail)
    for same in (
        lambda file: unicodedata.normalize("NFC", file).endswith(composed),
        lambda file: file.endswith(tail),
        lambda file: file.count("/") == tail.count("/"),
    ):
        files = (len(files) > 1 and [file for file in files if same(file)]) or files
    return files


def _folded(text: str) -> str:
    """Text without differences of letter case and of composition."""
    return text.lower() if text.isascii() else unicodedata.normalize("NFC", text).casefold()


def _walk(folder: str) -> Iterator[str]:
    """Paths of all files below a folder, relative to it, in order of their names."""
    seen: set[tuple[int, int]] = set()
    pending = [""]
    while pending:
        below = pending.pop()
        place = os.path.join(folder, below) if below else folder
        try:
            status = os.stat(place)
        except OSError:
            continue
        if (status.st_dev, status.st_ino) in seen:  # a link to a folder above, or a second link
            continue
        seen.add((status.st_dev, status.st_ino))
        folders = []
        for entry in sorted(_entries(place), key=lambda entry: entry.name):
            path = f"{below}/{entry.name}" if below else entry.name
            if _is_file(entry):
                yield path
            elif _is_folder(entry):
                folders.append(path)
        pending += reversed(folders)


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder or ".") as entries:
            return list(entries)
    except (OSError, ValueError):  # no such folder, no permission, or a null character in its name
        return []


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:  # a link into a loop
        return False


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False
