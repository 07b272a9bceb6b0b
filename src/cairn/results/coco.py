"""COCO's results: one list for a run, as its evaluation reads it, and which number is which image."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

from cairn.files import atomic_write
from cairn.media.names import ImageName
from cairn.results import Detections, Writer
from cairn.structures.poses import Poses

CATEGORY = 1  # "person" in COCO's own list, and the only one in a file of one kind of object


class CocoWriter(Writer):
    """`cairn.coco.json`, the results, and `cairn.coco-images.json`, the ids of the images.

    ids: image -> image id, as `image_ids` gives them. Frames of clips get the numbers after these, in order.
    """

    def __init__(self, folder: Path, ids: dict[Path, int]) -> None:
        self.folder = folder
        self.ids = ids
        self._next = max(ids.values(), default=0) + 1
        self._open = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as opening:
            self._results = _JsonList(opening, self.folder / "cairn.coco.json", "[", "]\n")
            self._images = _JsonList(opening, self.folder / "cairn.coco-images.json", '{"images": [', "]}\n")
            self._open = opening.pop_all()
        return self

    def write(self, found: Detections) -> None:
        name, (height, width) = found.name, found.size
        image: dict[str, Any] = {"id": self._id(name), "file_name": name.path.as_posix()}
        if name.frame is not None:
            image |= {"frame": name.frame, "seconds": name.seconds}
        self._images.add({**image, "width": width, "height": height})
        for row in to_coco(image["id"], found.poses):
            self._results.add(row)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._results.end()
            self._images.end()
        self._open.__exit__(kind, error, trace)

    def _id(self, name: ImageName) -> int:
        if name.frame is None:
            return self.ids[name.path]
        self._next += 1
        return self._next - 1


def to_coco(image: int, poses: Poses) -> list[dict[str, Any]]:
    """One entry for each object: keypoints flat x, y, confidence; 0, 0, 0 where not found.

    An object whose identity is followed has "track_id" too.
    A skeleton that has COCO's joints and more, as coco18, is written in COCO's 17: its evaluation wants these.
    """
    return poses.to_coco(image, CATEGORY)


def image_ids(images: Iterable[Path]) -> dict[Path, int]:
    """COCO's own numbers where every name is one (`000000000139.jpg` -> 139), else 1, 2, 3 in order."""
    images = list(images)
    stems = [image.stem for image in images]
    if all(stem.isascii() and stem.isdigit() for stem in stems) and len(set(map(int, stems))) == len(stems):
        return {image: int(stem) for image, stem in zip(images, stems, strict=True)}
    return {image: number for number, image in enumerate(images, start=1)}


class _JsonList:
    """A JSON list that grows in a file, one entry a line, so that a long run needs no memory."""

    def __init__(self, opening: ExitStack, path: Path, start: str, end: str) -> None:
        beside = opening.enter_context(atomic_write(path))
        self._file: TextIO = opening.enter_context(beside.open("w", encoding="utf-8"))
        self._file.write(start)
        self._end = end
        self._separator = "\n"

    def add(self, entry: dict[str, Any]) -> None:
        self._file.write(self._separator + json.dumps(entry))
        self._separator = ",\n"

    def end(self) -> None:
        self._file.write("\n" + self._end)
