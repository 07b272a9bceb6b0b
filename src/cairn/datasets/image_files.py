"""Where the images of a label file lie: tools write names relative to folders of their own."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from cairn.datasets.problems import Faults
from cairn.errors import LabelError

DRIVE = re.compile(r"[A-Za-z]:/")
ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://")


def folders_of(source: Path, images: Path | None) -> tuple[Path, ...]:
    """The folders that names in a label file may be relative to, the likeliest first.

    images  where the user says that they are: then nowhere else. None takes `images` beside the file; of a file
            `annotations/NAME_PART.json`, as COCO and CVAT lay them out, `../images/PART`, `../images` and `../PART`;
            or else the file's own folder
    Raises LabelError where there is no such folder.
    """
    if images is not None:
        if not images.is_dir():
            raise LabelError(f"{source}: no folder of images at {images}")
        return (images,)
    found = [source.parent / "images"]
    if source.parent.name == "annotations":
        above, part = source.parent.parent, source.stem.rsplit("_", 1)[-1]
        found += [above / "images" / part, above / "images", above / part]
    return tuple(folder for folder in found if folder.is_dir()) or (source.parent,)


def located(
    names: Sequence[str],
    source: Path,
    images: Path | None,
    faults: Faults,
    absent_ok: bool = False,
    called: Sequence[str] | None = None,
) -> list[Path | None]:
    """The path of each image; None of those left out.

    A name that is not there is looked for without its first folders, then without the next: `images/a.jpg` and
    `/data/mine/a.jpg` of another machine are `a.jpg`.
    absent_ok  an image need not be there
    called     what to call each record in errors; None calls it by its number
    Raises LabelError where a name leaves the folder, an image stands twice, or images are missing.
    """
    folders = folders_of(source, images)
    called = called or [f"image {number}" for number in range(1, len(names) + 1)]
    paths: list[Path | None] = []
    owners: dict[Path, str] = {}
    missing: list[tuple[int, Path]] = []
    for i, (name, record) in enumerate(zip(names, called, strict=True)):
        paths.append(None)
        with faults:
            where = [folder / tail for tail in _tails(name, f"{source}: {record}") for folder in folders]
            path = next((path for path in where if _is_file(path)), None)
            if path is None and not absent_ok:
                missing.append((i, where[0]))
                continue
            path = path or where[0]
            if path in owners:
                raise LabelError(f"{source}: {record} is {path}, which is {owners[path]} already: list an image once")
            owners[path] = record
            paths[i] = path
    if missing and not faults.skip:
        raise LabelError(
            f"{source}: {len(missing)} of {len(names)} images are missing, the first is {missing[0][1]}: "
            "say where they lie with --images"
        )
    for i, path in missing:
        with faults:
            raise LabelError(f"{source}: {called[i]} is missing: {path}")
    return paths


def _tails(name: str, record: str) -> Iterator[str]:
    """The name, then the name without its first folder, and so on. Raises LabelError where it leaves the folder."""
    if not isinstance(name, str) or not name.strip():
        raise LabelError(f"{record} needs a file name, got {name!r:.80}")
    if ADDRESS.match(name):
        raise LabelError(f"{record} is at {name:.100}: fetch it, and give its folder with --images")
    name = DRIVE.sub("/", name.replace("\\", "/"), count=1)
    parts = PurePosixPath(os.path.normpath(name)).parts
    if parts and parts[0] == "..":
        raise LabelError(f"{record} has a name that leaves the folder of images: {name:.100}")
    return (str(PurePosixPath(*parts[start:])) for start in range(len(parts)))


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long, a folder that may not be looked into
        return False
