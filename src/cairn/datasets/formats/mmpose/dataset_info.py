"""mmpose's `dataset_info`: a table in a Python file that describes a skeleton.

dataset_info = dict(
    dataset_name='fly',
    keypoint_info={0: dict(name='head', id=0, color=[255, 0, 0], swap=''), ...},
    skeleton_info={0: dict(link=('head', 'thorax'), id=0, color=[0, 255, 0]), ...},
    joint_weights=[...], sigmas=[...])
"""

from __future__ import annotations

import reprlib
from pathlib import Path
from typing import Any

from cairn.datasets.formats.category import make_skeleton
from cairn.datasets.formats.mmpose.python_file import Unknown, read_values
from cairn.errors import SkeletonError
from cairn.structures.skeleton import Skeleton


def read_dataset_info(path: Path) -> Skeleton:
    """Returns the skeleton: names, flip pairs by `swap`, limbs, colors and sigmas; `joint_weights` is ignored.

    Raises:
        SkeletonError: The file has no such table, or contains more than plain values.
    """
    values = read_values(path)
    if "dataset_info" not in values:
        raise SkeletonError(f"{path} has no dataset_info = dict(...): expected a dataset_info file of mmpose")
    return skeleton_of_info(values["dataset_info"], path)


def skeleton_of_info(info: Any, path: Path) -> Skeleton:
    """Returns the skeleton of the table `dataset_info`.

    Raises:
        SkeletonError: It is no such table, or contains more than plain values.
    """
    if unknown := _first_unknown(info):
        raise SkeletonError(str(unknown))
    if not isinstance(info, dict) or not isinstance(info.get("keypoint_info"), dict):
        raise SkeletonError(f"{path}: dataset_info needs keypoint_info, a table of joints")
    return _skeleton(info, path)


def _first_unknown(value: Any) -> Unknown | None:
    """The first value inside a value that is not plain."""
    seen: set[int] = set()
    rest = [value]
    while rest:
        part = rest.pop()
        if isinstance(part, Unknown):
            return part
        if isinstance(part, dict | list) and id(part) not in seen:
            seen.add(id(part))
            rest += reversed(list(part.values() if isinstance(part, dict) else part))
    return None


def _skeleton(info: dict[str, Any], path: Path) -> Skeleton:
    entries = [entry for entry in info["keypoint_info"].values() if isinstance(entry, dict)]
    if not entries or not all(isinstance(entry.get("name"), str) for entry in entries):
        raise SkeletonError(f"{path}: each entry of keypoint_info needs a name")
    entries = sorted(entries, key=lambda entry: entry["id"] if isinstance(entry.get("id"), int) else len(entries))
    joints = [entry["name"] for entry in entries]
    index_of = {joint: i for i, joint in enumerate(joints)}

    def index(joint: Any, what: str) -> int:
        if not isinstance(joint, str) or joint not in index_of:
            raise SkeletonError(f"{path}: {what} names {reprlib.repr(joint)}, which is not a joint")
        return index_of[joint]

    swaps = {index_of[entry["name"]]: entry["swap"] for entry in entries if entry.get("swap")}
    flips = {i: index(other, f"swap of {joints[i]}") for i, other in swaps.items()}
    for i, other in flips.items():
        if flips.get(other) != i:
            raise SkeletonError(f"{path}: swap of {joints[i]} is {joints[other]}, but not the other way around")
    table = info.get("skeleton_info") or {}
    rows = list(table.values()) if isinstance(table, dict) else [table]
    links = [link for row in rows if isinstance(row, dict) and isinstance(link := row.get("link"), list)]
    if len(links) < len(rows) or not all(len(link) == 2 for link in links):
        raise SkeletonError(f"{path}: each link of skeleton_info must be two names of joints")
    limbs = [(index(a, "skeleton_info"), index(b, "skeleton_info")) for a, b in links]
    sigmas = info.get("sigmas") or None
    if sigmas is not None and not (isinstance(sigmas, list) and all(isinstance(s, int | float) for s in sigmas)):
        raise SkeletonError(f"{path}: sigmas must be a list of numbers, got {reprlib.repr(sigmas)}")
    colors = [color for entry in entries if (color := _color(entry.get("color")))]
    pairs = [(i, other) for i, other in flips.items() if i < other]
    name = str(info.get("dataset_name") or path.stem)
    try:
        return make_skeleton(name, joints, limbs, pairs, sigmas, colors if len(colors) == len(joints) else ())
    except SkeletonError as error:
        raise SkeletonError(f"{path}: {error}") from None


def _color(value: Any) -> str | None:
    """[red, green, blue] as #rrggbb."""
    if isinstance(value, list) and len(value) == 3 and all(isinstance(v, int) and 0 <= v <= 255 for v in value):
        return "#{:02x}{:02x}{:02x}".format(*value)
    return None
