"""COCO's result format: one list of detections per run, and the list of images with their IDs."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

from cairn.files import atomic_write
from cairn.media.names import ImageName
from cairn.results.writer import Detections, Writer

CATEGORY = 1
"""COCO's category "person", the only category of files with one class, and the first of several."""


class CocoWriter(Writer):
    """Writes `cairn.coco.json`, the detections, and `cairn.coco-images.json`, the IDs of the images.

    Args:
        folder: Folder of both files.
        ids: Image ID of each image, as `image_ids` returns them. Frames of clips get the next numbers, in order.
        classes: Names of the classes, where there are several. Their category IDs count from `CATEGORY`, in this order;
            the list of images has them as its categories.
    """

    def __init__(self, folder: Path, ids: dict[Path, int], classes: tuple[str, ...] = ()) -> None:
        self.folder = folder
        self.ids = ids
        self.classes = classes
        self._next = max(ids.values(), default=0) + 1
        self._open = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as opening:
            self._results = _JsonList(opening, self.folder / "cairn.coco.json", "[", "]\n")
            categories = [{"id": i, "name": name} for i, name in enumerate(self.classes, start=CATEGORY)]
            start = f'{{"categories": {json.dumps(categories)}, ' if categories else "{"
            path = self.folder / "cairn.coco-images.json"
            self._images = _JsonList(opening, path, start + '"images": [', "]}\n")
            self._open = opening.pop_all()
        return self

    def write(self, detections: Detections) -> None:
        """Adds the image and its detections to the lists."""
        name, (height, width) = detections.name, detections.size
        image: dict[str, Any] = {"id": self._id(name), "file_name": name.path.as_posix()}
        if name.frame is not None:
            image |= {"frame": name.frame, "seconds": name.seconds}
        self._images.add({**image, "width": width, "height": height})
        for row in detections.poses.in_classes(self.classes).to_coco(image["id"], CATEGORY):
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


def image_ids(images: Iterable[Path]) -> dict[Path, int]:
    """Returns COCO's own IDs if all file names are numbers (`000000000139.jpg` -> 139), else 1, 2, 3 in order."""
    images = list(images)
    stems = [image.stem for image in images]
    if all(stem.isascii() and stem.isdigit() for stem in stems) and len(set(map(int, stems))) == len(stems):
        return {image: int(stem) for image, stem in zip(images, stems, strict=True)}
    return {image: number for number, image in enumerate(images, start=1)}


class _JsonList:
    """A JSON list that is written entry by entry, one per line, so that a long run needs no memory."""

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
