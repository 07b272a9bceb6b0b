"""Labels of a file as a project takes them; what it cannot hold is said, and nothing is guessed."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from cairn.datasets.formats import ReadOptions
from cairn.datasets.labels import LabeledImage, Labels
from cairn.datasets.problems import Problems
from cairn.datasets.reading import read_labels
from cairn.errors import LabelError
from cairn.server.confinement import confined
from cairn.structures.geometry import in_image
from cairn.structures.skeleton import Skeleton

MAX_NOTES = 20
"""Lines about what was omitted."""

LOST = {"classes": "category names", "tracks": "track IDs", "heads": "head sizes"}
"""Columns of annotations that projects do not have."""


def labels_of_file(file: Path, images: Path, skeleton: Skeleton | None) -> dict[str, Any]:
    """Reads a label file for a project.

    Args:
        file: The file, in a folder of its own.
        images: Folder of the images, by the names that people know.
        skeleton: Skeleton to map the labels to, by joint name; None takes that of the file.

    Returns:
        `skeleton`; `images`, each with the `file` relative to the folder, its `size` as the labels state it, whether it
        is `labeled`, and `instances` as `cairn.server.label_store.LabeledInstance` has them; and `notes`: lines about
        what was omitted.

    Raises:
        LabelError: The file has no labels that can be used. No path of the server is in the message.
    """
    problems = Problems(skip=True, log_notes=False)
    try:
        with confined(file.parent, images):
            labels = read_labels(file, ReadOptions(images, skeleton, missing_ok=True, problems=problems))
    except LabelError as error:
        raise LabelError(_without_folders(str(error), file, images)) from None
    counts: Counter[str] = Counter()
    unfinished = _unfinished(file)
    found = [
        {
            "file": _name(image.path, images),
            "size": list(image.size),
            "labeled": image.id not in unfinished,
            "instances": _instances(image, counts),
        }
        for image in labels
    ]
    lines = [
        *_lost(labels),
        *(f"{what}: {count}" for what, count in counts.items()),
        *problems.notes,
        *problems.skipped,
    ]
    if len(lines) > MAX_NOTES:
        lines = [*lines[:MAX_NOTES], f"and {len(lines) - MAX_NOTES} more"]
    notes = [_without_folders(line, file, images) for line in lines]
    return {"skeleton": labels.skeleton.to_dict(), "images": found, "notes": notes}


def _instances(image: LabeledImage, counts: Counter[str]) -> list[dict[str, Any]]:
    annotation, found = image.annotation, []
    for row in range(len(annotation)):
        if annotation.crowd[row]:
            counts["regions of crowds are omitted"] += 1
            continue
        seen = annotation.visibility[row] > 0
        inside = seen & in_image(annotation.keypoints[row], image.size)
        counts["keypoints outside of their image are omitted"] += int((seen & ~inside).sum())
        keypoints = [
            [round(float(x), 2), round(float(y), 2), int(v)] if there else [0, 0, 0]
            for (x, y), v, there in zip(annotation.keypoints[row], annotation.visibility[row], inside, strict=True)
        ]
        box = [round(float(value), 2) for value in annotation.boxes[row]]
        has_box = bool(np.isfinite(annotation.boxes[row]).all()) and box[2] > 0 and box[3] > 0
        if has_box or inside.any():
            found.append({"keypoints": keypoints, "box": box if has_box else None})
    counts += Counter()  # without zeros
    return found


def _unfinished(file: Path) -> set[Any]:
    """IDs of the images that a project stated as not finished, in the file that it wrote."""
    if file.suffix.lower() != ".json":
        return set()
    content = json.loads(file.read_bytes())
    rows = content.get("images") if isinstance(content, dict) else None
    return {row.get("id") for row in rows if isinstance(row, dict) and row.get("labeled") is False} if rows else set()


def _lost(labels: Labels) -> list[str]:
    names = [text for column, text in LOST.items() if any(_has(image, column) for image in labels)]
    return [f"projects have no {each}: they are omitted" for each in names]


def _has(image: LabeledImage, column: str) -> bool:
    values = getattr(image.annotation, column)
    return values is not None and bool((values >= 0).any())


def _name(path: Path, images: Path) -> str:
    """Returns the name of an image in the folder; of one that is said to be elsewhere, the last part."""
    return path.relative_to(images).as_posix() if path.is_relative_to(images) else path.name


def _without_folders(text: str, file: Path, images: Path) -> str:
    return text.replace(f"{images}/", "").replace(f"{file.parent}/", "").replace(str(images), "the project")
