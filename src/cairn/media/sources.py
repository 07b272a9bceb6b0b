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
from urllib.parse import urlsplit

from cairn.errors import ImageError
from cairn.media.address import Address, download, is_url, parse_address
from cairn.media.content import content_of, content_of_file
from cairn.media.folders import SkippedFiles, files_below, is_hidden_or_result
from cairn.media.heif import can_read_heic
from cairn.media.images import IMAGE_SUFFIXES, open_image
from cairn.media.names import ImageName, short_stem
from cairn.media.path_lists import LIST_SUFFIX, read_list
from cairn.media.video import VIDEO_SUFFIXES

INPUT_SUFFIXES = (*IMAGE_SUFFIXES, *VIDEO_SUFFIXES)
"""Suffixes of files that are read from a folder without a look at their content."""

RECOGNIZED_SUFFIXES = (
    *("", ".jp2", ".j2k", ".jpf", ".jpx", ".jpc", ".avif", ".heic", ".heif", ".hif", ".apng", ".mpo", ".dib", ".btf"),
    *(".mjpeg", ".mjpg", ".h264", ".264", ".avc", ".h265", ".265", ".hevc", ".asf", ".vob", ".m1v", ".m2v", ".mpv"),
    *(".mpe", ".m2t", ".m2p", ".3g2", ".qt", ".divx", ".xvid", ".f4v", ".mxf", ".ogg", ".ogm", ".ogx", ".dav", ".ivf"),
    *(".dv", ".mod", ".tod", ".trp", ".rm", ".rmvb", ".wtv", ".mk3d"),
)
"""Suffixes of files, and "" for no suffix, that are read from a folder where their content is an image or a video."""

NUMBER = re.compile(r"%(?:0(\d+))?d")
"""Placeholder of the frame number in the name of an image sequence, as in C and FFmpeg."""

FEW = 16
"""Number of sources up to which each is opened to tell whether it has frames, before the run starts."""

SNIFFED = 4096
"""Bytes of a download that tell what it is."""

CAMERA = "camera"
"""Stem of the results of a webcam, followed by its number."""

Kind = Literal["image", "video", "pages", "camera", "sequence", "address"]


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

    @property
    def is_live(self) -> bool:
        """Whether the source may break off and come back."""
        return self.kind in ("camera", "address")


def find_sources(sources: Sequence[str], skipped: SkippedFiles | None = None) -> list[Source]:
    """Returns the images and clips that the sources name, each once, in order.

    A source is a file, a folder (read recursively), a quoted glob, a list (a .txt file with one path a line, relative
    to its own folder), an image sequence (`frame_%05d.png`), a webcam (its number, or /dev/video0) or an address
    (rtsp://, http:// and others). A file that is named explicitly is returned whether or not it exists: reading reports
    that. What it is follows from its content.

    Results keep the folder structure below the deepest folder that contains all sources, so that files of one name
    in two folders do not collide. Where two files in a folder differ only in their suffix, names keep the suffix.

    Args:
        sources: The sources.
        skipped: Counts the files in folders and globs that are not read.

    Raises:
        ImageError: A folder or list has no image or video, a glob or a sequence matches nothing, or a source is an
            address that is not read, or stdin.
    """
    skipped = SkippedFiles() if skipped is None else skipped
    found: dict[str, Source] = {}  # absolute path -> as named; the output follows below
    roots: list[Path] = []
    for source in sources:
        each_found, folders = _expand(source, skipped, closely=len(sources) <= FEW)
        roots += folders
        for each in each_found:
            found.setdefault(_key(each), each)
    base = _common_folder(roots)
    outputs = [_output(each, base) for each in found.values()]
    return [
        replace(each, name=replace(each.name, output=output.with_name(short_stem(output.name))))
        for each, output in zip(found.values(), _without_suffix(list(_distinct(outputs))), strict=True)
    ]


