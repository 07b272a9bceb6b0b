"""Reads `NAME.cairn.json` and `NAME.cairn.jsonl`, or a folder of them, as labels; `results.cairn_json` writes them."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.containers.text_file import first_bytes, read_text
from cairn.datasets.formats.category import skeleton_from_category
from cairn.datasets.formats.format import Format, ReadOptions
from cairn.datasets.formats.instances import ListedImage, collect
from cairn.datasets.formats.results.predictions import Predictions, check_frames, image_name
from cairn.datasets.labels import Labels
from cairn.errors import LabelError, SkeletonError
from cairn.structures.annotation import MAX_VALUE
from cairn.structures.conversions import VISIBILITY, VISIBLE
from cairn.structures.skeleton import Skeleton

ENDINGS = (".cairn.json", ".cairn.jsonl")
START = re.compile(rb'\s*\{\s*"format"\s*:\s*"cairn"')


def read_cairn_json(path: Path, options: ReadOptions) -> Labels:
    """Reads the results of one image, of a run in lines, or of all files in a folder.

    Raises:
        LabelError: Anything is missing or contradictory. Names the file and the record.
    """
    predictions, listed = Predictions(options), dict[str, ListedImage]()
    frames: dict[str, list[int]] = {}
    skeleton: Skeleton | None = None
    for record, content in contents(path, options):
        with options.problems:
            own = skeleton_of(content, record)
            if skeleton is not None and own.joints != skeleton.joints:
                raise LabelError(f"{record} has the skeleton {own.name}, the files before it {skeleton.name}")
            skeleton = own
            name = image_name(content.get("image"), options, record)
            size = content.get("height"), content.get("width")
            if not all(type(side) is int and side > 0 for side in size):
                raise LabelError(
                    f"{record} needs a width and a height in pixels, got {size[1]!r:.40} and {size[0]!r:.40}"
                )
            frame = content.get("frame")
            frames.setdefault(name, []).append(frame if type(frame) is int else -1)
            listed[name] = ListedImage(name, size, frame=frame if type(frame) is int else None)  # type: ignore[arg-type]
            people = content.get("people")
            if not isinstance(people, list):
                raise LabelError(f"{record} needs a list of people, got {people!r:.40}")
            for i, person in enumerate(people):
                points = points_of(person, own, f"{record}, person {i}")
                own_class = person.get("class")
                own_class = own_class if isinstance(own_class, str) else None
                occluded = _occluded(person, own, f"{record}, person {i}")
                predictions.add(name, points, person.get("id"), f"{record}, person {i}", own_class, occluded)
    if skeleton is None:
        raise LabelError(f"{path} has no results of an image")
    check_frames(frames, path)
    predictions.note()
    return collect(
        predictions.instances,
        skeleton,
        path,
        options.images,
        listed.values(),
        problems=options.problems,
        classes=predictions.classes,
    )


def _sniff(path: Path) -> bool:
    if path.is_dir():
        return next(_files(path), None) is not None
    return START.match(first_bytes(path)) is not None


def _files(folder: Path) -> Iterator[Path]:
    """The files of results below a folder, in order."""
    for place, folders, names in os.walk(folder):
        folders.sort()
        yield from (Path(place, name) for name in sorted(names) if name.endswith(ENDINGS))


def contents(path: Path, options: ReadOptions) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields the name of each record, and its content."""
    for file in _files(path) if path.is_dir() else (path,):
        text = read_text(file)
        lines = text.splitlines() if file.name.endswith("l") or text.count('"format"') > 1 else [text]
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            record = f"{file}" if len(lines) == 1 else f"{file}: line {number}"
            content = None
            with options.problems:
                try:
                    content = json.loads(line)
                except (ValueError, RecursionError) as error:
                    raise LabelError(f"{record} is not valid JSON: {error}") from None
                if not isinstance(content, dict) or content.get("format") != "cairn":
                    content = None
                    raise LabelError(f'{record} is no result of Cairn: expected "format": "cairn"')
            if content is not None:
                yield record, content


def skeleton_of(content: dict[str, Any], record: str) -> Skeleton:
    """Returns the skeleton of a record. Raises LabelError where it is none."""
    table = content.get("skeleton")
    joints = table.get("joints") if isinstance(table, dict) else None
    if (
        not isinstance(table, dict)
        or not isinstance(joints, list)
        or not joints
        or not all(isinstance(joint, str) for joint in joints)
    ):
        raise LabelError(f"{record} needs a skeleton with a list of joints, got {joints!r:.60}")
    try:
        return skeleton_from_category({"name": table.get("name"), "keypoints": joints, "skeleton": table.get("limbs")})
    except SkeletonError as error:
        raise LabelError(f"{record}: {error}") from None


def points_of(person: Any, skeleton: Skeleton, record: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Returns (K, 3) x, y and confidence of a person; NaN where not detected. Raises LabelError for other values."""
    keypoints = person.get("keypoints") if isinstance(person, dict) else None
    if not isinstance(keypoints, dict):
        raise LabelError(f"{record} needs keypoints by name, got {keypoints!r:.40}")
    if unknown := [name for name in keypoints if name not in skeleton.joints]:
        raise LabelError(f"{record}: {unknown[0]!r:.60} is no joint of its skeleton")
    points = np.full((len(skeleton), 3), np.nan)
    for name, values in keypoints.items():
        if values is None:
            continue
        numbers = isinstance(values, list) and all(
            type(value) is float or (type(value) is int and abs(value) <= MAX_VALUE) for value in values
        )
        if not numbers or len(values) != 3:
            raise LabelError(f"{record}: {name} must be x, y and confidence, or null, got {values!r:.60}")
        points[skeleton.index(name)] = values
    return points


def _occluded(person: Any, skeleton: Skeleton, record: str) -> NDArray[np.bool_] | None:
    """(K,) which keypoints are more likely occluded than visible; None where the model does not predict it."""
    visibility = person.get(VISIBILITY)
    if visibility is None:
        return None
    values = [visibility.get(joint) for joint in skeleton.joints] if isinstance(visibility, dict) else [visibility]
    numbers = [value for value in values if value is not None]
    if not isinstance(visibility, dict) or not all(type(v) in (int, float) and 0 <= v <= 1 for v in numbers):
        raise LabelError(f"{record}: {VISIBILITY} must be a probability or null for each joint, got {visibility!r:.60}")
    return np.array([value is not None and value < VISIBLE for value in values])


FORMAT = Format(
    "cairn-json", "Cairn's results (.cairn.json, or a folder of them)", (*ENDINGS, ""), _sniff, read_cairn_json
)
