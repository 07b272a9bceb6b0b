"""The label projects of a data folder, each in a folder of its own."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Sequence
from pathlib import Path

from cairn.errors import LabelError
from cairn.files import atomic_write
from cairn.server.problems import Problem
from cairn.server.project import SETTINGS, Project, slug
from cairn.server.scratch import Scratch
from cairn.structures.skeleton import Skeleton

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
"""Names of folders that requests may contain."""


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

    def has(self, name: str) -> bool:
        """Whether there is a project of this ID."""
        return bool(NAME.fullmatch(name)) and (self.folder / name / SETTINGS).is_file()

    def get(self, name: str) -> Project:
        """Returns a project by its ID. Raises Problem (404) where there is none."""
        with self._lock:
            if name not in self._open:
                if not self.has(name):
                    raise Problem(404, f"there is no project {name[:80]!r}")
                self._open[name] = self._read(self.folder / name)
            return self._open[name]

    def create(self, name: str, skeleton: Skeleton) -> Project:
        """Creates an empty project."""
        with self._lock:
            folder = unused(self.folder, slug(name))
            return self._write(Project(_made(folder), name, skeleton))

    def delete(self, project: Project, scratch: Scratch) -> None:
        """Deletes a project: its folder, with labels, history and uploaded images."""
        with self._lock:
            project.delete(scratch)
            self._open.pop(project.id, None)

    def set_skeleton(self, project: Project, skeleton: Skeleton) -> None:
        """Gives a project another skeleton; see `Project.set_skeleton`."""
        with self._lock:
            project.set_skeleton(skeleton)
            self._write(project)

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
