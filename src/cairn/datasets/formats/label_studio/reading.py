"""Reads Label Studio's tasks."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.containers.json_file import finite, pixels
from cairn.datasets.containers.text_file import is_file
from cairn.datasets.formats.format import ReadOptions
from cairn.datasets.formats.instances import ListedImage
from cairn.datasets.formats.label_studio.tasks import Task, read_tasks
from cairn.datasets.formats.marks import Mark, MarkedImage, collect_marks
from cairn.datasets.formats.visibility_attributes import visibility_of
from cairn.datasets.image_files import locate_images
from cairn.datasets.labels import Labels
from cairn.datasets.problems import Problems
from cairn.errors import ImageError, LabelError
from cairn.media.images import image_size
from cairn.structures.geometry import Size

LABELS = ("keypointlabels", "rectanglelabels", "polygonlabels", "ellipselabels", "labels")


def read_label_studio(path: Path, options: ReadOptions) -> Labels:
    """Reads an export, or a file of pre-annotations.

    A keypoint belongs to the rectangle or polygon that is its parent, or to which a relation ties it; otherwise to
    the one that contains it. A predicted keypoint is labeled from the confidence `options.confidence`.

    Raises:
        LabelError: A task is invalid, or its keypoints cannot be assigned to instances.
    """
    tasks = read_tasks(path, options.problems)
    images = []
    for task, file in zip(tasks, _located(tasks, path, options), strict=True):
        with options.problems:
            images.append(_image(task, file, options))
    return collect_marks(images, path, options, "parentID")


def _image(task: Task, file: Path | None, options: ReadOptions) -> MarkedImage:
    regions = _merged(task.results, task.record)
    groups = _groups(task.results, regions)
    name = task.names[-1] if file is None else str(file.absolute())
    marks: list[Mark] = []
    size: Size | None = None
    for key, region in regions.items():
        with options.problems:
            record = f"{task.record}: region {key}"
            size = size or _size(region, file, record)
            mark = _mark(region, groups.get(key), size, record, options)
            if mark is not None:
                marks.append(mark)
    return MarkedImage(ListedImage(name, size), tuple(marks), task.record)


def _located(tasks: list[Task], path: Path, options: ReadOptions) -> list[Path | None]:
    """The image of each task under the first of its names that exists; None where none does."""
    files: list[Path | None] = [None] * len(tasks)
    for choice in range(max(len(task.names) for task in tasks)):
        open_tasks = [i for i, task in enumerate(tasks) if files[i] is None and choice < len(task.names)]
        names = [tasks[i].names[choice] for i in open_tasks]
        found = locate_images(names, path, options.images, Problems(skip=True), missing_ok=True)
        for i, file in zip(open_tasks, found, strict=True):
            files[i] = file if file is not None and is_file(file) else None
    return files


def _merged(results: list[Any], record: str) -> dict[Hashable, dict[str, Any]]:
    """The regions by id: what several control tags state about one region has one id."""
    regions: dict[Hashable, dict[str, Any]] = {}
    for i, result in enumerate(results):
        if not isinstance(result, dict):
            raise LabelError(f"{record}: result {i} must be a region, got {result!r:.60}")
        if result.get("type") == "relation":
            continue
        value, key = result.get("value"), result.get("id")
        if not isinstance(value, dict):
            raise LabelError(f"{record}: result {i} needs a value, got {value!r:.60}")
        key = key if isinstance(key, str | int) else f"#{i}"
        region = regions.setdefault(key, {"value": {}})
        region["value"] = {**region["value"], **value}
        region |= {name: result[name] for name in result if name not in ("value", "id") and name not in region}
    return regions


def _groups(results: list[Any], regions: dict[Hashable, dict[str, Any]]) -> dict[Hashable, Hashable]:
    """Region -> group of the regions that parents and relations tie together; regions alone have none."""
    pairs = [(key, region.get("parentID")) for key, region in regions.items()]
    pairs += [(row.get("from_id"), row.get("to_id")) for row in results if row.get("type") == "relation"]
    group: dict[Hashable, Hashable] = {}
    for a, b in pairs:
        if isinstance(a, str | int) and isinstance(b, str | int) and a in regions and b in regions:
            old, new = group.get(b, b), group.get(a, a)
            group |= {key: new for key, value in group.items() if value == old}
            group |= {a: new, b: new}
    return group


def _mark(region: dict[str, Any], group: Hashable, size: Size, record: str, options: ReadOptions) -> Mark | None:
    """The mark of a region; None for other regions and for keypoints that are not labeled."""
    value = region["value"]
    label = next((value[key] for key in LABELS if value.get(key)), None)
    if "x" not in value and "points" not in value:
        if "rle" in value or "format" in value:
            options.problems.note("regions other than keypoints, rectangles and polygons are ignored", record)
        return None  # a choice or text about the whole image
    if region.get("image_rotation"):
        raise LabelError(f"{record}: the image was rotated in Label Studio: rotate it back, or rotate the file")
    if region.get("item_index"):
        raise LabelError(f"{record} is on another image of the task: expected tasks of one image")
    names = label if isinstance(label, list) else [label]
    if len(names) > 1:
        raise LabelError(f"{record} has several labels ({', '.join(map(str, names))[:60]}): keep one")
    name = None if names[0] is None else str(names[0]).strip()
    if "radiusX" in value:
        options.problems.note("regions other than keypoints, rectangles and polygons are ignored", record)
        return None
    is_point = "points" not in value and "height" not in value
    points = _points(value, is_point, record) * (size[1] / 100, size[0] / 100)
    if not is_point:
        return Mark(name, points if "points" in value else _turned(points, value, size, record), False, group)
    if name is None:
        options.problems.note("keypoints without a label are ignored", record)
        return None
    meta = region.get("meta") if isinstance(region.get("meta"), dict) else {}
    visibility = visibility_of({"meta": (meta or {}).get("text"), **{k: v for k, v in value.items() if k != "width"}})
    score = region.get("score")
    if score is not None and finite(score, f"{record}: score") < options.confidence:
        visibility = 0
    return Mark(name, points, True, group, visibility == 1) if visibility else None


def _points(value: dict[str, Any], is_point: bool, record: str) -> NDArray[np.float64]:
    """(N, 2) in percent: a keypoint, the corners of a polygon, or the corner and size of a rectangle."""
    if "points" in value:
        points = value["points"]
        if not isinstance(points, list) or not points or not all(isinstance(p, list) and len(p) == 2 for p in points):
            raise LabelError(f"{record}: points must be a list of [x, y], got {points!r:.60}")
        return np.array([[finite(number, f"{record}: a coordinate") for number in point] for point in points])
    keys = ("x", "y") if is_point else ("x", "y", "width", "height")
    return np.array([finite(value.get(key), f"{record}: {key}") for key in keys]).reshape(-1, 2)


def _turned(corner_and_size: NDArray[np.float64], value: dict[str, Any], size: Size, record: str) -> Any:
    """The corners in pixels of a rectangle that is turned clockwise about its first corner."""
    corner, (width, height) = corner_and_size
    angle = np.deg2rad(finite(value.get("rotation") or 0, f"{record}: rotation"))
    along, across = np.array([np.cos(angle), np.sin(angle)]) * width, np.array([-np.sin(angle), np.cos(angle)]) * height
    return np.stack([corner, corner + along, corner + across, corner + along + across])


def _size(region: dict[str, Any], file: Path | None, record: str) -> Size:
    height, width = pixels(region.get("original_height")), pixels(region.get("original_width"))
    if height and width:
        return height, width
    if file is None:
        raise LabelError(f"{record} states no original_width and original_height, and its image is missing")
    try:
        return image_size(file)
    except ImageError as error:
        raise LabelError(f"{record}: {error}") from None
