"""MPII Human Pose (Andriluka et al., CVPR 2014): the published .mat, and the two .json forms that ports use."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.formats.matlab import elements, field, number, numbers, read_mat
from cairn.datasets.formats.people import HUMAN, Person, Split, gather, in_split, square
from cairn.datasets.labels import Labels
from cairn.datasets.problems import Faults
from cairn.errors import LabelError
from cairn.structures.skeleton import load_skeleton as definition

JOINTS = 16
LOWER = 15.0  # pixels of a person of scale 1 by which crops are centerd lower, lest feet be cut; Newell et al.

Box = tuple[float, float, float, float]


def read_mpii_mat(
    path: Path,
    variables: dict[str, Any],
    images: Path | None = None,
    split: Split | None = None,
    faults: Faults | None = None,
) -> Labels:
    """The `RELEASE` of mpii_human_pose_v1_u12_1.mat, which labels its training images only.

    Boxes are the squares that published crops are made of (side 200·scale, center lowered by 15·scale), areas
    for OKS those of the joints. People who are not labeled joint by joint stay as regions.
    Raises LabelError where the file is not of that structure.
    """
    if split == "val":
        raise LabelError(f"{path} has no validation part: its test images are not labeled")
    release = variables["RELEASE"]
    entries = elements(field(release, "annolist"))
    training = elements(field(release, "img_train"))
    if len(entries) != len(training):
        raise LabelError(f"{path}: RELEASE needs as many annolist ({len(entries)}) as img_train ({len(training)})")
    people = (
        _person_of_struct(path, name, rect)
        for image, learned in zip(entries, training, strict=True)
        if learned == 1 and (name := field(field(image, "image"), "name")) is not None
        for rect in elements(field(image, "annorect"))
        if rect is not None
    )
    return gather(people, definition("mpii16"), path, images, heads=True, faults=faults)


def read_mpii_json(
    path: Path, images: Path | None = None, split: Split | None = None, faults: Faults | None = None
) -> Labels:
    """A list of people: `joints`, `joints_vis`, `center`, `scale`, `image`; or `joint_self`, `objpos`,
    `scale_provided`, `img_paths`, `isValidation`, bare or under `root`.

    Head sizes come from gt_NAME.mat (headboxes_src) beside NAME.json, where it is: without them there is no PCKh.
    Raises LabelError where the file is not of that structure.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise LabelError(f"cannot read labels {path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise LabelError(f"{path} is not JSON that can be read: {error}") from None
    entries = content.get("root") if isinstance(content, dict) else content
    if not isinstance(entries, list):
        raise LabelError(f"{path}: expected a list of people")
    heads = _head_sizes(path.with_name(f"gt_{path.stem}.mat"), len(entries))
    if split and not all(isinstance(entry, dict) and "isValidation" in entry for entry in entries):
        raise LabelError(f"{path} does not say which people are for training: leave out the split")
    people = in_split(_people_of_json(path, entries, heads, faults or Faults()), split)
    return gather(people, definition("mpii16"), path, images, heads=heads is not None, faults=faults)


def _person_of_struct(path: Path, name: str, rect: Any) -> Person:
    keypoints = np.full((JOINTS, 2), np.nan)
    hidden = np.zeros(JOINTS, bool)
    for point in elements(field(field(rect, "annopoints"), "point")):
        joint = number(point, "id")
        if point is None or not (joint.is_integer() and 0 <= joint < JOINTS):
            continue
        keypoints[int(joint)] = number(point, "x") - 1, number(point, "y") - 1
        hidden[int(joint)] = number(point, "is_visible") == 0  # not said: taken for visible
    keypoints[np.isnan(keypoints).any(axis=1)] = np.nan
    corners = [number(rect, corner) for corner in ("x1", "y1", "x2", "y2")]
    head = math.hypot(corners[2] - corners[0], corners[3] - corners[1])
    place = field(rect, "objpos")
    box = _crop_box((number(place, "x"), number(place, "y")), number(rect, "scale"))
    return Person(str(name), keypoints, hidden, box, head)


def _people_of_json(path: Path, entries: list, heads: NDArray | None, faults: Faults) -> Iterator[tuple[bool, Person]]:
    """(belongs to training, person) of each entry."""
    for i, entry in enumerate(entries):
        person = None
        with faults:
            try:
                head = float("nan") if heads is None else float(heads[i])
                person = _person_of_entry(entry, head, f"{path}: entry {i}")
            except (KeyError, IndexError, TypeError, ValueError) as error:
                reason = f"no {error}" if isinstance(error, KeyError) else error
                raise LabelError(f"{path}: entry {i} is not of a form of MPII's ({reason})") from None
        if person is not None:
            yield not entry.get("isValidation"), person


def _person_of_entry(entry: Any, head: float, record: str) -> Person:
    if "joint_self" in entry:
        table = np.array(entry["joint_self"], np.float64)
        points, seen = table[:, :2], table[:, 2]
        name, center, scale = entry["img_paths"], entry["objpos"], entry["scale_provided"]
    else:
        points, seen = np.array(entry["joints"], np.float64), np.array(entry["joints_vis"], np.float64)
        name, center, scale = entry["image"], entry["center"], entry["scale"]
    if points.shape != (JOINTS, 2) or seen.shape != (JOINTS,):
        raise LabelError(f"{record} must have {JOINTS} joints of MPII, got {points.shape[0]}")
    # Not labeled is (0, 0) or (-1, -1); a place with a flag of 0 is that of a hidden joint.
    keypoints = np.where(np.all(points > 0, axis=1, keepdims=True), points - 1, np.nan)
    box = _crop_box((float(center[0]), float(center[1])), float(scale))
    return Person(str(name), keypoints, seen == 0, box, head)


def _crop_box(place: tuple[float, float], scale: float) -> Box | None:
    """The square of published crops before their margin; None where the place or the scale is not given."""
    if not (scale > 0 and math.isfinite(place[0] + place[1])):
        return None
    return square((place[0] - 1, place[1] - 1 + LOWER * scale), HUMAN * scale)


def _head_sizes(path: Path, count: int) -> NDArray[np.float64] | None:
    """(N,) diagonals of headboxes_src (2 corners, x and y, N people)."""
    if not path.is_file():
        return None
    corners = numbers(read_mat(path).get("headboxes_src"), (2, 2, count), f"{path}: headboxes_src")
    return np.linalg.norm(corners[1] - corners[0], axis=0)