def numbered_images(pattern: Path) -> list[tuple[int, Path]]:
    """Returns number and path of the images of a sequence, sorted by number; numbers may be missing."""
    before, width, after = NUMBER.split(pattern.name, maxsplit=1)
    digits = rf"\d{{{width}}}|[1-9]\d{{{width},}}" if width else r"0|[1-9]\d*"  # %05d: five digits, more past 99999
    wanted = re.compile(f"{re.escape(before)}({digits}){re.escape(after)}")
    files = pattern.parent.iterdir() if pattern.parent.is_dir() else ()
    matches = [(wanted.fullmatch(path.name), path) for path in files]
    return sorted((int(match[1]), path) for match, path in matches if match)


def checked_source(source: str) -> str:
    """Returns a source as a path or address; that of `file://` as a path.

    Raises:
        ImageError: It cannot name a file, a folder or an address.
    """
    if not source:  # an unset variable of a script; Path("") would be the current folder
        raise ImageError("a source is empty: name an image, a video or a folder (. is the current one)")
    if source in ("-", "/dev/stdin", "pipe:", "pipe:0"):
        raise ImageError(
            f"{source} is stdin, which is not read, because videos need a file that can be searched: save it to a file "
            "and pass its path"
        )
    if "\0" in source:
        raise ImageError(f"{source!r} is no path: it contains a null character")
    if source.lower().startswith("file://"):
        from urllib.request import url2pathname  # imports ssl

        return url2pathname(urlsplit(source).path)
    return source


def _expand(source: str, skipped: SkippedFiles, closely: bool) -> tuple[list[Source], list[Path]]:
    """Returns images and clips, and the folders relative to which their results are named; see `named_source`."""
    source = checked_source(source)
    path = Path(source)
    if is_url(source):
        return [source_at(parse_address(source))], []
    if (webcam := webcam_number(source)) is not None:
        return [Source(ImageName(Path(webcam), PurePath(webcam)), "camera")], []
    if path.is_dir():
        before = Counter(skipped.counts)
        files = [each for file in files_below(path) if (each := source_in_folder(file, skipped)) is not None]
        if not files:
            here = SkippedFiles(skipped.counts - before)
            raise ImageError(f"no image or video in the folder {path}" + (f" ({here})" if here else ""))
        return files, [path]
    if path.suffix.lower() == LIST_SUFFIX and path.is_file() and content_of_file(path) is None:
        lines = read_list(path)
        listed = [
            source_at(parse_address(line)) if is_url(line) else named_source(line, closely=False) for line in lines
        ]
        return listed, [each.name.path.parent for each in listed if each.name.address is None]
    if glob.has_magic(source) and not path.exists():
        files = matched_sources(source, skipped)
        return files, [each.name.path.parent for each in files]
    if is_sequence(path):
        if not numbered_images(path):
            raise ImageError(f"no image matches the sequence {source}")
        return [_source(path, "sequence")], [path.parent]
    return [named_source(source, closely)], [path.parent]


def matched_sources(pattern: str, skipped: SkippedFiles) -> list[Source]:
    """Returns the files that a glob matches, of any suffix."""
    paths = map(Path, sorted(glob.glob(pattern, recursive=True)))  # noqa: PTH207
    files = [path for path in paths if not is_hidden_or_result(path.name) and path.is_file()]
    found = [each for path in files if (each := source_in_folder(path, skipped, any_suffix=True)) is not None]
    if not found:
        raise ImageError(f"no image or video matches {pattern}" + (f" ({skipped})" if skipped else ""))
    return found


def _source(path: Path, kind: Kind) -> Source:
    return Source(ImageName(path, PurePath(path)), kind)


def source_in_folder(path: Path, skipped: SkippedFiles, any_suffix: bool = False) -> Source | None:
    """Returns a file of a folder; None where it is neither an image nor a video, or nothing installed reads it.

    Files with common suffixes are not opened, so that large folders are listed quickly.
    """
    suffix = path.suffix.lower()
    if suffix in INPUT_SUFFIXES and path.is_file():
        return _source(path, "video" if suffix in VIDEO_SUFFIXES else "image")
    if suffix in RECOGNIZED_SUFFIXES or any_suffix:
        content = content_of_file(path)
        if content is not None and content.kind != "other" and (content.name != "HEIC" or can_read_heic()):
            return _source(path, content.kind)
    skipped.add(path)
    return None


