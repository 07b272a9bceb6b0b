"""Recordings of formats that are tables: Cairn's CSV and Parquet, COCO's list of results, DeepLabCut's predictions."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cairn.datasets.containers.text_file import read_text
from cairn.datasets.formats.category import make_skeleton
from cairn.datasets.formats.deeplabcut.csv_file import read_csv
from cairn.datasets.formats.deeplabcut.data_frame import read_data_frame
from cairn.datasets.formats.deeplabcut.sheet import AXES, make_sheet
from cairn.datasets.formats.format import ReadOptions
from cairn.datasets.formats.results.coco_results import images_of, json_of, skeleton_of
from cairn.datasets.formats.skeleton_file import read_skeleton, skeleton_beside
from cairn.datasets.recordings.recording import Person, Recording, rate_of, recording_of
from cairn.errors import LabelError, MissingExtra
from cairn.structures.skeleton import Skeleton, load_skeleton, skeleton_names

RESULTS = frozenset({"image", "frame", "person", "joint", "x", "y", "confidence"})
"""Columns of Cairn's results, unlike those of labels."""


def read_table(path: Path, options: ReadOptions) -> Recording | None:
    """Reads Cairn's results of one video, .csv or .parquet; None for a table of labels.

    Raises:
        LabelError: A value is missing or no number, or the table has the results of several videos.
    """
    rows = _parquet_rows(path) if path.suffix.lower() == ".parquet" else _csv_rows(path)
    if rows is None:
        return None
    people: dict[int, dict[int, dict[str, tuple[float, float, float]]]] = defaultdict(lambda: defaultdict(dict))
    tracks: dict[tuple[int, int], int] = {}
    order: dict[str, int] = {}  # of images that are no frames of a video
    clips: dict[str, None] = {}
    times: dict[int, float] = {}
    joints: dict[str, None] = {}
    for line, row in enumerate(rows, start=2):
        record, image = f"{path}: row {line}", str(row["image"])
        frame = _whole(row, "frame", record)
        if frame is None:
            frame = order.setdefault(image, len(order))
        else:
            clips.setdefault(image)
        if row.get("seconds") not in (None, ""):
            times[frame] = _number(row, "seconds", record)
        own, person = people[frame], _whole(row, "person", record)
        if person is None:  # a frame without detections
            continue
        joints.setdefault(str(row["joint"]))
        tracks[frame, person] = -1 if (track := _whole(row, "id", record)) is None else track
        if row["x"] not in (None, ""):
            place = (_number(row, "x", record), _number(row, "y", record), _number(row, "confidence", record))
            own[person][str(row["joint"])] = place
    if len(clips) + bool(order) > 1:
        raise LabelError(f"{path} has the results of several videos: give one table for each camera")
    skeleton = _named_skeleton(tuple(joints), path, options)
    listed = {
        frame: [(_points(own, skeleton), tracks.get((frame, person), -1)) for person, own in rows.items()]
        for frame, rows in people.items()
    }
    ordered = sorted(times)
    return recording_of(listed, skeleton, str(path), rate_of(ordered, [times[frame] for frame in ordered]))


def read_coco_results(path: Path, options: ReadOptions) -> Recording:
    """Reads a list of results, with the images beside it.

    Raises:
        LabelError: A result is invalid, or of no image.
    """
    results = json_of(path)
    listed, keys, _, _ = images_of(path, options)
    numbers = [image.frame for image in listed]
    if None in numbers or len(set(numbers)) < len(numbers):
        numbers = list(range(len(listed)))
    people: dict[int, list[Person]] = {number: [] for number in numbers if number is not None}
    places = dict(zip(keys, people, strict=True))
    for i, row in enumerate(results if isinstance(results, list) else []):
        values = row.get("keypoints") if isinstance(row, dict) else None
        if not isinstance(values, list) or not values or len(values) % 3 or row.get("image_id") not in places:
            raise LabelError(f"{path}: result {i} needs keypoints x, y, confidence of each joint, and a known image_id")
        try:
            points = np.array([np.nan if value is None else value for value in values], np.float64).reshape(-1, 3)
            if "confidence" in row:  # of a model that predicts visibility
                points[:, 2] = row["confidence"]
        except (TypeError, ValueError):
            raise LabelError(f"{path}: result {i} has keypoints that are no numbers") from None
        track = row.get("track_id")
        people[places[row["image_id"]]].append((points, track if type(track) is int and track >= 0 else -1))
    every = [points for rows in people.values() for points, _ in rows]
    if not every:
        raise LabelError(f"{path} has no results")
    sizes = {image.size for image in listed}
    skeleton = skeleton_of(len(every[0]), options.skeleton)
    return recording_of(people, skeleton, str(path), None, sizes.pop() if len(sizes) == 1 else None)


