"""A label project: a skeleton, images, and the labels of the images, in a folder of its own."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from cairn.errors import ImageError
from cairn.files import atomic_write
from cairn.media.folders import walk_folder
from cairn.media.images import image_size
from cairn.server.append_log import AppendLog
from cairn.server.label_store import ImageLabels, LabelStore
from cairn.server.problems import Problem
from cairn.server.scratch import Scratch
from cairn.structures.geometry import Size
from cairn.structures.skeleton import Skeleton

SETTINGS, INDEX, IMAGES = "project.json", "images.jsonl", "images"

SHOWN = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".avif")
"""Suffixes of images that browsers show; others are converted to PNG."""


@dataclass(frozen=True)
class ProjectImage:
    """An image of a project.

    Attributes:
        id: Its number, from 1.
        name: What the user calls it.
        file: Its file, relative to the folder of the images.
        width: Pixels.
        height: Pixels.
        thumbnail: Gray values of a small version, hexadecimal; "" where it is unknown.
        video: Name of the video that it is a frame of; "" for none.
        frame: Number of the frame in the video.
    """

    id: int
    name: str
    file: str
    width: int
    height: int
    thumbnail: str = ""
    video: str = ""
    frame: int | None = None

    @property
    def size(self) -> Size:
        """(height, width) in pixels."""
        return self.height, self.width

    def record(self, folder: Path | None = None) -> dict[str, Any]:
        """Returns the COCO record without its ID; `folder` makes the name absolute."""
        name = self.file if folder is None else str(folder / self.file)
        groups = {"video": self.video, "frame": self.frame} if self.video else {}
        return {"file_name": name, "width": self.width, "height": self.height, **groups}


@dataclass
class Project:
    """One project.

    Attributes:
        folder: Its folder.
        id: Name of the folder.
        name: What the user calls it.
        skeleton: Skeleton of the labels.
        source: Folder of images that the server was started with; None for uploaded images.
    """

    folder: Path
    name: str
    skeleton: Skeleton
    source: Path | None = None
    images: dict[int, ProjectImage] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._index = AppendLog(self.folder / INDEX)
        self.images = {row["id"]: ProjectImage(**row) for row in self._index.rows()}
        self.labels = LabelStore(self.folder, self.skeleton)
        self._lock = threading.Lock()
        self._deleted = False

    @property
    def id(self) -> str:
        """Name of the folder."""
        return self.folder.name

    @property
    def image_folder(self) -> Path:
        """Folder of the images."""
        return self.source or self.folder / IMAGES

    def image(self, number: int) -> ProjectImage:
        """Returns an image. Raises Problem (404) where there is none of this number."""
        if number not in self.images:
            raise Problem(404, f"project {self.name} has no image {number}")
        return self.images[number]

    def add(self, name: str, data: bytes, suffix: str, facts: Mapping[str, Any]) -> ProjectImage:
        """Adds an image.

        Args:
            name: What the user calls it.
            data: The file.
            suffix: Suffix of its format.
            facts: Further attributes of `ProjectImage`: at least width and height.
        """
        with self._changing():
            number = max(self.images, default=0) + 1
            file = f"{number:05d}_{slug(Path(name).stem)}{suffix}"
            with atomic_write(self.folder / IMAGES / file) as beside:
                beside.write_bytes(data)
            return self._added(ProjectImage(number, name, file, **facts))

    def add_files(self) -> None:
        """Adds the images of the source folder that are new, sorted by name."""
        assert self.source is not None
        with self._lock:
            known = {image.file for image in self.images.values()}
            for path in walk_folder(self.source, (*SHOWN, ".tif", ".tiff")):
                file = path.relative_to(self.source).as_posix()
                if file in known:
                    continue
                try:
                    height, width = image_size(path)
                except ImageError:
                    continue
                self._added(ProjectImage(max(self.images, default=0) + 1, file, file, width, height))

    def save(self, image: ProjectImage, labels: ImageLabels) -> ImageLabels:
        """Saves a version of the labels of an image; see `LabelStore.save`."""
        with self._changing():
            saved = self.labels.save(image.id, labels, image.size)
            self.write_coco()
            return saved

    def save_all(self, labels: Mapping[int, ImageLabels]) -> None:
        """Saves the first version of the labels of several images; see `LabelStore.save_all`."""
        with self._changing():
            self.labels.save_all(labels, {image: self.images[image].size for image in labels})
            self.write_coco()

    def set_skeleton(self, skeleton: Skeleton) -> None:
        """Gives the project another skeleton. Raises Problem (422) where it has labels in the one that it has."""
        with self._changing():
            if self.labels.counts()[1]:
                raise Problem(422, f"{self.name} has labels already: its keypoints stay as they are")
            self.skeleton = skeleton
            self.labels = LabelStore(self.folder, skeleton)

    def delete(self, scratch: Scratch) -> None:
        """Deletes the folder of the project. The images of a source folder are elsewhere, and stay."""
        with self._changing():
            scratch.delete(self.folder)
            self._deleted = True

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """One change of the files at a time. Raises Problem (404) where they were deleted meanwhile."""
        with self._lock:
            if self._deleted:
                raise Problem(404, f"project {self.name} was deleted")
            yield

    def records(self, absolute: bool = False) -> dict[int, dict[str, Any]]:
        """Returns the COCO records of all images by ID."""
        folder = self.image_folder.resolve() if absolute else None
        return {image.id: image.record(folder) for image in self.images.values()}

    def write_coco(self) -> None:
        """Writes the labels as COCO; images of a source folder with their whole path, so that it can be trained on."""
        self.labels.write_coco(self.records(absolute=self.source is not None))

    def summary(self) -> dict[str, Any]:
        """Returns what the list of projects states."""
        labeled, started = self.labels.counts()
        return {
            "id": self.id,
            "name": self.name,
            "skeleton": self.skeleton.to_dict(),
            "images": len(self.images),
            "labeled": labeled,
            "started": started,
            "folder": self.source is not None,
        }

    def _added(self, image: ProjectImage) -> ProjectImage:
        self._index.append(asdict(image))
        self.images[image.id] = image
        return image


def slug(name: str) -> str:
    """Returns a name as lower-case letters, digits, dashes and underscores."""
    kept = re.sub(r"[^a-z0-9_]+", "-", name.lower()).strip("-_")[:48]
    return kept or "unnamed"
