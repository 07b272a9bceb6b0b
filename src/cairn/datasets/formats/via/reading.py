"""Reads the files of VIA."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.containers.json_file import finite, json_start
from cairn.datasets.containers.text_file import first_bytes
from cairn.datasets.formats.format import ReadOptions
from cairn.datasets.formats.instances import ListedImage
from cairn.datasets.formats.marks import Mark, MarkedImage, collect_marks
from cairn.datasets.formats.via.attributes import Roles, roles, texts
from cairn.datasets.formats.via.tables import CSV_COLUMNS, Image, Table, read_table
from cairn.datasets.formats.visibility_attributes import visibility_of, word
from cairn.datasets.labels import Labels
from cairn.errors import LabelError

POINTS = ("point", "circle")
OUTLINES = ("rect", "polygon", "ellipse")
ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
TRACKS = ("track", "track_id")


def read_via(path: Path, options: ReadOptions) -> Labels:
    """Reads a project, or an exported .json or .csv.

    Raises:
        LabelError: The file has another structure, or the roles of its attributes are ambiguous.
    """
    table = read_table(path, options.problems)
    found = [
        texts(attributes, table.options)
        for image in table.images
        for shape, attributes in image.regions
        if isinstance(shape, dict) and shape.get("name") in POINTS
    ]
    if not found:
        raise LabelError(f"{path} has no points or circles: expected keypoints")
    names = roles(found, path)
    images = []
    for image in table.images:
        with options.problems:
            images.append(_image(image, names, table, options))
    joints = list(table.options.get(names.joint, {}).values())
    return collect_marks(images, path, options, f"the attribute {names.instance or 'instance'}", joints)


def sniff(path: Path) -> bool:
    """Returns whether a file is a project or an export of VIA."""
    start = json_start(path)
    if start.opening == "{":
        return (
            any(key.startswith("_via_") for key in start.keys)
            or {"filename", "regions"} <= start.inner
            or {"project", "config"} <= start.keys
        )
    header = first_bytes(path).split(b"\n")[0].decode("utf-8", "replace")
    return all(column in header for column in CSV_COLUMNS)


def _image(image: Image, names: Roles, table: Table, options: ReadOptions) -> MarkedImage:
    if not isinstance(image.name, str) or not image.name.strip():
        raise LabelError(f"{image.record} needs a file name, got {image.name!r:.60}")
    name = unquote(urlsplit(image.name).path).lstrip("/") if ADDRESS.match(image.name) else image.name
    marks = []
    for i, (shape, attributes) in enumerate(image.regions):
        with options.problems:
            record = f"{image.record}: region {i}"
            mark = _mark(shape, texts(attributes, table.options), names, record, options)
            if mark is None:
                continue
            visibility = visibility_of(attributes) if isinstance(attributes, dict) else 2
            if visibility or not mark.is_point:
                marks.append(replace(mark, occluded=visibility == 1))
    return MarkedImage(ListedImage(name), tuple(marks), image.record)


def _mark(shape: Any, attributes: dict[str, str], names: Roles, record: str, options: ReadOptions) -> Mark | None:
    """The mark of a region; None for other shapes and points without a joint."""
    if not isinstance(shape, dict):
        raise LabelError(f"{record} needs shape_attributes, got {shape!r:.60}")
    kind = shape.get("name")
    if kind not in POINTS + OUTLINES:
        options.problems.note("regions other than points, circles, rectangles, polygons and ellipses are ignored",
                              f"{record} is a {kind!s:.60}")  # fmt: skip
        return None
    category = attributes.get(names.category) if names.category else None
    joint, group = attributes.get(names.joint), attributes.get(names.instance) if names.instance else None
    if kind in POINTS and joint is None:
        options.problems.note("points without a joint are ignored", record)
        return None
    is_track = names.instance is not None and word(names.instance) in TRACKS
    track = int(group) if is_track and group is not None and group.isdecimal() and len(group) < 19 else -1
    is_point = kind in POINTS
    label = joint if is_point else category or joint
    return Mark(label, _points(shape, record), is_point, group, category=category if is_point else None, track=track)


def _points(shape: dict[str, Any], record: str) -> NDArray[np.float64]:
    """(N, 2): the center of a point or circle, the corners of a polygon, two corners of the box of another shape."""

    def value(key: str) -> float:
        return finite(shape.get(key), f"{record}: {key}")

    kind = shape["name"]
    if kind in POINTS:
        return np.array([[value("cx"), value("cy")]])
    if kind == "rect":
        x, y, width, height = (value(key) for key in ("x", "y", "width", "height"))
        return np.array([[x, y], [x + width, y + height]])
    if kind == "ellipse":
        angle = value("theta") if shape.get("theta") is not None else 0.0
        across = np.array([[value("rx") * np.cos(angle), value("ry") * np.sin(angle)],
                           [value("rx") * np.sin(angle), value("ry") * np.cos(angle)]])  # fmt: skip
        extent = np.hypot(across[:, 0], across[:, 1])
        center = np.array([value("cx"), value("cy")])
        return np.stack([center - extent, center + extent])
    xs, ys = shape.get("all_points_x"), shape.get("all_points_y")
    if not isinstance(xs, list) or not isinstance(ys, list) or len(xs) != len(ys) or not xs:
        raise LabelError(f"{record}: a polygon needs as many all_points_x as all_points_y")
    return np.array([[finite(x, f"{record}: x"), finite(y, f"{record}: y")] for x, y in zip(xs, ys, strict=True)])
