"""Reads CVAT's XML files."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from xml.etree.ElementTree import Element

from cairn.datasets.containers.json_file import finite, pixels
from cairn.datasets.containers.text_file import first_bytes
from cairn.datasets.containers.xml_file import read_xml
from cairn.datasets.formats.cvat.frames import frame_images
from cairn.datasets.formats.cvat.schema import Schema, read_schema
from cairn.datasets.formats.cvat.shapes import (
    Shape,
    count_points,
    group_of,
    is_outside,
    marks_of_points,
    marks_of_rows,
    marks_of_skeletons,
)
from cairn.datasets.formats.format import ReadOptions
from cairn.datasets.formats.instances import ListedImage
from cairn.datasets.formats.marks import Mark, MarkedImage, collect_marks
from cairn.datasets.formats.stems import locate_stems
from cairn.datasets.image_files import SUFFIXES
from cairn.datasets.labels import Labels
from cairn.errors import LabelError

NAME = "annotations.xml"
MAX_FRAME = 2**31
START = re.compile(rb"\s*(<\?xml.*?\?>\s*)?(<!--.*?-->\s*|<!DOCTYPE.*?>\s*)*<annotations\b", re.DOTALL)
DOCUMENT_TYPE = re.compile(rb"\s*(<\?xml.*?\?>\s*)?<!DOCTYPE\s+annotations\b", re.DOTALL)
SUBSETS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
"""CVAT's subset in lower case -> split; other names are the user's own."""


@dataclass(frozen=True)
class Entry:
    """An image or frame with its shapes."""

    image: ListedImage
    shapes: list[Shape]
    record: str


def read_cvat(path: Path, options: ReadOptions) -> Labels:
    """Reads a file, or annotations.xml of a folder.

    Skeletons are instances. Without skeletons, a shape of several points is an instance whose joints are numbered, and
    a point alone is a joint with the name of its label.

    Raises:
        LabelError: The file is invalid, states another structure, or its frames are missing.
    """
    path = path / NAME if path.is_dir() else path
    root = read_xml(path)
    if root.tag != "annotations":
        raise LabelError(f"{path} is not CVAT's: expected <annotations>, got <{root.tag:.40}>")
    schema = read_schema(root)
    entries = [*_images(root, schema, path, options), *_frames(root, schema, path, options)]
    if options.split is not None:
        if not any(entry.image.split for entry in entries):
            raise LabelError(f"{path} states no subsets: omit the split")
        entries = [entry for entry in entries if entry.image.split == options.split]
    shapes = [shape for entry in entries for shape in entry.shapes]
    points = [shape for shape in shapes if shape.element.tag == "points"]
    if any(shape.element.tag == "skeleton" for shape in shapes):
        return _skeletons(entries, schema, path, options)
    if any(count_points(shape.element) > 1 for shape in points) or len({shape.label for shape in points}) == 1:
        return _rows(entries, points, path, options)
    marked = _marked(entries, options, lambda entry: marks_of_points(entry.shapes, entry.record))
    return collect_marks(marked, path, options, "group_id")


def sniff(path: Path) -> bool:
    """Returns whether a file, or annotations.xml of a folder, is CVAT's."""
    if path.is_dir():
        return (path / NAME).is_file() and sniff(path / NAME)
    start = first_bytes(path)
    return START.match(start) is not None or DOCUMENT_TYPE.match(start) is not None


def _skeletons(entries: list[Entry], schema: Schema, path: Path, options: ReadOptions) -> Labels:
    """The labels of a file with skeletons, whose labels must have the same joints."""
    used = dict.fromkeys(shape.label for entry in entries for shape in entry.shapes if shape.element.tag == "skeleton")
    if options.category is not None and options.category in used:
        used = {options.category: None}
    first, *rest = (schema.skeletons[name] for name in used)
    for name, other in zip(list(used)[1:], rest, strict=True):
        if set(other.joints) != set(first.joints):
            raise LabelError(
                f"{path}: labels have different keypoints ({next(iter(used))} {len(first.joints)}, {name} "
                f"{len(other.joints)}): choose one with --category"
            )
    marked = _marked(entries, options, lambda entry: marks_of_skeletons(entry.shapes, entry.record, options.problems))
    return collect_marks(marked, path, options, "group_id", first.joints, first.limbs)


