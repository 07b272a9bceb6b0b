"""Reads recordings of any format that labels are read from."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np

from cairn.datasets.formats.format import ReadOptions
from cairn.datasets.formats.openpose_json import ENDING, check_scale, people_in, skeleton_of, sniff
from cairn.datasets.formats.results import cairn_json
from cairn.datasets.containers.json_file import read_json
from cairn.datasets.problems import Problems
from cairn.datasets.reading import detect_format, read_labels
from cairn.datasets.recordings.recording import Person, Recording, numbered, rate_of, recording_of
from cairn.datasets.recordings.tables import read_coco_results, read_deeplabcut, read_table
from cairn.errors import LabelError
from cairn.media.folders import walk_folder
from cairn.structures.geometry import Size
from cairn.structures.skeleton import Skeleton

log = logging.getLogger(__name__)

Reader = Callable[[Path, ReadOptions], Recording | None]


def read_recording(path: str | Path, skeleton: Skeleton | None = None) -> Recording:
    """Reads the 2D keypoints of one camera, with their confidence.

    Reads Cairn's results (.cairn.jsonl, a folder of .cairn.json, .csv, .parquet, .coco.json), OpenPose's folders of
    JSON, DeepLabCut's predictions, and labels in any format, whose images are frames in their order and whose keypoints
    have a confidence of 1.

    Args:
        path: File or folder.
        skeleton: Skeleton of the keypoints, where the file names none: it names them in order where it has as many.

    Raises:
        LabelError: The file cannot be used. Names the file and the record.
        MissingExtra: Reading needs a package that is not installed.
    """
    path = Path(path)
    if not path.exists():
        raise LabelError(f"no keypoints at {path}")
    options = ReadOptions(skeleton=skeleton, missing_ok=True, confidence=0.0, problems=Problems(log_notes=False))
    source = detect_format(path)
    reader = READERS.get(source.name)
    recording = reader(path, options) if reader else None
    if recording is None:
        recording = _read_labels(path, options)
    for note in options.problems.notes:
        log.warning("%s: %s", path, note)
    return recording


def _read_openpose(path: Path, options: ReadOptions) -> Recording:
    files = sorted(walk_folder(path, (".json",))) if path.is_dir() else [path]
    files = [file for file in files if len(files) == 1 or sniff(file)]
    people = [people_in(read_json(file), file, options) for file in files]
    every = [points for rows in people for points, _ in rows]
    if not every:
        raise LabelError(f"{path}: no person in {len(files)} files of OpenPose")
    check_scale(every, path)
    numbers = numbered(file.stem.removesuffix(ENDING) for file in files)
    return recording_of(dict(zip(numbers, people, strict=True)), skeleton_of(every, options, path), str(path))


def _read_cairn_json(path: Path, options: ReadOptions) -> Recording:
    people: dict[int, list[Person]] = {}
    skeleton: Skeleton | None = None
    clip: str | None = None
    sizes: set[Size] = set()
    seconds: list[float] = []
    for record, content in cairn_json.contents(path, options):
        own = cairn_json.skeleton_of(content, record)
        if skeleton is not None and own.joints != skeleton.joints:
            raise LabelError(f"{record} has the skeleton {own.name}, the files before it {skeleton.name}")
        skeleton = own if skeleton is None else skeleton
        name, frame = str(content.get("image")), content.get("frame")
        if type(frame) is int and clip not in (None, name):
            raise LabelError(f"{record} is of {name}, the lines before it of {clip}: give the results of one video")
        clip = name if type(frame) is int else clip
        number = frame if type(frame) is int else len(people)
        if number in people:
            raise LabelError(f"{record}: frame {number} occurs twice")
        height, width = content.get("height"), content.get("width")
        if type(height) is int and type(width) is int:
            sizes.add((height, width))
        if type(content.get("seconds")) in (int, float):
            seconds.append(float(content["seconds"]))
        rows = content.get("people")
        if not isinstance(rows, list):
            raise LabelError(f"{record} needs a list of people, got {rows!r:.40}")
        points = [cairn_json.points_of(row, own, f"{record}, person {i}") for i, row in enumerate(rows)]
        people[number] = [(values, _track(row.get("id"))) for values, row in zip(points, rows, strict=True)]
    if skeleton is None:
        raise LabelError(f"{path} has no results")
    rate = rate_of(list(people), seconds) if len(seconds) == len(people) else None
    return recording_of(people, skeleton, str(path), rate, sizes.pop() if len(sizes) == 1 else None)


def _read_labels(path: Path, options: ReadOptions) -> Recording:
    """Annotated images as frames: by their frame numbers, where all have one, otherwise in order."""
    labels = read_labels(path, options)
    numbers = [image.frame for image in labels if image.frame is not None]
    if len(set(numbers)) < len(labels):
        numbers = list(range(len(labels)))
    people: dict[int, list[Person]] = {}
    for number, image in zip(numbers, labels, strict=True):
        points = np.concatenate([image.annotation.keypoints, image.annotation.visibility[..., None] > 0], axis=-1)
        tracks = image.annotation.tracks
        ids = [-1] * len(points) if tracks is None else tracks.tolist()
        people[number] = list(zip(points.astype(np.float64), ids, strict=True))
    sizes = {image.size for image in labels}
    return recording_of(people, labels.skeleton, str(path), None, sizes.pop() if len(sizes) == 1 else None)


def _track(value: object) -> int:
    return value if type(value) is int and 0 <= value < 2**63 else -1


READERS: dict[str, Reader] = {
    "openpose": _read_openpose,
    "cairn-json": _read_cairn_json,
    "coco-results": read_coco_results,
    "csv": read_table,
    "parquet": read_table,
    "deeplabcut": read_deeplabcut,
}
"""Format -> reader of its confidences; it returns None for a file that has none, which is read as labels."""
