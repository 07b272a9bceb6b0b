# ruff: noqa: PTH118
# Paths are text, not objects: 100,000 of them are looked up in a second.
"""Locating the images of a label file: tools write names relative to folders of their own."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from cairn.datasets.image_index import Folders
from cairn.datasets.problems import Problems
from cairn.errors import LabelError

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
"""Suffixes of images, for formats that list a folder instead of naming files."""

PLAIN = re.compile(r"[^/\\%:?]+(?<!^\.)(?<!^\.\.)")
LOCAL = re.compile(r"(?i)file:(//(localhost(?=/))?)?")
DRIVE = re.compile(r"^/?[A-Za-z]:(?=/)/*")
ADDRESS = re.compile(r"(?!(?i:file):)[A-Za-z][A-Za-z0-9+.-]+://")

MAX_LISTED = 4
"""Names in a message about ambiguous names."""


def image_folders(source: Path, images: Path | None) -> tuple[Path, ...]:
    """Returns the folders that the names in a label file may be relative to, the most likely first.

    Args:
        source: The label file.
        images: The folder of the images; no other folder is searched. None searches `images/` beside the file. For
            a file `annotations/NAME_SPLIT.json`, the layout of COCO and CVAT, or `annot/SPLIT.h5` of ports of MPII, it
            also searches `../images/SPLIT`, `../images` and `../SPLIT`, with any word of the name:
            `NAME_SPLIT_foot_v1.json`. If none of these exists, it is the folder of the file.

    Raises:
        LabelError: The given folder does not exist.
    """
    if images is not None:
        if not images.is_dir():
            raise LabelError(f"{source}: no folder of images at {images}")
        return (images,)
    candidates = [source.parent / "images"]
    if source.parent.name in ("annotations", "annot"):
        root, words = source.parent.parent, source.stem.split("_")[::-1]
        candidates += [root / "images" / word for word in words] + [root / "images"] + [root / word for word in words]
    return tuple(folder for folder in candidates if folder.is_dir()) or (source.parent,)


def locate_images(
    names: Sequence[str],
    source: Path,
    images: Path | None,
    problems: Problems,
    missing_ok: bool = False,
    records: Sequence[str] | None = None,
) -> list[Path | None]:
    r"""Returns the path of each image; None for a skipped one.

    A name is looked up below the folders: as it is, then by the longest tail of it that a file there has, so that
    `images/a.jpg` and `C:\data\mine\a.jpg` of another machine are both found as `a.jpg`, wherever it is below the
    folder. Windows separators, drives and servers, `file://`, `..`, URL encoding, letter case and the composition of
    characters may differ. No file outside the folders is found, except under an absolute path that exists.

    Args:
        names: File names as the label file has them.
        source: The label file.
        images: Folder of the images; see `image_folders`.
        problems: Collects the skipped records and notes.
        missing_ok: Whether an image may be missing.
        records: Name of each record in messages; None numbers them.

    Raises:
        LabelError: An image is listed twice, or images are missing or ambiguous.
    """
    search = _Search([str(folder) for folder in image_folders(source, images)])
    records = records or [f"image {number}" for number in range(1, len(names) + 1)]
    found = [search.exact(name) for name in names]
    if None not in found and len(set(found)) == len(found):  # as a rule
        return _paths(found)
    matches: list[Sequence[str]] = []
    absent: set[int] = set()
    elsewhere: set[int] = set()
    for i, (name, path) in enumerate(zip(names, found, strict=True)):
        tails, is_elsewhere = ([path], False) if path else search.by_tail(name)
        if not tails:
            absent.add(i)
        if is_elsewhere:
            elsewhere.add(i)
        matches.append(tails or [search.expected(name)])
    ambiguous = [i for i, paths in enumerate(matches) if len(paths) > 1]
    others = _conflicts(names, matches, {path: i for i, path in reversed(list(enumerate(found))) if path})
    missing: list[int] = []
    result: list[Path | None] = [None] * len(names)
    for i, (name, record, paths) in enumerate(zip(names, records, matches, strict=True)):
        with problems:
            if not isinstance(name, str) or not name.strip():
                raise LabelError(f"{source}: {record} needs a file name, got {name!r:.80}")
            if len(paths) > 1:
                which = _ambiguity([i] if problems.skip else ambiguous, names, matches, records)
                raise LabelError(f"{source}: {which}: give the folder of the images with --images")
            if i in absent and ADDRESS.match(name):
                raise LabelError(f"{source}: {record} is at {name:.100}: download it and give its folder with --images")
            if i in absent and not missing_ok:
                missing.append(i)
                continue
            if i in others:
                other = records[others[i]]
                raise LabelError(f"{source}: {record} is {paths[0]}, which is {other} already: list an image once")
            if i in elsewhere:
                example = f"{record}, {name:.100}, is {paths[0]}"
                problems.note("images are in other folders than their names state", example)
            result[i] = Path(paths[0])
    if missing and not problems.skip:
        raise LabelError(
            f"{source}: {len(missing)} of {len(names)} images are missing, the first is {matches[missing[0]][0]}: "
            "give their folder with --images"
        )
    for i in missing:
        with problems:
            raise LabelError(f"{source}: {records[i]} is missing: {matches[i][0]}")
    return result


class _Search:
    """Looks names up in folders, the most likely first."""

    def __init__(self, roots: Sequence[str]) -> None:
        self._roots = roots
        self._prefixes = [(root, os.path.join(root, "")) for root in roots]
        self._folders = Folders()

    def exact(self, name: Any) -> str | None:
        """The file that the whole name is, relative to a folder or absolute; None where there is none."""
        if isinstance(name, str) and PLAIN.fullmatch(name):
            for root, prefix in self._prefixes:
                if self._folders.has(root, name):
                    return prefix + name
            return None
        for absolute, parts in _spellings(name):
            for root in ("/", *self._roots) if absolute else self._roots:
                folder = root if len(parts) == 1 else os.path.join(root, *parts[:-1])
                if self._folders.has(folder, parts[-1]):
                    return os.path.join(folder, parts[-1])
        return None

    def by_tail(self, name: Any) -> tuple[list[str], bool]:
        """The files that share the longest tail with a name, several where it is ambiguous.

        Also whether the file is in a subfolder that the name does not have.
        """
        best: tuple[int, str, list[str]] = 0, "", []
        for _, parts in _spellings(name):
            for root in self._roots:
                count, files = self._folders.tree(root).find(parts)
                if count > best[0]:
                    best = count, root, files
        count, root, files = best
        return [os.path.join(root, file) for file in files], len(files) == 1 and files[0].count("/") >= count

    def expected(self, name: Any) -> str:
        """Where the image of a name that is not found should be."""
        absolute, parts = next(iter(_spellings(name)[-1:]), (False, ()))
        return os.path.join("/" if absolute else self._roots[0], *parts)


def _paths(found: Sequence[str | None]) -> list[Path | None]:
    """Paths of files, from those of their folders, which takes half the time of parsing each."""
    folders: dict[str, Path] = {}
    paths: list[Path | None] = []
    for path in found:
        if path is None:
            paths.append(None)
            continue
        start, _, name = path.rpartition("/")
        folder = folders.get(start) or folders.setdefault(start, Path(start))
        paths.append(folder / name)
    return paths


def _conflicts(names: Sequence[Any], matches: Sequence[Sequence[str]], exact: Mapping[str, int]) -> dict[int, int]:
    """Names whose file belongs to another name, and that one.

    A file belongs to the first name that it is exactly. Where names only share a tail with it, it belongs to none of
    them, because it is unknown which is right; to the first, where the names are equal.
    """
    owners: dict[str, int] = {}
    claims: dict[str, list[int]] = {}
    for i, paths in enumerate(matches):
        if len(paths) == 1 and (owner := owners.setdefault(paths[0], i)) != i:
            claims.setdefault(paths[0], [owner]).append(i)
    others: dict[int, int] = {}
    for path, claimants in claims.items():
        first = exact.get(path, claimants[0])
        others |= {i: first for i in claimants if i != first}
        if path not in exact and len({names[i] for i in claimants}) > 1:
            others[first] = next(i for i in claimants if i != first)
    return others


def _ambiguity(
    among: Sequence[int], names: Sequence[str], matches: Sequence[Sequence[str]], records: Sequence[str]
) -> str:
    """A message about names that several files share."""
    first = among[0]
    candidates = ", ".join(matches[first][:MAX_LISTED]) + (", ..." if len(matches[first]) > MAX_LISTED else "")
    count = f"{len(among)} names are ambiguous, the first is " if len(among) > 1 else ""
    return f"{count}{records[first]}, {names[first]:.100}, which may be {candidates}"


def _spellings(name: Any) -> list[tuple[bool, tuple[str, ...]]]:
    """What a name may mean, the most literal first: whether it is absolute, and its parts; nothing without a name."""
    if not isinstance(name, str) or not name.strip():
        return []
    if PLAIN.fullmatch(name):
        return [(False, (name,))]
    text = LOCAL.sub("", name)
    if ADDRESS.match(text):
        text = urlsplit(text).path
    if "?d=" in text:  # Label Studio's /data/local-files/?d=PATH
        text = text.split("?d=", 1)[1]
    texts = [text]
    if "\\" in text:
        texts.append(text.replace("\\", "/"))
    texts[-1] = DRIVE.sub("/", texts[-1])
    if "%" in text:
        texts.append(DRIVE.sub("/", unquote(texts[-1]).replace("\\", "/")))
    result: list[tuple[bool, tuple[str, ...]]] = []
    for path in map(os.path.normpath, texts):
        parts = tuple(part for part in path.split("/") if part not in ("", ".", ".."))
        if parts:
            result.append((path.startswith("/"), parts))
    return result
