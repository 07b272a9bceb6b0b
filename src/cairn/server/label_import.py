"""Labels of a file become labels of a project: those of images that the project has, and that have no labels yet."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any

from cairn.server.label_store import MAX_INSTANCES, ImageLabels
from cairn.server.problems import Problem
from cairn.server.project import Project, ProjectImage
from cairn.wording import counted

MAX_SKIPPED = 50
"""Images that a report lists."""


def names_of(project: Project) -> dict[str, ProjectImage]:
    """Returns the images of a project by the names that label files may have: those that are given once."""
    if project.source is not None:
        return {image.file: image for image in project.images.values()}
    counts = Counter(image.name for image in project.images.values())
    return {image.name: image for image in project.images.values() if counts[image.name] == 1}


def linked(project: Project, folder: Path) -> Path:
    """Returns a folder of the images of a project by these names: that of its source, or one of links."""
    if project.source is not None:
        return project.source.resolve()
    folder.mkdir()
    for name, image in names_of(project).items():
        with suppress(OSError):  # a name that no file can have; labels that state the size do without
            _link(folder / name, (project.image_folder / image.file).resolve())
    return folder


def _link(path: Path, target: Path) -> None:
    if os.name == "nt":  # where links need a right of their own
        shutil.copyfile(target, path)
    else:
        path.symlink_to(target)


def take(project: Project, file: str, found: Mapping[str, Any]) -> dict[str, Any]:
    """Saves labels of a file, all or none.

    Args:
        project: The project.
        file: Name of the file.
        found: What `cairn.server.imported_labels.labels_of_file` returned.

    Returns:
        What clients get: the numbers of `images` and `instances` that were imported, `skipped` images with the reason,
        and `notes`.

    Raises:
        Problem: No image of the file can take its labels (422).
    """
    names, listed = names_of(project), Counter(row["file"] for row in found["images"])
    taken: dict[int, ImageLabels] = {}
    skipped: list[dict[str, str]] = []
    for row in found["images"]:
        image = names.get(row["file"]) or names.get(PurePosixPath(row["file"]).name)
        reason = _reason(project, image, row, listed[row["file"]] > 1 or (image is not None and image.id in taken))
        if image is None or reason:
            skipped.append({"name": row["file"], "detail": reason})
        else:
            taken[image.id] = ImageLabels(labeled=row["labeled"], instances=row["instances"])
    if not taken:
        example = f": {skipped[0]['name']} {skipped[0]['detail']}" if skipped else ""
        raise Problem(422, f"{file} has labels of {counted(len(found['images']), 'image')}, and none is used{example}")
    project.save_all(taken)
    more = [{"name": "", "detail": f"and {len(skipped) - MAX_SKIPPED} more"}] if len(skipped) > MAX_SKIPPED else []
    return {
        "images": len(taken),
        "instances": sum(len(labels.instances) for labels in taken.values()),
        "skipped": [*skipped[:MAX_SKIPPED], *more],
        "notes": found["notes"],
    }


def _reason(project: Project, image: ProjectImage | None, row: Mapping[str, Any], again: bool) -> str:
    """Returns why the labels of an image are not used; "" where they are."""
    if image is None:
        return "is not in the project, or two of its images have this name"
    if again:
        return "is listed twice"
    if project.labels.get(image.id).revision:
        return "has labels already, which stay"
    height, width = row["size"]
    if (height, width) != image.size:
        return f"is {width}x{height} in the file, and {image.width}x{image.height} in the project"
    if len(row["instances"]) > MAX_INSTANCES:
        return f"has {len(row['instances'])} instances, and {MAX_INSTANCES} is the limit"
    return ""