def read_deeplabcut(path: Path, options: ReadOptions) -> Recording | None:
    """Reads the predictions of a video, .csv or .h5, with their likelihood; None for labels, or a project.

    Raises:
        LabelError: The file is damaged.
    """
    if path.is_dir() or path.suffix.lower() not in (".csv", ".h5"):
        return None
    own = path.suffix.lower() == ".csv"
    sheet = read_csv(path, (), options.problems) if own else make_sheet(*read_data_frame(path), path, ())
    if not sheet.predicted or not all(name.isdecimal() for name in sheet.names):
        return None
    joints = tuple(dict.fromkeys(part for _, part, _ in sheet.columns))
    individuals = list(dict.fromkeys(individual for individual, _, _ in sheet.columns))
    values = np.full((len(sheet.names), len(individuals), len(joints), len(AXES)), np.nan)
    for (individual, part, axis), column in zip(sheet.columns, sheet.values.T, strict=True):
        values[:, individuals.index(individual), joints.index(part), AXES.index(axis)] = column
    skeleton = _named_skeleton(joints, path, options)
    people = {
        int(name): [(points, i + 1) for i, points in enumerate(rows) if (points[:, 2] > 0).any()]
        for name, rows in zip(sheet.names, values, strict=True)
    }
    return recording_of(people, skeleton, str(path))


def _csv_rows(path: Path) -> list[dict[str, Any]] | None:
    try:
        reader = csv.DictReader(io.StringIO(read_text(path), newline=""))
        return list(reader) if set(reader.fieldnames or ()) >= RESULTS else None
    except csv.Error as error:
        raise LabelError(f"{path} is not valid CSV: {error}") from None


def _parquet_rows(path: Path) -> Iterable[Mapping[str, Any]] | None:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise MissingExtra("pyarrow", "parquet") from None
    try:
        table = parquet.read_table(path)
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise LabelError(f"{path} is damaged, or not a Parquet file ({type(error).__name__})") from None
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows if set(table.column_names) >= RESULTS else None


def _named_skeleton(joints: tuple[str, ...], path: Path, options: ReadOptions) -> Skeleton:
    """The skeleton beside the file, the given one, a known one with the same joints, or one without limbs."""
    beside = skeleton_beside(path)
    candidates = [read_skeleton(beside)] if beside.is_file() else []
    candidates += [options.skeleton] if options.skeleton is not None else []
    candidates += [load_skeleton(name) for name in skeleton_names()]
    fitting = [skeleton for skeleton in candidates if set(skeleton.joints) == set(joints)]
    if not joints:
        raise LabelError(f"{path} has no keypoints")
    return fitting[0] if fitting else make_skeleton("object", list(joints), [], None)


def _points(own: Mapping[str, tuple[float, float, float]], skeleton: Skeleton) -> np.ndarray[Any, np.dtype[np.float64]]:
    points = np.full((len(skeleton), 3), np.nan)
    for joint, values in own.items():
        points[skeleton.index(joint)] = values
    return points


def _number(row: Mapping[str, Any], column: str, record: str) -> float:
    try:
        value = float(row[column])
    except (TypeError, ValueError):
        raise LabelError(f"{record}: {column} must be a number, got {row[column]!r:.40}") from None
    if not np.isfinite(value):
        raise LabelError(f"{record}: {column} must be finite, got {value}")
    return value


def _whole(row: Mapping[str, Any], column: str, record: str) -> int | None:
    return None if row.get(column) in (None, "") else int(_number(row, column, record))
