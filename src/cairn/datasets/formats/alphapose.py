"""AlphaPose's results (https://github.com/MVIG-SJTU/AlphaPose/blob/master/docs/output.md) as labels.

    [{"image_id": "photo.jpg", "category_id": 1, "keypoints": [x, y, confidence, ...], "score": 2.9,
      "box": [x, y, width, height], "idx": [1]}, ...]

Also its formats `cmu` and `open`, a table image -> people. A file of one image, in `sep-json`, is like OpenPose's and
read as that. Pixels count from 0.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from cairn.datasets.containers.json_file import finite, json_start, read_json
from cairn.datasets.formats.category import make_skeleton
from cairn.datasets.formats.format import Format, ReadOptions
from cairn.datasets.formats.instances import Box, Instance, collect
from cairn.datasets.formats.openpose_json import POSE, check_category, labeled_instance, triplets
from cairn.datasets.labels import Labels
from cairn.errors import LabelError
from cairn.structures.flip_pairs import flip_pairs_by_name
from cairn.structures.skeleton import Limb, Skeleton, load_skeleton

HALPE = (
    *("head", "neck", "mid_hip"),
    *("left_big_toe", "right_big_toe", "left_small_toe", "right_small_toe", "left_heel", "right_heel"),
)
"""Joints 17 to 25 of Halpe; the first 17 are COCO's. Then follow face, left hand and right hand."""

HALPE_LIMBS = (
    *(("nose", "left_eye"), ("nose", "right_eye"), ("left_eye", "left_ear"), ("right_eye", "right_ear")),
    *(("head", "nose"), ("head", "neck"), ("neck", "left_shoulder"), ("neck", "right_shoulder")),
    *(("left_shoulder", "left_elbow"), ("left_elbow", "left_wrist")),
    *(("right_shoulder", "right_elbow"), ("right_elbow", "right_wrist")),
    *(("neck", "mid_hip"), ("mid_hip", "left_hip"), ("mid_hip", "right_hip")),
    *(("left_hip", "left_knee"), ("left_knee", "left_ankle"), ("left_ankle", "left_heel")),
    *(("right_hip", "right_knee"), ("right_knee", "right_ankle"), ("right_ankle", "right_heel")),
    *(("left_ankle", "left_big_toe"), ("left_big_toe", "left_small_toe")),
    *(("right_ankle", "right_big_toe"), ("right_big_toe", "right_small_toe")),
)
COUNTS = (17, 26, 136)
NAMED = re.compile(rb'"image_id"\s*:\s*"')
OWN = {"idx", "box"}  # keys that COCO's results do not have


def read_alphapose(path: Path, options: ReadOptions) -> Labels:
    """Reads alphapose-results.json. A keypoint is labeled from the confidence `options.confidence`.

    A given skeleton with as many joints names them, where their number is none of COUNTS.

    Raises:
        LabelError: An entry is invalid, or an image is missing.
    """
    check_category(path, options)
    instances: list[Instance] = []
    count = 0
    for record, entry, name in _entries(read_json(path), path):
        with options.problems:
            key = next((key for key in ("keypoints", *POSE) if key in entry), "keypoints")
            points = triplets(entry.get(key), f"{record}: {key}")
            count = count or len(points)
            if len(points) != count or not count:
                raise LabelError(f"{record} has {len(points)} keypoints, others have {count or 'some'}")
            if not isinstance(name, str | int) or isinstance(name, bool) or name == "":
                raise LabelError(f"{record} needs an image_id, the name of an image, got {name!r:.60}")
            instance = labeled_instance(str(name), points, _track(entry.get("idx")), options, record)
            if "box" in entry and np.isfinite(instance.keypoints).any():
                instance = replace(instance, box=_box(entry["box"], record))
            instances.append(instance)
    if not instances:
        raise LabelError(f"{path} has no person")
    skeleton = _skeleton(count, options, path)
    return collect(instances, skeleton, path, options.images, problems=options.problems)


def sniff(path: Path) -> bool:
    """Returns whether a file is AlphaPose's: images have names, or people have boxes or track IDs."""
    start = json_start(path)
    if start.opening == "[":
        named = NAMED.search(start.head) is not None or bool(start.inner & OWN)
        return {"image_id", "keypoints"} <= start.inner and named
    return start.opening == "{" and "version" in start.inner and bool(start.inner & {"bodies", "people"})


def halpe(count: int) -> Skeleton:
    """Returns Halpe's skeleton of 26 or 136 joints."""
    joints = (*load_skeleton("coco17").joints, *HALPE)
    first, face = len(joints), load_skeleton("face68")
    limbs: list[Limb] = [(joints.index(a), joints.index(b)) for a, b in HALPE_LIMBS]
    if count == first:
        return make_skeleton(f"halpe{count}", joints, limbs)
    hands = (f"{side}_hand_{joint}" for side in ("left", "right") for joint in load_skeleton("hand21").joints)
    joints += (*(f"face_{joint}" for joint in face.joints), *hands)
    inside = range(first, first + len(face))
    flips = [pair for pair in flip_pairs_by_name(joints) if pair[0] not in inside]
    flips += [(first + a, first + b) for a, b in face.flip_pairs]  # the jaw has no side in its names
    return make_skeleton(f"halpe{count}", joints, limbs, flips)


def _entries(content: Any, path: Path) -> Iterator[tuple[str, dict[str, Any], Any]]:
    """(record, person, name of the image) of a list, or of a table image -> people."""
    if isinstance(content, dict):
        people = [
            (name, person)
            for name, image in content.items()
            if isinstance(image, dict)
            for person in image.get("people") or image.get("bodies") or []
        ]
    elif isinstance(content, list):
        people = [(entry.get("image_id") if isinstance(entry, dict) else None, entry) for entry in content]
    else:
        people = []
    for i, (name, person) in enumerate(people):
        if not isinstance(person, dict):
            raise LabelError(f"{path}: entry {i} must be a person, got {person!r:.60}")
        yield f"{path}: entry {i}", person, name


def _track(value: Any) -> int:
    """The track ID, which may be in a list, also of its own."""
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    is_whole = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 2**63
    return int(value) if is_whole and float(value).is_integer() else -1


def _box(value: Any, record: str) -> Box:
    if not isinstance(value, list) or len(value) != 4:
        raise LabelError(f"{record}: box must be [x, y, width, height], got {value!r:.60}")
    x, y, width, height = (finite(number, f"{record}: box") for number in value)
    if width < 0 or height < 0:
        raise LabelError(f"{record}: box has a negative width or height: {value!r:.60}")
    return x, y, width, height


def _skeleton(count: int, options: ReadOptions, path: Path) -> Skeleton:
    if count == 17:
        return load_skeleton("coco17")
    if count in COUNTS:
        return halpe(count)
    if count == 18:  # formats cmu and open
        return load_skeleton("coco18")
    if options.skeleton is not None and len(options.skeleton) == count:
        return options.skeleton
    known = ", ".join(map(str, COUNTS))
    raise LabelError(f"{path}: people have {count} keypoints: expected {known}, or give a --skeleton with as many")


FORMAT = Format("alphapose", "AlphaPose's .json", (".json",), sniff, read_alphapose, selects_category=True)