def named_source(source: str, closely: bool) -> Source:
    """Returns a file that is named explicitly; where it is absent or unknown, its suffix tells what it should be.

    Args:
        source: The file.
        closely: Whether to search an image file for further frames. Otherwise reading does.
    """
    path = Path(source)
    expected: Kind = "video" if path.suffix.lower() in VIDEO_SUFFIXES else "image"
    if not closely and path.suffix.lower() in INPUT_SUFFIXES:
        return _source(path, expected)
    content = content_of_file(path)
    if content is None or content.kind == "other":
        return _source(path, expected)
    if content.kind == "video" or not closely:
        return _source(path, content.kind)
    try:
        return _source(path, open_image(path).header.frames or "image")
    except ImageError:  # reported when it is read
        return _source(path, "image")


def source_at(address: Address) -> Source:
    """Returns an address: an image where its suffix, or else its content, is that of an image."""
    suffix, kind = address.suffix, "address"
    if suffix in IMAGE_SUFFIXES and address.scheme in ("http", "https"):
        kind = "image"
    elif address.scheme in ("http", "https") and suffix not in VIDEO_SUFFIXES:
        try:
            content = content_of(download(address, SNIFFED))
        except ImageError:  # reported when it is read
            content = None
        kind = "image" if content is not None and content.kind == "image" else "address"
    name = ImageName(Path(str(address)), PurePath(address.file_name), address=address)
    return Source(name, "image" if kind == "image" else "address")


def webcam_number(source: str) -> str | None:
    """Returns the number of a webcam; None where the source is no webcam."""
    if source.isascii() and source.isdigit():
        return None if Path(source).exists() else source
    device = re.fullmatch(r"/dev/video(\d+)", os.path.realpath(source) if source.startswith("/dev/") else source)
    return device[1] if device else None


def is_sequence(path: Path) -> bool:
    """Whether a path is that of numbered images."""
    return NUMBER.search(path.name) is not None and not path.exists()


def _key(source: Source) -> str:
    if source.name.address is not None:
        return source.name.address.url
    return f"{CAMERA} {source.name.path}" if source.kind == "camera" else absolute_path(source.name.path)


def absolute_path(path: str | Path) -> str:
    """Returns an absolute path; links are not followed."""
    return os.path.abspath(path)  # noqa: PTH100 (resolve() would follow links out of the user's folders)


def _common_folder(folders: Iterable[Path]) -> Path:
    try:
        return Path(os.path.commonpath([absolute_path(folder) for folder in folders] or ["."]))
    except ValueError:  # on Windows only
        raise ImageError("the sources are on several drives: process one drive at a time") from None


def _output(source: Source, base: Path) -> PurePath:
    """Returns the output with the suffix of the file, which `_without_suffix` removes."""
    if source.kind == "camera":
        return PurePath(f"{CAMERA}{source.name.path}.{CAMERA}")
    if source.name.address is not None:
        name = source.name.output
        known = name.suffix.lower() in (*INPUT_SUFFIXES, *RECOGNIZED_SUFFIXES)
        return name if name.suffix and known else PurePath(f"{name}.{CAMERA}")
    output = PurePath(os.path.relpath(source.name.path, base))
    if source.kind != "sequence":
        return output
    stem = NUMBER.sub("", output.stem).rstrip("_-. ") or "sequence"
    return output.with_name(stem + output.suffix)


def _distinct(outputs: Iterable[PurePath]) -> Iterator[PurePath]:
    """Numbers outputs that are equal: those of addresses that differ in their query alone."""
    seen: set[PurePath] = set()
    for output in outputs:
        number, free = 1, output
        while free in seen:
            number += 1
            free = output.with_name(f"{output.stem}-{number}{output.suffix}")
        seen.add(free)
        yield free


def _without_suffix(outputs: Sequence[PurePath]) -> Iterator[PurePath]:
    """Removes suffixes, except in folders where that would give two files one name."""
    # Compared in lower case: some file systems ignore case.
    stems = Counter(str(output.with_suffix("")).lower() for output in outputs)
    ambiguous = {output.parent for output in outputs if stems[str(output.with_suffix("")).lower()] > 1}
    for output in outputs:
        yield output if output.parent in ambiguous else output.with_suffix("")
