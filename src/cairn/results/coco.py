"""COCO's result format: a list of detections, and the list of images with their IDs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from cairn.files import atomic_write
from cairn.media.names import ImageName
from cairn.results.spanning import SpanningWriter, table_path
from cairn.results.writer import Detections, LabelIds, WriterOptions
from cairn.structures.geometry import Size

CATEGORY = 1
"""COCO's category "person", the only category of files with one class, and the first of several."""


class CocoWriter(SpanningWriter["_Lists"]):
    """Writes `cairn.coco.json`, the detections, and `cairn.coco-images.json`, the IDs of the images.

    These are of all images outside clips. A clip has its own, `clip.cairn.coco.json` and `clip.cairn.coco-images.json`.

    Args:
        folder: The output folder.
        ids: Image ID of each image, as `image_ids` returns them. Frames of a clip count from 1.
        single: Whether the run is of one image, whose name the files get: `photo.cairn.coco.json`.
        classes: Names of the classes, where there are several. Their category IDs count from `CATEGORY`, in this order;
            the list of images has them as its categories.
    """

    def __init__(
        self,
        folder: Path,
        ids: Mapping[Path, int | float | str],
        single: bool = False,
        classes: tuple[str, ...] = (),
    ) -> None:
        super().__init__()
        self.folder = folder
        self.ids = dict(ids)
        self.single = single
        self.classes = classes
        self.categories: Sequence[int | None] = range(CATEGORY, CATEGORY + max(1, len(classes)))

    def paths(self, name: ImageName) -> tuple[Path, Path]:
        """Returns the files of the detections and of the image IDs."""
        return (
            table_path(self.folder, name, ".cairn.coco.json", self.single),
            table_path(self.folder, name, ".cairn.coco-images.json", self.single),
        )

    @contextmanager
    def _opened(self, detections: Detections) -> Iterator[_Lists]:
        results, images = self.paths(detections.name)
        categories = [{"id": i, "name": name} for i, name in enumerate(self.classes, start=CATEGORY)]
        start = f'{{"categories": {json.dumps(categories)}, ' if categories else "{"
        with _json_list(results, "[", "]\n") as found, _json_list(images, start + '"images": [', "]}\n") as listed:
            yield _Lists(found, listed)

    def _add(self, file: _Lists, detections: Detections) -> None:
        """Adds the image and its detections to the lists."""
        name, (height, width) = detections.name, detections.size
        file.frames += name.frame is not None
        image: dict[str, Any] = {"id": self._id(name, file.frames), "file_name": name.text}
        if name.frame is not None:
            image |= {"frame": name.frame, "seconds": name.seconds}
        file.images.add({**image, "width": width, "height": height})
        poses = detections.poses.in_classes(self.classes)
        classes = [0] * len(poses) if poses.classes is None else poses.classes.tolist()
        for row, index in zip(poses.to_coco(), classes, strict=True):
            if (category := self.categories[index]) is not None:
                file.detections.add({**row, "image_id": image["id"], "category_id": category})

    def _id(self, name: ImageName, number: int) -> int | float | str:
        """Returns the ID of an image, or of the frame that has this number in its clip, from 1."""
        if name.frame is not None:
            return number
        if name.path not in self.ids:  # its name is that of a video
            self.ids[name.path] = 1 + max((each for each in self.ids.values() if isinstance(each, int)), default=0)
        return self.ids[name.path]


class LabeledCocoWriter(CocoWriter):
    """Writes COCO results with the image IDs and the category IDs of a label file; ignores other images."""

    def __init__(self, options: WriterOptions, labels: LabelIds) -> None:
        super().__init__(options.folder, labels.ids, options.single, options.classes)
        self.categories = labels.categories
        self.labels = labels
        self.notice = options.notice
        self._resized: list[tuple[Path, Size, Size]] = []

    def write(self, detections: Detections) -> None:
        """Adds an image that the label file has. Raises OutputError."""
        path = detections.name.path
        if path not in self.ids:
            return
        if (stated := self.labels.sizes.get(path, detections.size)) != detections.size:
            self._resized.append((path, stated, detections.size))
        super().write(detections)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._resized and kind is None:
            path, (height, width), (own_height, own_width) = self._resized[0]
            self.notice(
                f"{self.labels.labels}: {len(self._resized)} of {len(self.ids)} images have another size, the first is "
                f"{path}: {width}x{height} in the labels, {own_width}x{own_height} on disk; check that the labels are "
                "those of these images"
            )
        super().__exit__(kind, error, trace)

    def _id(self, name: ImageName, number: int) -> int | float | str:
        return self.ids[name.path]


def image_ids(images: Iterable[Path]) -> dict[Path, int]:
    """Returns COCO's own IDs if all file names are numbers (`000000000139.jpg` -> 139), else 1, 2, 3 in order."""
    images = list(images)
    stems = [image.stem for image in images]
    if all(stem.isascii() and stem.isdigit() for stem in stems) and len(set(map(int, stems))) == len(stems):
        return {image: int(stem) for image, stem in zip(images, stems, strict=True)}
    return {image: number for number, image in enumerate(images, start=1)}


@dataclass
class _Lists:
    """Open files.

    Attributes:
        detections: The detections.
        images: The images.
        frames: Number of frames of a clip so far.
    """

    detections: _JsonList
    images: _JsonList
    frames: int = 0


class _JsonList:
    """A JSON list that is written entry by entry, one per line, so that a long run needs no memory."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._separator = "\n"

    def add(self, entry: dict[str, Any]) -> None:
        self._file.write(self._separator + json.dumps(entry))
        self._separator = ",\n"


@contextmanager
def _json_list(path: Path, start: str, end: str) -> Iterator[_JsonList]:
    with atomic_write(path) as beside, beside.open("w", encoding="utf-8") as file:
        file.write(start)
        yield _JsonList(file)
        file.write("\n" + end)
