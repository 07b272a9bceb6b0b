"""What the user named on the command line: images and clips, what their results are called, and their frames."""

from __future__ import annotations

import glob
import os
import re
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cairn.errors import CairnError, ImageError, VideoError
from cairn.media.images import IMAGE_SUFFIXES, read_image
from cairn.media.names import ImageName
from cairn.media.video import VIDEO_SUFFIXES, Video, open_camera, open_video
from cairn.media.video.frames import USUAL_RATE

LIST_SUFFIX = ".txt"

NUMBER = re.compile(r"%(?:0(\d+))?d")
"""Where the number stands in an image sequence's name, as C and FFmpeg have it."""

CAMERA = "camera"
"""With its number, what the results of a camera are called."""


@dataclass(frozen=True)
class Source:
    """Something to read. A clip (all but an image) has frames; its name's `output` is that of the whole clip."""

    name: ImageName
    kind: Literal["image", "video", "camera", "sequence"]

    @property
    def is_clip(self) -> bool:
        return self.kind != "image"


@dataclass(frozen=True, eq=False)
class Frame:
    """An image, or one of a clip.

    image  (H, W, 3) uint8 RGB; None where it could not be read
    fault  what is wrong with it, or with the clip from there on
    rate   frames per second of the clip
    count  how many frames the clip has, about; None where nobody knows
    """

    name: ImageName
    image: NDArray[np.uint8] | None = None
    fault: CairnError | None = None
    rate: float = USUAL_RATE
    count: int | None = None


def find_sources(sources: Sequence[str]) -> list[Source]:
    """The images and clips of files, folders (with all folders below), quoted globs, lists (a .txt file of paths,
    one a line, from its own folder on), image sequences (`frame_%05d.png`) and camera numbers; each once, in order.

    Results keep the folder structure below the deepest folder that holds all sources, so that files of one name in
    two folders do not meet. In a folder in which two files differ only in their suffix, names keep the suffix. A
    file that is named outright is taken as it is, whether or not it is there: reading will tell. Raises ImageError
    where a folder or list has no image or video, or a glob or a sequence matches nothing.
    """
    found: dict[str, Source] = {}  # absolute -> as named; its output is yet to be
    roots: list[Path] = []
    for source in sources:
        paths, folders = _named(source)
        roots += folders
        for path in paths:
            kind = _kind(path)
            found.setdefault(
                path if kind == "camera" else _absolute(path), Source(ImageName(Path(path), PurePath(path)), kind)
            )
    base = _common_folder(roots)
    outputs = [_output(each, base) for each in found.values()]
    return [
        replace(each, name=ImageName(each.name.path, output))
        for each, output in zip(found.values(), _without_suffix(outputs), strict=True)
    ]


def frames(source: Source, threads: int = 0, rate: float = USUAL_RATE) -> Generator[Frame, None, None]:
    """Its frames, one at a time, read when asked for; faults come as frames, and end a clip.

    threads  cores for decoding video; 0 takes all
    rate     frames per second of image sequences, which do not say themselves
    """
    if source.kind == "image":
        yield _read(Frame(source.name))
        return
    if source.kind == "sequence":
        yield from _sequence(source, rate)
        return
    count = 0
    try:
        with _opened(source, threads) as video:
            for each in video:
                name = _frame_name(source.name, each.index, each.seconds)
                yield Frame(name, each.image, rate=video.rate, count=video.frames)
                count += 1
    except VideoError as error:
        yield Frame(_frame_name(source.name, count, None), fault=error)


def _named(source: str) -> tuple[list[str], list[Path]]:
    """Paths, patterns and camera numbers, and the folders below which their results are named."""
    if not source:  # an unset variable of a script; Path("") would be the current folder
        raise ImageError("a source is empty: name an image, a video or a folder (. is the current one)")
    path = Path(source)
    if path.is_dir():
        files = _in_folder(path)
        if not files:
            suffixes = " ".join((*IMAGE_SUFFIXES, *VIDEO_SUFFIXES))
            raise ImageError(f"no image or video in the folder {path} (looked for {suffixes})")
        return files, [path]
    if path.suffix.lower() == LIST_SUFFIX and path.is_file():
        files = _in_list(path)
        return files, [Path(file).parent for file in files]
    if glob.has_magic(source) and not path.exists():
        files = [match for match in sorted(glob.glob(source, recursive=True)) if _is_input(Path(match))]  # noqa: PTH207
        if not files:
            raise ImageError(f"no image or video matches {source}")
        return files, [Path(file).parent for file in files]
    kind = _kind(source)
    if kind == "sequence" and not _numbered(path):
        raise ImageError(f"no image is numbered as {source} says")
    return [source], [] if kind == "camera" else [path.parent]


