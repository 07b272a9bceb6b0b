"""Sources: which images and clips a user named, and what their results are called."""

from __future__ import annotations

import glob
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Literal

from cairn.errors import ImageError
from cairn.media.folders import is_input, walk_folder
from cairn.media.images import IMAGE_SUFFIXES
from cairn.media.inputs import is_url
from cairn.media.names import ImageName, short_stem
from cairn.media.video import VIDEO_SUFFIXES

LIST_SUFFIX = ".txt"

INPUT_SUFFIXES = (*IMAGE_SUFFIXES, *VIDEO_SUFFIXES)

NUMBER = re.compile(r"%(?:0(\d+))?d")
"""Placeholder of the frame number in the name of an image sequence, as in C and FFmpeg."""

CAMERA = "camera"
"""Stem of the results of a webcam, followed by its number."""

Kind = Literal["image", "video", "camera", "sequence"]


@dataclass(frozen=True)
class Source:
    """One image or one clip.

    Attributes:
        name: Its name; the `output` of a clip is that of the whole clip.
        kind: An image, or the kind of clip.
    """

    name: ImageName
    kind: Kind

    @property
    def is_clip(self) -> bool:
        """Whether the source has frames."""
        return self.kind != "image"


def find_sources(sources: Sequence[str]) -> list[Source]:
    """Returns the images and clips that the sources name, each once, in order.

    A source is a file, a folder (read recursively), a quoted glob, a list (a .txt file with one path a line, relative
    to its own folder), an image sequence (`frame_%05d.png`) or a webcam number. A file that is named explicitly is
    returned whether or not it exists: reading reports that.

    Results keep the folder structure below the deepest folder that contains all sources, so that files of one name
    in two folders do not collide. Where two files in a folder differ only in their suffix, names keep the suffix.

    Raises:
        ImageError: A folder or list has no image or video, a glob or a sequence matches nothing, or a source is a URL.
    """
    found: dict[str, Source] = {}  # absolute path -> as named; the output follows below
    roots: list[Path] = []
    for source in sources:
        paths, folders = _expand(source)
        roots += folders
        for path in paths:
            kind = _kind(path)
            found.setdefault(
                path if kind == "camera" else _absolute(path), Source(ImageName(Path(path), PurePath(path)), kind)
            )
    base = _common_folder(roots)
    outputs = [_output(each, base) for each in found.values()]
    return [
        replace(each, name=ImageName(each.name.path, output.with_name(short_stem(output.name))))
        for each, output in zip(found.values(), _without_suffix(outputs), strict=True)
    ]


def numbered_images(pattern: Path) -> list[tuple[int, Path]]:
    """Returns number and path of the images of a sequence, sorted by number; numbers may be missing."""
    before, width, after = NUMBER.split(pattern.name, maxsplit=1)
    digits = rf"\d{{{width}}}|[1-9]\d{{{width},}}" if width else r"0|[1-9]\d*"  # %05d: five digits, more past 99999
    wanted = re.compile(f"{re.escape(before)}({digits}){re.escape(after)}")
    files = pattern.parent.iterdir() if pattern.parent.is_dir() else ()
    matches = [(wanted.fullmatch(path.name), path) for path in files]
    return sorted((int(match[1]), path) for match, path in matches if match)


def _expand(source: str) -> tuple[list[str], list[Path]]:
    """Returns paths, patterns and webcam numbers, and the folders relative to which their results are named."""
    if not source:  # an unset variable of a script; Path("") would be the current folder
        raise ImageError("a source is empty: name an image, a video or a folder (. is the current one)")
    path = Path(source)
    if is_url(source):
        raise ImageError(f"{source} is a URL: download the image or video and pass its path")
    if webcam := re.fullmatch(r"/dev/video(\d+)", source):
        raise ImageError(f"{source} is a webcam: pass its number, {webcam[1]}")
    if path.is_dir():
        files = [str(file) for file in walk_folder(path, INPUT_SUFFIXES)]
        if not files:
            raise ImageError(f"no image or video in the folder {path} (looked for {' '.join(INPUT_SUFFIXES)})")
        return files, [path]
    if path.suffix.lower() == LIST_SUFFIX and path.is_file():
        files = _read_list(path)
        return files, [Path(file).parent for file in files]
    if glob.has_magic(source) and not path.exists():
        matches = sorted(glob.glob(source, recursive=True))  # noqa: PTH207
        files = [match for match in matches if is_input(Path(match), INPUT_SUFFIXES)]
        if not files:
            raise ImageError(f"no image or video matches {source}")
        return files, [Path(file).parent for file in files]
    kind = _kind(source)
    if kind == "sequence" and not numbered_images(path):
        raise ImageError(f"no image matches the sequence {source}")
    return [source], [] if kind == "camera" else [path.parent]


def _kind(source: str) -> Kind:
    path = Path(source)
    if source.isascii() and source.isdigit() and not path.exists():
        return "camera"
    if NUMBER.search(path.name) and not path.exists():
        return "sequence"
    return "video" if path.suffix.lower() in VIDEO_SUFFIXES else "image"


def _read_list(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8-sig", errors="surrogateescape").splitlines()
    except OSError as error:
        raise ImageError(f"cannot read the list {path}: {error.strerror or error}") from None
    files = [str(path.parent / line.strip()) for line in lines if line.strip()]
    if not files:
        raise ImageError(f"the list {path} names no image: expected one path a line")
    return files


def _absolute(path: str | Path) -> str:
    return os.path.abspath(path)  # noqa: PTH100 (resolve() would follow links out of the user's folders)


def _common_folder(folders: Iterable[Path]) -> Path:
    try:
        return Path(os.path.commonpath([_absolute(folder) for folder in folders] or ["."]))
    except ValueError:  # on Windows only
        raise ImageError("the sources are on several drives: process one drive at a time") from None


def _output(source: Source, base: Path) -> PurePath:
    """Returns the output with the suffix of the file, which `_without_suffix` removes."""
    if source.kind == "camera":
        return PurePath(f"{CAMERA}{source.name.path}.{CAMERA}")
    output = PurePath(os.path.relpath(source.name.path, base))
    if source.kind != "sequence":
        return output
    stem = NUMBER.sub("", output.stem).rstrip("_-. ") or "sequence"
    return output.with_name(stem + output.suffix)


def _without_suffix(outputs: Sequence[PurePath]) -> Iterator[PurePath]:
    """Removes suffixes, except in folders where that would give two files one name."""
    # Compared in lower case: some file systems ignore case.
    stems = Counter(str(output.with_suffix("")).lower() for output in outputs)
    ambiguous = {output.parent for output in outputs if stems[str(output.with_suffix("")).lower()] > 1}
    for output in outputs:
        yield output if output.parent in ambiguous else output.with_suffix("")
