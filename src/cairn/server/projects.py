"""Label projects: a skeleton, images, and the labels of the images; each a folder below the data folder."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from cairn.errors import ImageError, LabelError
from cairn.files import atomic_write
from cairn.media.folders import walk_folder
from cairn.media.images import image_size
from cairn.server.append_log import AppendLog
from cairn.server.label_store import LabelStore
from cairn.server.problems import Problem
from cairn.structures.geometry import Size
from cairn.structures.skeleton import Skeleton

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
"""Names of folders that requests may contain."""

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
        with self._lock:
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


class Projects:
    """The projects of a data folder.

    Args:
        folder: Folder of the projects.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._open: dict[str, Project] = {}

    def all(self) -> list[Project]:
        """Returns all projects, sorted by name; those that cannot be read are skipped."""
        found = []
        for path in sorted(self.folder.glob(f"*/{SETTINGS}")):
            try:
                found.append(self.get(path.parent.name))
            except (Problem, LabelError):
                continue
        return sorted(found, key=lambda project: project.name.lower())

    def get(self, name: str) -> Project:
        """Returns a project by its ID. Raises Problem (404) where there is none."""
        with self._lock:
            if name not in self._open:
                if not NAME.fullmatch(name) or not (self.folder / name / SETTINGS).is_file():
                    raise Problem(404, f"there is no project {name[:80]!r}")
                self._open[name] = self._read(self.folder / name)
            return self._open[name]

    def create(self, name: str, skeleton: Skeleton) -> Project:
        """Creates an empty project."""
        with self._lock:
            folder = unused(self.folder, slug(name))
            return self._write(Project(_made(folder), name, skeleton))

    def of_folder(self, source: Path, skeleton: Skeleton) -> Project:
        """Returns the project of a folder of images, which stays as it is; creates it where there is none.

        Raises:
            LabelError: The folder has no images.
        """
        source = source.resolve()
        digest = hashlib.sha256(str(source).encode()).hexdigest()[:8]
        folder = self.folder / f"{slug(source.name)[:40]}-{digest}"
        if (folder / SETTINGS).is_file():
            project = self.get(folder.name)
        else:
            with self._lock:
                project = self._write(Project(_made(folder), source.name, skeleton, source))
        project.add_files()
        if not project.images:
            raise LabelError(f"no images in {source}: expected files such as .jpg or .png")
        return project

    def _write(self, project: Project) -> Project:
        settings = {
            "format": "cairn-project",
            "version": 1,
            "name": project.name,
            "skeleton": project.skeleton.to_dict(),
            "source": None if project.source is None else str(project.source),
        }
        with atomic_write(project.folder / SETTINGS) as beside:
            beside.write_text(json.dumps(settings, indent=1), encoding="utf-8")
        self._open[project.id] = project
        return project

    def _read(self, folder: Path) -> Project:
        path = folder / SETTINGS
        try:
            settings = json.loads(path.read_text(encoding="utf-8"))
            source = settings["source"]
            skeleton = Skeleton.from_dict(settings["skeleton"])
            project = Project(folder, settings["name"], skeleton, None if source is None else Path(source))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise LabelError(f"{path} is damaged ({error}): restore it from a backup") from None
        project.write_coco()  # a crash may have come between a label and this file
        return project


def slug(name: str) -> str:
    """Returns a name as lower-case letters, digits, dashes and underscores."""
    kept = re.sub(r"[^a-z0-9_]+", "-", name.lower()).strip("-_")[:48]
    return kept or "unnamed"


def unused(folder: Path, name: str, beside: Sequence[Path] = ()) -> Path:
    """Returns a new folder NAME, NAME-2, ... that exists neither in `folder` nor in the folders `beside`."""
    number = 1
    while True:
        each = name if number == 1 else f"{name}-{number}"
        if not any((parent / each).exists() for parent in (folder, *beside)):
            return folder / each
        number += 1


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
