"""Reads a list of COCO results as labels: `cairn.coco.json` with `cairn.coco-images.json`, which `detect` writes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.containers.text_file import first_bytes, read_text
from cairn.datasets.formats.coco.categories import numbered_joints
from cairn.datasets.formats.coco.ids import Index, id_of
from cairn.datasets.formats.format import Format, ReadOptions
from cairn.datasets.formats.instances import ListedImage, collect
from cairn.datasets.formats.results.predictions import Predictions, check_frames, image_name
from cairn.datasets.labels import Labels
from cairn.errors import LabelError
from cairn.structures.annotation import MAX_VALUE
from cairn.structures.skeleton import Skeleton, load_skeleton

START = re.compile(rb'\s*\[\s*\{[^{}]*"image_id"\s*:\s*-?[0-9][^{}]*"(keypoints|score)"\s*:')
RESULTS, IMAGES = ".coco.json", ".coco-images.json"


def read_coco_results(path: Path, options: ReadOptions) -> Labels:
    """Reads a list of results with the names of their images, `NAME.coco-images.json` beside `NAME.coco.json`.

    The list has no names of joints: those of the given skeleton where it has as many joints, COCO's where there are
    17, numbers otherwise.

    Raises:
        LabelError: Anything is missing or contradictory. Names the file and the record.
    """
    results = json_of(path)
    listed, keys, frames, names = images_of(path, options)
    index = Index(keys)
    predictions = Predictions(options)
    count = 0
    for i, row in enumerate(results if isinstance(results, list) else []):
        with options.problems:
            values = row.get("keypoints") if isinstance(row, dict) else None
            if not isinstance(values, list) or not values or len(values) % 3 or not all(map(_is_number, values)):
                raise LabelError(
                    f"{path}: result {i} needs keypoints x, y, confidence of each joint, got {values!r:.60}"
                )
            if count and len(values) != count:
                raise LabelError(f"{path}: result {i} has {len(values) // 3} keypoints, those before it {count // 3}")
            position = index.find(row.get("image_id"))
            if position is None:
                raise LabelError(f"{path}: result {i} has image_id {row.get('image_id')!r:.40}, which no image has")
            count = len(values)
            points = np.array([np.nan if value is None else value for value in values], np.float64).reshape(-1, 3)
            key = id_of(row.get("category_id"))
            category = names.get(key, f"{row.get('category_id')!s:.60}") if names else None
            occluded = None
            if "confidence" in row:  # of a model that predicts visibility
                points[:, 2], occluded = _confidences(row, points, f"{path}: result {i}")
            name = listed[position].name
            predictions.add(name, points, row.get("track_id"), f"{path}: result {i}", category, occluded)
    if not count:
        raise LabelError(f"{path} has no results")
    check_frames(frames, path)
    predictions.note()
    skeleton = skeleton_of(count // 3, options.skeleton)
    return collect(
        predictions.instances,
        skeleton,
        path,
        options.images,
        listed,
        problems=options.problems,
        classes=predictions.classes,
    )


def _confidences(
    row: dict[str, Any], points: NDArray[np.float64], record: str
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """(K,) the confidence beside the keypoints, and (K,) which v of the keypoints is 1: occluded."""
    values = row["confidence"]
    if not isinstance(values, list) or len(values) != len(points) or not all(map(_is_number, values)):
        raise LabelError(f"{record} needs the confidence of each of {len(points)} joints, got {values!r:.60}")
    if not np.isin(points[:, 2], (0, 1, 2)).all():
        raise LabelError(f"{record} has a confidence beside its keypoints, whose third value must be 0, 1 or 2")
    confidence = np.array([np.nan if value is None else value for value in values], np.float64)
    return np.where(points[:, 2] > 0, confidence, 0), points[:, 2] == 1


def _sniff(path: Path) -> bool:
    return START.match(first_bytes(path)) is not None


def images_of(
    path: Path, options: ReadOptions
) -> tuple[list[ListedImage], list[Any], dict[str, list[int]], dict[Any, str]]:
    """Returns the images, their ids, the frames of each name, and the name of each category where there are several.

    Raises:
        LabelError: The file of the images is missing or invalid.
    """
    stem = path.name.removesuffix(RESULTS) if path.name.endswith(RESULTS) else path.stem
    beside = path.with_name(stem + IMAGES)
    if not beside.is_file():
        raise LabelError(f"{path} has results and no names of images: expected them in {beside}")
    content = json_of(beside)
    records = content.get("images") if isinstance(content, dict) else None
    if not isinstance(records, list):
        raise LabelError(f"{beside} is invalid: expected an object with a list 'images'")
    listed: list[ListedImage] = []
    keys: list[Any] = []
    frames: dict[str, list[int]] = {}
    for i, record in enumerate(records):
        key = id_of(record.get("id")) if isinstance(record, dict) else None
        size = (record.get("height"), record.get("width")) if isinstance(record, dict) else (None, None)
        if key is None or not all(type(side) is int and side > 0 for side in size):
            raise LabelError(f"{beside}: images[{i}] needs an id, a width and a height")
        if key in keys[-1:]:
            raise LabelError(f"{beside}: image id {key} occurs twice")
        name = image_name(record.get("file_name"), options, f"{beside}: image {key}")
        frame = record.get("frame")
        frames.setdefault(name, []).append(frame if type(frame) is int else -1)
        listed.append(
            ListedImage(name, (record["height"], record["width"]), frame=frame if type(frame) is int else None)
        )
        keys.append(key)
    categories = content.get("categories")
    named = [row for row in categories if isinstance(row, dict)] if isinstance(categories, list) else []
    names = {row["id"]: str(row.get("name")) for row in named if type(row.get("id")) is int}
    return listed, keys, frames, names


def skeleton_of(count: int, given: Skeleton | None) -> Skeleton:
    """Returns the given skeleton where it has that number of joints, COCO's for 17, otherwise numbers."""
    coco = load_skeleton("coco17")
    if given is not None and len(given) == count:
        return given
    return coco if len(coco) == count else numbered_joints(count, None)


def json_of(path: Path) -> Any:
    """Returns the content of a file. Raises LabelError where it is no JSON."""
    try:
        return json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise LabelError(f"{path} is not valid JSON: {error}") from None


def _is_number(value: Any) -> bool:
    return value is None or type(value) is float or (type(value) is int and abs(value) <= MAX_VALUE)


FORMAT = Format("coco-results", "COCO results (.coco.json) with their images", (RESULTS,), _sniff, read_coco_results)
