"""The files of VIA as one table: image by image, regions with shape and region attributes, as version 2 has it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cairn.datasets.containers.json_file import read_json
from cairn.datasets.containers.text_file import read_text
from cairn.datasets.problems import Problems
from cairn.errors import LabelError

CSV_COLUMNS = ("region_count", "region_shape_attributes", "region_attributes")
SHAPES_3 = {1: "point", 2: "rect", 3: "circle", 4: "ellipse", 5: "line", 6: "polyline", 7: "polygon"}
"""Version 3: number of a shape -> its name."""


@dataclass
class Image:
    """An image of a VIA file.

    Attributes:
        name: Name or address of the image.
        record: Name of the record in messages.
        regions: (shape attributes, region attributes), as they are in the file.
    """

    name: Any
    record: str
    regions: list[tuple[Any, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Table:
    """The content of a VIA file.

    Attributes:
        images: The images.
        options: Attribute -> id of an option -> its text.
    """

    images: list[Image]
    options: dict[str, dict[str, str]]


def read_table(path: Path, problems: Problems) -> Table:
    """Returns the content of a project, or of an exported .json or .csv.

    Raises:
        LabelError: It has another structure.
    """
    if _is_csv(path):
        return Table(_csv_images(path, problems), {})
    content = read_json(path)
    if not isinstance(content, dict):
        raise LabelError(f"{path} is not VIA's: expected an object")
    if "_via_img_metadata" in content:
        attributes = content.get("_via_attributes")
        attributes = attributes.get("region") if isinstance(attributes, dict) else {}
        return Table(list(_images(content["_via_img_metadata"], path, problems)), _options(attributes))
    if "metadata" in content and "view" in content:
        return _version_3(content, path, problems)
    return Table(list(_images(content, path, problems)), {})


def _is_csv(path: Path) -> bool:
    with path.open("rb") as file:
        return not file.read(64).removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{")


def _images(table: Any, path: Path, problems: Problems) -> Iterator[Image]:
    if not isinstance(table, dict):
        raise LabelError(f"{path}: _via_img_metadata must be a table of images, got {table!r:.60}")
    for key, entry in table.items():
        image = None
        with problems:
            record = f"{path}: {key:.100}"
            if not isinstance(entry, dict) or "filename" not in entry:
                raise LabelError(f"{record} needs a filename and regions")
            regions = entry.get("regions") or []
            if isinstance(regions, dict):  # version 1
                regions = list(regions.values())
            if not isinstance(regions, list) or not all(isinstance(region, dict) for region in regions):
                raise LabelError(f"{record}: regions must be a list of regions, got {regions!r:.60}")
            pairs = [(region.get("shape_attributes"), region.get("region_attributes")) for region in regions]
            image = Image(entry["filename"], record, pairs)
        if image is not None:
            yield image


def _csv_images(path: Path, problems: Problems) -> list[Image]:
    images: dict[str, Image] = {}
    try:
        rows = list(csv.DictReader(io.StringIO(read_text(path), newline="")))
    except csv.Error as error:
        raise LabelError(f"{path} is not valid CSV: {error}") from None
    for number, row in enumerate(rows, start=2):
        with problems:
            record = f"{path}: row {number}"
            name = row.get("filename") or row.get("#filename")
            if not name:
                raise LabelError(f"{record} needs a filename")
            image = images.setdefault(name, Image(name, f"{path}: {name:.100}"))
            try:
                shape, attributes = (json.loads(row.get(column) or "{}") for column in CSV_COLUMNS[1:])
            except (ValueError, RecursionError):
                raise LabelError(f"{record}: the region's attributes must be JSON") from None
            if shape:  # an image without regions has one row without a shape
                image.regions.append((shape, attributes))
    return list(images.values())


def _options(attributes: Any) -> dict[str, dict[str, str]]:
    """The options of each attribute whose ids are numbers and whose texts are not."""
    result = {}
    for name, attribute in attributes.items() if isinstance(attributes, dict) else ():
        options = attribute.get("options") if isinstance(attribute, dict) else None
        if isinstance(options, dict) and options:
            table = {str(key): str(text).strip() for key, text in options.items()}
            if all(key.strip().isdigit() and text and not text.isdigit() for key, text in table.items()):
                result[name] = table
    return result


def _version_3(content: dict[str, Any], path: Path, problems: Problems) -> Table:
    """A project of version 3: files, views of files, and metadata of views."""
    files, views, metadata, attributes = (content.get(key) or {} for key in ("file", "view", "metadata", "attribute"))
    if not all(isinstance(table, dict) for table in (files, views, metadata, attributes)):
        raise LabelError(f"{path}: a VIA 3 project needs the tables file, view, metadata and attribute")
    names = {key: str(entry.get("aname", key)) for key, entry in attributes.items() if isinstance(entry, dict)}
    by_name = {names[key]: entry for key, entry in attributes.items() if key in names}
    images: dict[str, Image] = {}
    for key, view in views.items():
        with problems:
            numbers = view.get("fid_list") if isinstance(view, dict) else None
            file = files.get(str(numbers[0])) if isinstance(numbers, list) and len(numbers) == 1 else None
            if not isinstance(file, dict):
                raise LabelError(f"{path}: view {key:.60} must have one file: expected images")
            images[key] = Image(file.get("src") or file.get("fname"), f"{path}: view {key:.60}")
    for key, entry in metadata.items():
        with problems:
            if not isinstance(entry, dict) or str(entry.get("vid")) not in images:
                raise LabelError(f"{path}: metadata {key:.60} has no view")
            if entry.get("z"):
                raise LabelError(f"{path}: metadata {key:.60} is of a video: export the frames as images")
            shape, values = _shape_3(entry.get("xy")), entry.get("av")
            if shape is not None:
                named = {names.get(number, number): value for number, value in values.items()} if values else {}
                images[str(entry["vid"])].regions.append((shape, named))
    return Table(list(images.values()), _options(by_name))


def _shape_3(values: Any) -> dict[str, Any] | None:
    """A shape of version 3, a list of its number and its coordinates, as that of version 2."""
    if not isinstance(values, list) or not values:
        return None  # metadata of the whole file
    name = SHAPES_3.get(values[0], "other") if isinstance(values[0], int) else "other"
    keys = {
        "point": ("cx", "cy"),
        "rect": ("x", "y", "width", "height"),
        "circle": ("cx", "cy", "r"),
        "ellipse": ("cx", "cy", "rx", "ry"),
    }
    if name == "polygon":
        return {"name": name, "all_points_x": values[1::2], "all_points_y": values[2::2]}
    return {"name": name, **dict(zip(keys.get(name, ()), values[1:], strict=False))}
