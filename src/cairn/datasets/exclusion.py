"""Images that are excluded, by a list of their names: CelebA without the test images of MAFL."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from cairn.datasets.containers.text_file import exists, first_bytes, read_text
from cairn.datasets.formats.point_rows import NAME
from cairn.datasets.image_files import SUFFIXES
from cairn.datasets.labels import Labels
from cairn.datasets.problems import Problems
from cairn.errors import LabelError

LISTS = (".txt", ".lst", ".list", "")
"""Suffixes of files whose lines may be names without a suffix."""

BINARY = (b"MATLAB", b"PAR1", b"\x89HDF", b"{", b"[", b"<")
"""Starts of files that are labels, and no list of names."""


@dataclass(frozen=True)
class Exclusion:
    """The names of images that are excluded.

    Attributes:
        source: The file that lists them.
        names: Their names, with or without folders and suffix.
    """

    source: Path
    names: tuple[str, ...]

    def kept(self, paths: Sequence[Path], problems: Problems) -> list[int]:
        """Returns the indices of the images that are not excluded.

        A name stands for the images that share the longest tail of folders and file with it: `a.jpg` for every image
        of this name, `val/a.jpg` for that in `val`. Without a suffix it stands for any.

        Args:
            paths: The images.
            problems: Collects notes about names of no image.

        Raises:
            LabelError: No image is kept.
        """
        excluded: set[int] = set()
        by_name: dict[str, list[int]] = {}
        by_stem: dict[str, list[int]] = {}
        for i, path in enumerate(paths):
            name = _folded(path.name)
            by_name.setdefault(name, []).append(i)
            by_stem.setdefault(name.rsplit(".", 1)[0], []).append(i)
        for text in self.names:
            parts = PurePosixPath(_folded(text.replace("\\", "/"))).parts
            table = by_name if text.lower().endswith(SUFFIXES) else by_stem
            found = (by_name.get(parts[-1]) or table.get(parts[-1]) or []) if parts else []
            if not found:
                problems.note(f"names in {self.source} that match no image", text)
            tails = [_common(parts[:-1], paths[i]) for i in found] if len(found) > 1 else [0] * len(found)
            excluded |= {i for i, tail in zip(found, tails, strict=True) if tail == max(tails)}
        if paths and len(excluded) == len(paths):
            raise LabelError(f"all {len(paths)} images are excluded by {self.source}")
        return [i for i in range(len(paths)) if i not in excluded]

    def apply(self, labels: Labels, problems: Problems) -> Labels:
        """Returns labels without the images that are excluded; see `kept`."""
        rows = self.kept([image.path for image in labels], problems)
        return replace(labels, images=tuple(labels.images[i] for i in rows))


def listed_names(path: Path) -> tuple[str, ...] | None:
    """Returns the names of a text file with one on each line, before other columns if there are any.

    Blank lines and those that start with # are skipped, and a header.

    Returns:
        The names; None where it is another file, such as labels.

    Raises:
        LabelError: There is no such file, it cannot be read, or it has no names.
    """
    if not exists(path):
        raise LabelError(f"no list of images to exclude at {path}")
    if path.is_dir() or first_bytes(path).lstrip().startswith(BINARY):
        return None
    lines = [line.replace('"', "").strip() for line in read_text(path).splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    if not lines:
        raise LabelError(f"{path} lists no images")
    found = [NAME.match(line) for line in lines]
    if all(found[1:]) and any(found):
        return tuple(match[1] for match in found if match)
    if path.suffix.lower() in LISTS:
        return tuple(match[1] if match else line for match, line in zip(found, lines, strict=True))
    return None


def _common(folders: tuple[str, ...], path: Path) -> int:
    """Number of folders above a file that are equal, from the last one up."""
    count = 0
    for mine, theirs in zip(reversed(folders), reversed(path.parts[:-1]), strict=False):
        if mine != _folded(theirs):
            break
        count += 1
    return count


def _folded(text: str) -> str:
    """Text without differences of letter case and of composition."""
    return text.lower() if text.isascii() else unicodedata.normalize("NFC", text).casefold()
