"""What the user named on the command line, as a list of pictures and what their results are to be called."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePath

from cairn.errors import ImageError
from cairn.image import PICTURE_SUFFIXES
from cairn.writers import PictureName


def find_pictures(sources: Sequence[str]) -> list[PictureName]:
    """The pictures of files, folders (with all folders below) and quoted globs, each once, in order.

    Results keep the folder structure below the deepest folder that holds all sources, so that pictures of one
    name in two folders do not meet. In a folder in which two pictures differ only in their suffix, names keep
    the suffix. A file that is named outright is taken as it is, whether or not it is there: reading will tell.
    Raises ImageError where a folder has no picture or a glob matches nothing.
    """
    found: dict[str, Path] = {}  # absolute -> as named
    roots = []
    for source in sources:
        path = Path(source)
        if path.is_dir():
            pictures, folders = _in_folder(path), [path]
            if not pictures:
                raise ImageError(f"no picture in the folder {path} (looked for {' '.join(PICTURE_SUFFIXES)})")
        elif glob.has_magic(source) and not path.exists():
            matches = sorted(glob.glob(source, recursive=True))  # noqa: PTH207 (Path.glob takes no absolute pattern)
            pictures = [match for match in map(Path, matches) if _is_input(match)]
            folders = [picture.parent for picture in pictures]
            if not pictures:
                raise ImageError(f"no picture matches {source}")
        else:
            pictures, folders = [path], [path.parent]
        roots += folders
        for picture in pictures:
            found.setdefault(_absolute(picture), picture)
    base = _common_folder(roots)
    outputs = [PurePath(os.path.relpath(picture, base)) for picture in found]
    return [PictureName(path, output) for path, output in zip(found.values(), _without_suffix(outputs), strict=True)]


def _in_folder(folder: Path) -> list[Path]:
    """Pictures at any depth, in order of their names; folders with a dot in front are left out."""
    pictures = []
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        pictures += [path for path in (Path(place, name) for name in sorted(files)) if _is_input(path)]
    return pictures


def _is_input(path: Path) -> bool:
    """A picture by its suffix, neither hidden nor the result of an earlier run."""
    ours = path.name.startswith(".") or ".cairn." in path.name
    return path.suffix.lower() in PICTURE_SUFFIXES and not ours and path.is_file()


def _absolute(path: Path) -> str:
    return os.path.abspath(path)  # noqa: PTH100 (resolve() would follow links out of the user's folders)


def _common_folder(folders: Iterable[Path]) -> Path:
    try:
        return Path(os.path.commonpath([_absolute(folder) for folder in folders]))
    except ValueError:  # on Windows only
        raise ImageError("the pictures lie on several drives: detect those of one drive at a time") from None


def _without_suffix(outputs: Sequence[PurePath]) -> Iterator[PurePath]:
    # Without case, because some file systems do not tell `a` from `A`.
    stems = Counter(str(output.with_suffix("")).lower() for output in outputs)
    crowded = {output.parent for output in outputs if stems[str(output.with_suffix("")).lower()] > 1}
    for output in outputs:
        yield output if output.parent in crowded else output.with_suffix("")
