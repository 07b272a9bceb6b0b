"""OpenPose's JSON (https://github.com/CMU-Perceptual-Computing-Lab/openpose) as labels: a file for each image.

    {"version": 1.3, "people": [{"person_id": [-1], "pose_keypoints_2d": [x, y, confidence, ...], ...}]}

The image of `photo_keypoints.json` is `photo.jpg` or another suffix. Pixels count from 0.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.containers.json_file import json_start, read_json
from cairn.datasets.formats.format import Format, ReadOptions
from cairn.datasets.formats.instances import Instance, ListedImage, checked_points, collect
from cairn.datasets.formats.stems import locate_stems
from cairn.datasets.labels import Labels
from cairn.errors import LabelError
from cairn.media.folders import walk_folder
from cairn.structures.annotation import MAX_VALUE
from cairn.structures.skeleton import Skeleton, load_skeleton

ENDING = "_keypoints"
PERSON = "person"
SKELETONS = {25: "body25", 18: "coco18", 15: "mpii15"}
"""Number of keypoints -> skeleton: OpenPose's models BODY_25, COCO and MPI."""

POSE = ("pose_keypoints_2d", "pose_keypoints", "joints")  # of version 1.1 and later, of 1.0, and of AlphaPose's cmu
OTHERS = ("face_keypoints_2d", "hand_left_keypoints_2d", "hand_right_keypoints_2d")
FRAME = re.compile(r"(.+)_(\d{12})")
MAX_SNIFFED = 20  # files of a folder whose format is tested

Person = tuple[NDArray[np.float64], int]


def read_openpose(path: Path, options: ReadOptions) -> Labels:
    """Reads a file, or all files of a folder. A keypoint is labeled from the confidence `options.confidence`.

    A given skeleton with as many joints names them, where they are of none of OpenPose's models.

    Raises:
        LabelError: A file is invalid, or its image is missing.
    """
    check_category(path, options)
    problems = options.problems
    files = sorted(walk_folder(path, (".json",))) if path.is_dir() else [path]
    people: dict[str, list[Person]] = {}
    for file in files:
        with problems:
            if len(files) > 1 and not sniff(file):
                problems.note("other JSON files in the folder are ignored", file.name)
                continue
            stem = file.stem.removesuffix(ENDING)
            if stem in people:
                raise LabelError(f"{file}: the image {stem} has two files: keep one")
            people[stem] = people_in(read_json(file), file, options)
    count = next((len(points) for rows in people.values() for points, _ in rows), 0)
    if not count:
        raise LabelError(f"{path}: no person in {len(files)} files of OpenPose")
    every = [points for rows in people.values() for points, _ in rows]
    check_scale(every, path)
    skeleton = skeleton_of(every, options, path)
    hint = "give the folder with --images; of a video, extract the frames"
    images = locate_stems(list(people), path, options.images, problems, hint)
    instances: list[Instance] = []
    listed: list[ListedImage] = []
    for (stem, rows), image in zip(people.items(), images, strict=True):
        if image is None:
            continue
        with problems:
            name = str(image.absolute())
            found = [labeled_instance(name, points, track, options, f"{path}: {stem}") for points, track in rows]
            if any(len(instance.keypoints) != count for instance in found):
                raise LabelError(f"{path}: {stem} has a person with other than {count} keypoints")
            instances += found
            clip = FRAME.fullmatch(stem)
            groups = (f"video {clip[1]}",) if clip else ()
            listed.append(ListedImage(name, None, groups, int(clip[2]) if clip else None))
    return collect(instances, skeleton, path, None, listed, problems=problems)


def sniff(path: Path) -> bool:
    """Returns whether a file, or one of the first files of a folder, is OpenPose's."""
    if path.is_dir():
        return any(map(sniff, walk_folder(path, (".json",))[:MAX_SNIFFED]))
    keys = json_start(path).keys
    return bool(keys & {"people", "bodies"}) and not keys & {"images", "format"}  # Cairn's results state a format


def check_category(path: Path, options: ReadOptions) -> None:
    """Raises LabelError where another category than the only one is chosen."""
    if options.category not in (None, PERSON):
        raise LabelError(f"{path} has no category {options.category!r:.60}: it has {PERSON}")


def labeled_instance(
    image: str, points: NDArray[np.float64], track: int, options: ReadOptions, record: str
) -> Instance:
    """Returns a predicted instance as a labeled one.

    Args:
        image: Name of the image.
        points: (K, 3) x, y, confidence.
        track: Track ID, or -1.
        options: Options with the minimum confidence.
        record: Name of the record in messages.
    """
    labeled = (points[:, 2] >= options.confidence) & (points[:, 2] > 0)
    if not labeled.any():
        options.problems.note(
            f"predicted instances without a keypoint of at least the confidence {options.confidence:g} are ignored",
            record,
        )
    keypoints = checked_points(np.where(labeled[:, None], points[:, :2], np.nan), record)
    return Instance(image, keypoints, np.zeros(len(points), bool), track=track)