def _kind(source: str) -> Literal["image", "video", "camera", "sequence"]:
    path = Path(source)
    if source.isascii() and source.isdigit() and not path.exists():
        return "camera"
    if NUMBER.search(path.name) and not path.exists():
        return "sequence"
    return "video" if path.suffix.lower() in VIDEO_SUFFIXES else "image"


def _in_folder(folder: Path) -> list[str]:
    """Images and videos at any depth, in order of their names; folders with a dot in front are left out."""
    files = []
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        files += [str(path) for path in (Path(place, name) for name in sorted(names)) if _is_input(path)]
    return files


def _in_list(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8-sig", errors="surrogateescape").splitlines()
    except OSError as error:
        raise ImageError(f"cannot read the list {path}: {error.strerror or error}") from None
    files = [str(path.parent / line.strip()) for line in lines if line.strip()]
    if not files:
        raise ImageError(f"the list {path} names no image: it has one path a line")
    return files


def _is_input(path: Path) -> bool:
    """An image or video by its suffix, neither hidden nor the result of an earlier run."""
    ours = path.name.startswith(".") or ".cairn." in path.name
    return path.suffix.lower() in (*IMAGE_SUFFIXES, *VIDEO_SUFFIXES) and not ours and path.is_file()


def _absolute(path: str | Path) -> str:
    return os.path.abspath(path)  # noqa: PTH100 (resolve() would follow links out of the user's folders)


def _common_folder(folders: Iterable[Path]) -> Path:
    try:
        return Path(os.path.commonpath([_absolute(folder) for folder in folders] or ["."]))
    except ValueError:  # on Windows only
        raise ImageError("the sources lie on several drives: detect those of one drive at a time") from None


def _output(source: Source, base: Path) -> PurePath:
    """With the suffix of the file, for `_without_suffix` to take off."""
    if source.kind == "camera":
        return PurePath(f"{CAMERA}{source.name.path}.{CAMERA}")
    output = PurePath(os.path.relpath(source.name.path, base))
    if source.kind == "image" or source.kind == "video":
        return output
    stem = NUMBER.sub("", output.stem).rstrip("_-. ") or "sequence"
    return output.with_name(stem + output.suffix)


def _without_suffix(outputs: Sequence[PurePath]) -> Iterator[PurePath]:
    # Without case, because some file systems do not tell `a` from `A`.
    stems = Counter(str(output.with_suffix("")).lower() for output in outputs)
    crowded = {output.parent for output in outputs if stems[str(output.with_suffix("")).lower()] > 1}
    for output in outputs:
        yield output if output.parent in crowded else output.with_suffix("")


def _opened(source: Source, threads: int) -> Video:
    path = source.name.path
    return open_camera(int(str(path))) if source.kind == "camera" else open_video(path, threads)


def _sequence(source: Source, rate: float) -> Iterator[Frame]:
    numbered = _numbered(source.name.path)
    for number, path in numbered:
        output, seconds = source.name.output.with_name(path.stem), (number - numbered[0][0]) / rate
        name = ImageName(path, output, source.name.output, number, round(seconds, 6))
        yield _read(Frame(name, rate=rate, count=len(numbered)))


def _numbered(pattern: Path) -> list[tuple[int, Path]]:
    """Number and path of the images that a sequence's pattern means, in their order; some may be missing."""
    before, width, after = NUMBER.split(pattern.name, maxsplit=1)
    digits = rf"\d{{{width}}}|[1-9]\d{{{width},}}" if width else r"0|[1-9]\d*"  # %05d gives five and, past 99999, more
    wanted = re.compile(f"{re.escape(before)}({digits}){re.escape(after)}")
    files = pattern.parent.iterdir() if pattern.parent.is_dir() else ()
    matches = [(wanted.fullmatch(path.name), path) for path in files]
    return sorted((int(match[1]), path) for match, path in matches if match)


def _read(frame: Frame) -> Frame:
    try:
        return replace(frame, image=read_image(frame.name.path))
    except ImageError as error:
        return replace(frame, fault=error)


def _frame_name(clip: ImageName, index: int, seconds: float | None) -> ImageName:
    output = clip.output.with_name(f"{clip.output.name}_{index:012d}")  # OpenPose's
    return ImageName(clip.path, output, clip.output, index, None if seconds is None else round(seconds, 6))
