"""MPII Human Pose (Andriluka et al., CVPR 2014): the published .mat, and the two .json variants of ports."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.containers.json_file import read_json
from cairn.datasets.containers.matlab import elements, field, has_variable, number, read_mat
from cairn.datasets.containers.text_file import first_bytes
from cairn.datasets.formats.format import Format, ReadOptions
from cairn.datasets.formats.instances import (
    Instance,
    checked_points,
    collect,
)
from cairn.datasets.formats.mpii.crops import crop_box, missing_joints
from cairn.datasets.formats.mpii.ground_truth import paired_file, read_ground_truth, with_ground_truth
from cairn.datasets.formats.mpii.others import other_people, stated_sizes
from cairn.datasets.formats.splits import by_split
from cairn.datasets.labels import Labels
from cairn.datasets.problems import Problems
from cairn.errors import LabelError
from cairn.structures.skeleton import load_skeleton

JOINTS = 16
JSON_START = re.compile(rb'\s*(\[|\{\s*"root")')


def read_mpii(path: Path, options: ReadOptions) -> Labels:
    """Reads the published .mat file or a .json file of a port.

    Raises:
        LabelError: The file does not have the expected structure.
    """
    if first_bytes(path).startswith(b"MATLAB"):
        return _read_mat(path, options)
    return _read_json(path, options)


def _sniff(path: Path) -> bool:
    return JSON_START.match(first_bytes(path)) is not None or has_variable(path, "RELEASE")


def _read_mat(path: Path, options: ReadOptions) -> Labels:
    """Reads the `RELEASE` of mpii_human_pose_v1_u12_1.mat, in which only the training images are labeled.

    Boxes are the squares of the published crops (side 200·scale, center moved down by 15·scale); areas for OKS are
    those of the joints. People without labeled joints stay as boxes.
    """
    if options.split == "val":
        raise LabelError(f"{path} has no validation split: its test images are not labeled")
    release = read_mat(path)["RELEASE"]
    entries = elements(field(release, "annolist"))
    training = elements(field(release, "img_train"))
    if len(entries) != len(training):
        raise LabelError(f"{path}: RELEASE needs as many annolist ({len(entries)}) as img_train ({len(training)})")
    labeled = [image for image, trained_on in zip(entries, training, strict=True) if trained_on == 1]
    people = (("train", instance) for instance in _instances_of_structs(path, labeled, options.problems))
    instances, listed = by_split(people, options.split, options.problems)
    skeleton = load_skeleton("mpii16")
    return collect(instances, skeleton, path, options.images, listed, True, options.problems)


def _read_json(path: Path, options: ReadOptions) -> Labels:
    """Reads a list of people.

    Their fields are `joints`, `joints_vis`, `center`, `scale`, `image`; or `joint_self`, `objpos`, `scale_provided`,
    `img_paths`, `isValidation`, as a list or under `root`. People in `joint_others` who are no record of their own stay
    without keypoints. Joints and head sizes of the validation people are read from the published ground truth beside
    the file (see `mpii_gt.paired_file`); without it there is no PCKh.
    """
    content = read_json(path)
    entries = content.get("root") if isinstance(content, dict) else content
    if not isinstance(entries, list):
        raise LabelError(f"{path}: expected a list of people")
    paired = paired_file(path)
    truth = read_ground_truth(paired) if paired and options.gt is None and options.split != "train" else None
    if truth is not None and truth.points is None and len(truth.heads) != len(entries):
        raise LabelError(f"{truth.path} has {len(truth.heads)} people, and {path} has {len(entries)}")
    heads = truth.heads if truth is not None and truth.points is None else None
    if options.split and not all(isinstance(entry, dict) and "isValidation" in entry for entry in entries):
        raise LabelError(f"{path} does not state which people are for training: omit the split")
    people = [*_instances_of_json(path, entries, heads, options.problems)]
    instances, listed = by_split([*people, *other_people(entries, people)], options.split, options.problems)
    sizes = stated_sizes(entries)
    listed = [replace(image, size=sizes.get(image.name)) for image in listed]
    skeleton = load_skeleton("mpii16")
    labels = collect(instances, skeleton, path, options.images, listed, heads is not None, options.problems)
    return labels if truth is None or heads is not None else with_ground_truth(labels, truth, path)


def _instances_of_structs(path: Path, images: list[Any], problems: Problems) -> Iterator[Instance]:
    for image in images:
        if (name := field(field(image, "image"), "name")) is None:
            continue
        for number_of_person, rect in enumerate(elements(field(image, "annorect")), start=1):
            with problems:
                if rect is not None:
                    yield _instance_of_struct(str(name), rect, f"{path}: person {number_of_person} of {name}")


def _instance_of_struct(name: str, rect: Any, record: str) -> Instance:
    keypoints = np.full((JOINTS, 2), np.nan)
    occluded = np.zeros(JOINTS, bool)
    for point in elements(field(field(rect, "annopoints"), "point")):
        joint = number(point, "id")
        if point is None or not (joint.is_integer() and 0 <= joint < JOINTS):
            continue
        keypoints[int(joint)] = number(point, "x") - 1, number(point, "y") - 1
        occluded[int(joint)] = number(point, "is_visible") == 0  # a missing flag counts as visible
    keypoints = checked_points(keypoints, record)
    corners = [number(rect, corner) for corner in ("x1", "y1", "x2", "y2")]
    head = math.hypot(corners[2] - corners[0], corners[3] - corners[1])
    center = field(rect, "objpos")
    box = crop_box((number(center, "x"), number(center, "y")), number(rect, "scale"))
    return Instance(name, keypoints, occluded, box, head)


def _instances_of_json(
    path: Path, entries: list[Any], heads: NDArray[np.float64] | None, problems: Problems
) -> Iterator[tuple[str | None, Instance]]:
    """(split where it is stated, instance) of each entry."""
    for i, entry in enumerate(entries):
        with problems:
            try:
                head = float("nan") if heads is None else float(heads[i])
                split = ("val" if float(entry["isValidation"]) else "train") if "isValidation" in entry else None
                yield split, _instance_of_entry(entry, head, f"{path}: entry {i}")
            except (KeyError, IndexError, TypeError, ValueError, OverflowError) as error:
                reason = f"no {error}" if isinstance(error, KeyError) else error
                raise LabelError(f"{path}: entry {i} is not in a format of MPII ({reason})") from None


def _instance_of_entry(entry: Any, head: float, record: str) -> Instance:
    if "joint_self" in entry:
        table = np.array(entry["joint_self"], np.float64)
        points, visible = table[:, :2], table[:, 2]
        name, center, scale = entry["img_paths"], entry.get("objpos"), entry.get("scale_provided")
    else:
        points = np.array(entry["joints"], np.float64)
        visible = np.array(entry["joints_vis"] if "joints_vis" in entry else [1] * len(points), np.float64)
        name, center, scale = entry["image"], entry.get("center"), entry.get("scale")
    if points.shape != (JOINTS, 2) or visible.shape != (JOINTS,):
        raise LabelError(f"{record} must have {JOINTS} joints of MPII, got {points.shape[0]}")
    keypoints = checked_points(np.where(missing_joints(points)[:, None], np.nan, points - 1), record)
    missing = center is None or scale is None
    box = None if missing else crop_box((float(center[0]), float(center[1])), float(scale))
    return Instance(str(name), keypoints, visible == 0, box, head)


FORMAT = Format("mpii", "MPII's .mat or .json", (".mat", ".json"), _sniff, read_mpii, splits=("train", "val"))