def triplets(value: Any, record: str) -> NDArray[np.float64]:
    """Returns (K, 3) x, y, confidence of a flat list.

    Raises:
        LabelError: It is no list of finite numbers, or its length is no multiple of 3.
    """
    if not isinstance(value, list) or len(value) % 3:
        raise LabelError(f"{record} must be a list x, y, confidence, ..., got {value!r:.60}")
    wrong = [v for v in value if isinstance(v, bool) or not isinstance(v, int | float) or not abs(v) <= MAX_VALUE]
    if wrong:
        raise LabelError(f"{record} must have finite numbers, got {wrong[0]!r:.60}")
    return np.array(value, np.float64).reshape(-1, 3)


def people_in(content: Any, file: Path, options: ReadOptions) -> list[Person]:
    """Returns the keypoints (K, 3) and the track ID of each person of a file. Raises LabelError where it is invalid."""
    content = content if isinstance(content, dict) else {}
    people = content.get("people", content.get("bodies"))
    if not isinstance(people, list) or not all(isinstance(person, dict) for person in people):
        raise LabelError(f"{file} is not OpenPose's: expected an object with a list of people")
    rows = []
    for i, person in enumerate(people):
        key = next((key for key in POSE if key in person), None)
        if key is None:
            raise LabelError(f"{file}: person {i} needs {POSE[0]}")
        points = triplets(person[key], f"{file}: person {i}: {key}")
        if any(person.get(other) for other in OTHERS):
            options.problems.note("keypoints of faces and hands are ignored", f"{file}: person {i}")
        ids = person.get("person_id")
        track = ids[0] if isinstance(ids, list) and ids else ids
        is_track = isinstance(track, int) and not isinstance(track, bool) and 0 <= track < 2**63
        if len(points):
            rows.append((points, track if is_track else -1))
    return rows


def check_scale(people: list[NDArray[np.float64]], path: Path) -> None:
    """Raises LabelError where all coordinates are shares of the image's size instead of pixels."""
    points = np.concatenate(people)
    placed = points[points[:, 2] > 0, :2]
    if placed.size and (np.abs(placed) <= 1).all():
        raise LabelError(f"{path}: all coordinates are between -1 and 1: write pixels with --keypoint_scale 0")


def skeleton_of(people: list[NDArray[np.float64]], options: ReadOptions, path: Path) -> Skeleton:
    """Returns the skeleton of people (K, 3) that have the same number of keypoints.

    25 keypoints are in the order of BODY_25 or of BODY_25B: where the options name neither, the places of the neck and
    the shoulders tell.

    Raises:
        LabelError: No skeleton with this number of keypoints is known or given.
    """
    count = len(people[0])
    given = options.skeleton if options.skeleton is not None and len(options.skeleton) == count else None
    if count == 25:
        body25, body25b = load_skeleton("body25"), load_skeleton("body25b")
        if given is not None and given.joints in (body25.joints, body25b.joints):
            return given
        if _neck_error(people, body25b) < _neck_error(people, body25):
            options.problems.note("the 25 keypoints are in the order of BODY_25B, by the places of neck and shoulders")
            return body25b
        return body25
    if count in SKELETONS:
        return load_skeleton(SKELETONS[count])
    if given is not None:
        return given
    if count == len(load_skeleton("coco17")):
        return load_skeleton("coco17")
    known = ", ".join(f"{number} ({name})" for number, name in SKELETONS.items())
    raise LabelError(f"{path}: people have {count} keypoints: expected {known}, or give a --skeleton with as many")


def _neck_error(people: list[NDArray[np.float64]], skeleton: Skeleton) -> float:
    """Median distance of the neck from the middle of the shoulders over their width; infinite where nobody has them."""
    rows = [skeleton.index(joint) for joint in ("neck", "left_shoulder", "right_shoulder")]
    points = np.stack([person for person in people if len(person) == len(skeleton)])[:, rows]
    (neck, left, right) = points[(points[..., 2] > 0).all(axis=1)][..., :2].transpose(1, 0, 2)
    width = np.linalg.norm(left - right, axis=1)
    errors = np.linalg.norm(neck - (left + right) / 2, axis=1) / np.maximum(width, 1)
    return float(np.median(errors)) if len(errors) else float("inf")


FORMAT = Format(
    "openpose", "OpenPose's .json or a folder of them", (".json", ""), sniff, read_openpose, selects_category=True
)
