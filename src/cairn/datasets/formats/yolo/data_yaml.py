"""What a data.yaml states about classes and joints. Only `kpt_shape` is needed; the rest is noted where unusable."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cairn.datasets.formats.category import make_skeleton
from cairn.datasets.problems import Problems
from cairn.errors import LabelError, SkeletonError
from cairn.structures.skeleton import Limb, Skeleton

MAX_JOINTS = 10_000  # a body with face and hands has 133 joints
MAX_CLASSES = 10_000


@dataclass(frozen=True)
class KeypointShape:
    """`kpt_shape`: the number of joints, and of numbers for each (2 or 3)."""

    joints: int
    numbers: int


def keypoint_shape(table: dict[str, Any], path: Path) -> KeypointShape:
    """Returns `kpt_shape`.

    Raises:
        LabelError: It is not [joints, 2 or 3].
    """
    value = table.get("kpt_shape")
    numbers = [_integer(number) for number in value] if isinstance(value, list) else []
    if len(numbers) != 2 or numbers[0] not in range(1, MAX_JOINTS) or numbers[1] not in (2, 3):
        raise LabelError(f"{path}: kpt_shape must be [joints, 2 or 3], got {reprlib.repr(value)}")
    return KeypointShape(int(numbers[0] or 0), int(numbers[1] or 0))


def class_names(table: dict[str, Any], path: Path, problems: Problems) -> dict[int, str]:
    """Returns the names of the classes by their number: `names` as a list, a table or a single name, otherwise `nc`."""
    names, count = table.get("names"), _integer(table.get("nc"))
    if isinstance(names, dict):
        numbered = {_integer(key): str(name) for key, name in names.items()}
        result = {number: name for number, name in numbered.items() if number is not None}
        if len(result) < len(names):
            problems.note("names of classes without a number are ignored", f"{path} has {reprlib.repr(names)}")
    elif isinstance(names, list):
        result = {number: str(name) for number, name in enumerate(names)}
    elif isinstance(names, str):
        result = {0: names}
    else:
        result = {number: f"class_{number}" for number in range(count or 0)} if count in range(2, MAX_CLASSES) else {}
        result = result or {0: "object"}
    if names is not None and count is not None and count != len(result):
        problems.note("numbers of classes that differ from the names are ignored", f"{path} has nc {count}")
    return result


def skeleton_of(
    table: dict[str, Any],
    classes: dict[int, str],
    joints: int,
    given: Skeleton | None,
    path: Path,
    problems: Problems,
) -> Skeleton:
    """Returns the skeleton that the classes share.

    Joint names are those of `kpt_names`, otherwise of a given skeleton of as many joints, otherwise numbers. Flip
    pairs are those of `flip_idx`, unless it is empty or maps each joint to itself: then the names decide.

    Args:
        table: The table of data.yaml.
        classes: Names of the classes that have labels, by their number.
        joints: Number of joints.
        given: Skeleton that the user gives.
        path: Path of data.yaml.
        problems: Collects notes.

    Raises:
        LabelError: The classes have different joint names.
    """
    names = _shared_names(table, classes, joints, path, problems)
    if not names and given is not None and len(given) == joints:
        return given
    joint_names = names or [f"point_{i}" for i in range(joints)]
    pairs = _flip_pairs(table.get("flip_idx"), joints, path, problems)
    limbs = _limbs(table.get("skeleton"), joint_names, path, problems)
    sigmas = _sigmas(table.get("sigmas"), joints, path, problems)
    try:
        return make_skeleton(next(iter(classes.values())), joint_names, limbs, pairs, sigmas)
    except SkeletonError as error:
        raise LabelError(f"{path}: {error}") from None


def _shared_names(
    table: dict[str, Any], classes: dict[int, str], joints: int, path: Path, problems: Problems
) -> list[str]:
    """The joint names of the classes; none where `kpt_names` is missing or cannot be used."""
    value = table.get("kpt_names")
    if not value:
        return []
    if isinstance(value, list) and not any(isinstance(names, list) for names in value):
        lists: dict[Any, Any] = dict.fromkeys(classes, value)  # one list for all classes
    else:
        lists = dict(enumerate(value)) if isinstance(value, list) else value if isinstance(value, dict) else {}
    by_class: dict[str, list[str]] = {}
    for number, name in classes.items():
        names = next((lists[key] for key in (number, str(number), name) if key in lists), None)
        joint_names = [str(joint).strip() for joint in names] if isinstance(names, list) else []
        if len(set(joint_names)) == len(joint_names) == joints and all(joint_names):
            by_class[name] = joint_names
    if len(by_class) < len(classes):
        problems.note(
            "joint names are ignored that are not one for each joint of kpt_shape",
            f"{path} has {joints} joints and kpt_names {reprlib.repr(value)}",
        )
    if not by_class:
        return []
    first, joint_names = next(iter(by_class.items()))
    for name, others in by_class.items():
        if others != joint_names:
            raise LabelError(
                f"{path}: the classes {first} ({', '.join(joint_names):.60}) and {name} ({', '.join(others):.60}) have "
                "different keypoints: choose one with --category"
            )
    return joint_names


def _flip_pairs(flips: Any, joints: int, path: Path, problems: Problems) -> list[Limb] | None:
    """Pairs of `flip_idx`; None where the names decide, as many tools write [] or 0, 1, 2, ..."""
    if flips is None or flips == []:
        return None
    order = [_integer(index) for index in flips] if isinstance(flips, list) else []
    known = [index for index in order if index is not None and 0 <= index < joints]
    if len(known) != joints or any(known[known[i]] != i for i in range(joints)):
        problems.note(
            "flip pairs are taken from joint names where flip_idx does not swap pairs of joints",
            f"{path} has {joints} joints and flip_idx {reprlib.repr(flips)}",
        )
        return None
    return [(i, j) for i, j in enumerate(known) if i < j] or None


def _limbs(value: Any, names: Sequence[str], path: Path, problems: Problems) -> list[Limb]:
    """Pairs of joint numbers from 0, or from 1 as in COCO where they fit no other way, or of joint names."""
    if not value:
        return []
    pairs = [limb if isinstance(limb, list) else [] for limb in value] if isinstance(value, list) else [[]]
    index_of = {name: i for i, name in enumerate(names)}
    ends = [[index_of.get(end, -1) if isinstance(end, str) else _integer(end) for end in pair] for pair in pairs]
    numbers = [end for pair, own in zip(ends, pairs, strict=True) for end, given in zip(pair, own, strict=True)
               if end is not None and not isinstance(given, str)]  # fmt: skip
    from_one = bool(numbers) and len(names) in numbers and min(numbers) == 1 and max(numbers) == len(names)
    if from_one:
        problems.note("limbs are read as joint numbers from 1", f"{path} has no joint 0 but {len(names)}")
    limbs: list[Limb] = []
    for pair, own in zip(ends, pairs, strict=True):
        shifted = [
            end - 1 if from_one and end is not None and not isinstance(given, str) else end
            for end, given in zip(pair, own, strict=True)
        ]
        known = [end for end in shifted if end is not None and 0 <= end < len(names)]
        if len(known) == len(own) == 2:
            limbs.append((known[0], known[1]))
        else:
            problems.note(
                "limbs are ignored that are not two joints",
                f"{path} has {reprlib.repr(own or value)} of {len(names)} joints",
            )
    return limbs


def _sigmas(value: Any, joints: int, path: Path, problems: Problems) -> list[float] | None:
    if not value:
        return None
    good = isinstance(value, list) and len(value) == joints
    if good and all(isinstance(s, int | float) and math.isfinite(s) and s > 0 for s in value):
        return [float(sigma) for sigma in value]
    problems.note(
        "sigmas are ignored that are not a positive number for each joint",
        f"{path} has {joints} joints and sigmas {reprlib.repr(value)}",
    )
    return None


def _integer(value: Any) -> int | None:
    """An integer, also as 3.0 or as text; None where it is none."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        return int(value) if value.strip().isdecimal() and len(value) < 10 else None
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < 1e9 else None
    return value if isinstance(value, int) else None
