"""The shapes of one image or frame of a CVAT file as marks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass, replace
from xml.etree.ElementTree import Element

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.containers.json_file import finite
from cairn.datasets.formats.marks import Mark
from cairn.datasets.formats.visibility_attributes import visibility_of
from cairn.datasets.problems import Problems
from cairn.errors import LabelError

OUTLINES = ("box", "polygon", "ellipse")
TRUE = ("1", "true")


@dataclass(frozen=True)
class Shape:
    """A shape of an image, or of a track in a frame.

    Attributes:
        element: Its element.
        label: Its label, which a track has for all its shapes.
        group: Number that objects have in common which belong together; None where it has none.
        track: Track ID; -1 in images.
    """

    element: Element
    label: str
    group: str | None = None
    track: int = -1


def group_of(element: Element) -> str | None:
    """Returns the group of a shape or track; CVAT's 0 is none."""
    group = element.get("group_id", "0").strip()
    return None if group in ("", "0") else group


def is_outside(element: Element) -> bool:
    """Returns whether a shape has left the image, or was never in it."""
    return element.get("outside", "0").strip().lower() in TRUE


def marks_of_skeletons(shapes: Sequence[Shape], record: str, problems: Problems) -> list[Mark]:
    """Returns the keypoints of each skeleton, and the box that has its group."""
    skeletons = [shape for shape in shapes if shape.element.tag == "skeleton"]
    marks: list[Mark] = []
    owners = _owners(skeletons)
    for i, shape in enumerate(skeletons):
        where = f"{record}: skeleton {shape.label:.60}"
        marks += [
            _point(child, f"{where}: {child.get('label', '')!r:.60}", i, shape)
            for child in shape.element
            if child.tag in ("points", "ellipse") and not is_outside(child) and _visibility(child)
        ]
    for shape in shapes:
        if shape.element.tag in OUTLINES and shape.group in owners:
            mark = Mark(None, _corners(shape.element, f"{record}: {shape.element.tag} {shape.label:.60}"), False)
            marks.append(replace(mark, group=owners[shape.group]))
        elif shape.element.tag not in ("skeleton", "tag"):
            problems.note("shapes that belong to no skeleton are ignored", f"{record}: {shape.element.tag}")
    return marks


def marks_of_rows(shapes: Sequence[Shape], record: str, joints: Sequence[str], labels: Collection[str]) -> list[Mark]:
    """Returns the points of shapes that have all keypoints of an instance, and the box that has their group.

    Args:
        shapes: The shapes of an image.
        record: Name of the image in messages.
        joints: Names of the points of a shape, in order.
        labels: Labels of these shapes; others are ignored.

    Raises:
        LabelError: A shape has another number of points.
    """
    rows = [shape for shape in shapes if shape.element.tag == "points" and shape.label in labels]
    owners = _owners(rows)
    marks: list[Mark] = []
    for i, shape in enumerate(rows):
        points = _places(shape.element, f"{record}: points {shape.label:.60}")
        if len(points) != len(joints):
            raise LabelError(f"{record}: points {shape.label:.60} has {len(points)} points, others have {len(joints)}")
        template = Mark(None, points[:1], True, i, _visibility(shape.element) == 1, shape.label, shape.track)
        marks += [replace(template, label=joint, points=points[k : k + 1]) for k, joint in enumerate(joints)]
    for shape in shapes:
        if shape.element.tag in OUTLINES and shape.group in owners:
            corners = _corners(shape.element, f"{record}: {shape.element.tag} {shape.label:.60}")
            marks.append(Mark(None, corners, False, owners[shape.group]))
    return marks


def marks_of_points(shapes: Sequence[Shape], record: str) -> list[Mark]:
    """Returns points whose label is their joint, and the boxes whose label is their category."""
    marks = []
    for shape in shapes:
        where = f"{record}: {shape.element.tag} {shape.label:.60}"
        if shape.element.tag == "points":
            if visibility := _visibility(shape.element):
                points = _places(shape.element, where)
                marks.append(Mark(shape.label, points, True, shape.group, visibility == 1, track=shape.track))
        elif shape.element.tag in OUTLINES:
            marks.append(Mark(shape.label, _corners(shape.element, where), False, shape.group, track=shape.track))
    return marks


def count_points(element: Element) -> int:
    """Returns the number of points of a shape."""
    return len([pair for pair in element.get("points", "").split(";") if pair.strip()])


def _owners(shapes: Sequence[Shape]) -> dict[str | None, Hashable]:
    """Group -> index of the only shape that has it."""
    counts = Counter(shape.group for shape in shapes)
    return {shape.group: i for i, shape in enumerate(shapes) if shape.group is not None and counts[shape.group] == 1}


def _point(element: Element, record: str, group: Hashable, shape: Shape) -> Mark:
    joint = element.get("label", "").strip()
    if not joint:
        raise LabelError(f"{record} needs a label")
    if element.tag == "ellipse":
        points = np.array([[finite(element.get(key), f"{record}: {key}") for key in ("cx", "cy")]])
    else:
        points = _places(element, record)
    if len(points) != 1:
        raise LabelError(f"{record} has {len(points)} places: expected one")
    return Mark(joint, points, True, group, _visibility(element) == 1, shape.label, shape.track)


def _visibility(element: Element) -> int:
    """COCO's v by the flag `occluded` and by the user's own attributes."""
    own = {child.get("name", ""): child.text for child in element.iterfind("attribute")}
    return min(visibility_of(own), 1 if element.get("occluded", "0").strip().lower() in TRUE else 2)


def _places(element: Element, record: str) -> NDArray[np.float64]:
    pairs = [pair.split(",") for pair in element.get("points", "").split(";") if pair.strip()]
    if not pairs or any(len(pair) != 2 for pair in pairs):
        raise LabelError(f'{record} needs points="x,y;...", got {element.get("points", "")!r:.60}')
    return np.array([[finite(number, f"{record}: a coordinate") for number in pair] for pair in pairs])


def _corners(element: Element, record: str) -> NDArray[np.float64]:
    def value(key: str, default: str | None = None) -> float:
        return finite(element.get(key, default), f"{record}: {key}")

    if element.tag == "polygon":
        return _places(element, record)
    angle = np.deg2rad(value("rotation", "0"))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    if element.tag == "ellipse":
        center, half = np.array([value("cx"), value("cy")]), np.array([value("rx"), value("ry")])
        extent = np.hypot(*(turn * half).T)
        return np.stack([center - extent, center + extent])
    low, high = np.array([value("xtl"), value("ytl")]), np.array([value("xbr"), value("ybr")])
    if angle == 0:
        return np.stack([low, high])
    offsets = (high - low) / 2 * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    turned: NDArray[np.float64] = (low + high) / 2 + offsets @ turn.T
    return turned