def _rows(entries: list[Entry], points: list[Shape], path: Path, options: ReadOptions) -> Labels:
    """The labels of a file whose shapes have all points of an instance, numbered."""
    counts: dict[str, int] = {}
    for shape in points:
        if options.category in (None, shape.label):
            counts.setdefault(shape.label, count_points(shape.element))
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{label} {count}" for label, count in list(counts.items())[:3])
        raise LabelError(f"{path}: labels have different numbers of points ({listed}): choose one with --category")
    count = next(iter(counts.values()), 0)
    given = options.skeleton if options.skeleton is not None and len(options.skeleton) == count else None
    joints = given.joints if given else tuple(f"point_{i}" for i in range(count))
    marked = _marked(entries, options, lambda entry: marks_of_rows(entry.shapes, entry.record, joints, counts))
    return collect_marks(marked, path, options, "group_id", joints)


def _marked(
    entries: Iterable[Entry], options: ReadOptions, marks: Callable[[Entry], list[Mark]]
) -> Iterator[MarkedImage]:
    for entry in entries:
        image = None
        with options.problems:
            image = MarkedImage(entry.image, tuple(marks(entry)), entry.record)
        if image is not None:
            yield image


def _images(root: Element, schema: Schema, path: Path, options: ReadOptions) -> list[Entry]:
    """The images of a file, which may be frames of a video."""
    elements = root.findall("image")
    named: list[tuple[Element, str]] = []
    for i, element in enumerate(elements):
        with options.problems:
            name = element.get("name", "").strip()
            if not name:
                raise LabelError(f"{path}: image {element.get('id', str(i)):.20} needs a name")
            subset = element.get("subset", "").strip()
            named.append((element, f"{subset}/{name}" if subset and subset != "default" else name))
    bare = [name for _, name in named if PurePosixPath(name).suffix.lower() not in SUFFIXES]
    stems = [PurePosixPath(name.replace("\\", "/")).name for name in bare]
    files = dict(zip(bare, locate_stems(stems, path, options.images, options.problems), strict=True)) if bare else {}
    entries = []
    for element, name in named:
        file = files.get(name)
        if name in files and file is None:
            continue
        height, width = pixels(element.get("height")), pixels(element.get("width"))
        number = pixels(element.get("id")) or 0
        image = ListedImage(
            str(file.absolute()) if file is not None else name,
            (height, width) if height and width else None,
            (f"video {schema.video}",) if file is not None and schema.video else (),
            number if file is not None else None,
            SUBSETS.get(element.get("subset", "").strip().lower()),
        )
        shapes = [Shape(shape, shape.get("label", "").strip(), group_of(shape)) for shape in element]
        entries.append(Entry(image, shapes, f"{path}: image {element.get('name', '')}"))
    return entries


def _frames(root: Element, schema: Schema, path: Path, options: ReadOptions) -> list[Entry]:
    """The frames of the tracks of a file; those that CVAT interpolated too, as it writes them."""
    by_frame: dict[int, list[Shape]] = {}
    splits: dict[int, str | None] = {}
    for i, track in enumerate(root.iterfind("track")):
        number = track.get("id", "")
        index = int(number) if number.isdecimal() and len(number) < 19 else i
        for element in track:
            with options.problems:
                record = f"{path}: track {index} {track.get('label', '')}"
                frame = finite(element.get("frame"), f"{record}: frame")
                if not (frame.is_integer() and 0 <= frame <= MAX_FRAME):
                    raise LabelError(f"{record}: frame must be a number from 0, got {element.get('frame'):.40}")
                if not is_outside(element):
                    shape = Shape(element, track.get("label", "").strip(), group_of(track), index)
                    by_frame.setdefault(int(frame), []).append(shape)
                    splits[int(frame)] = SUBSETS.get(track.get("subset", "").strip().lower())
    numbers = sorted(by_frame)
    if not numbers:
        return []
    names = frame_images(numbers, schema.video, path, options)
    groups = (f"video {schema.video or path.stem}",)
    return [
        Entry(
            ListedImage(name, schema.size, groups, number, splits[number]), by_frame[number], f"{path}: frame {number}"
        )
        for number, name in zip(numbers, names, strict=True)
        if name is not None
    ]
