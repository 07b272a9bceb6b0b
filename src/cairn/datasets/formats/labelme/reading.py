"""Reads LabelMe's JSON files."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.containers.json_file import finite, json_start, pixels, read_json
from cairn.datasets.containers.text_file import is_file
from cairn.datasets.formats.format import ReadOptions
from cairn.datasets.formats.instances import ListedImage
from cairn.datasets.formats.marks import Mark, MarkedImage, collect_marks
from cairn.datasets.formats.visibility_attributes import visibility_of
from cairn.datasets.labels import Labels
from cairn.errors import ImageError, LabelError
from cairn.media.folders import walk_folder
from cairn.media.images import decode_image, write_image

OUTLINES = ("rectangle", "polygon", "rotation", "oriented_rectangle", "mask")
MAX_SNIFFED = 20  # files of a folder whose format is tested


def read_labelme(path: Path, options: ReadOptions) -> Labels:
    """Reads a file, or all files of a folder.

    Images are searched beside their file first. An image that is missing and embedded in its file is written into the
    folder `options.frames`.

    Raises:
        LabelError: A file is invalid, or its points cannot be assigned to instances.
    """
    files = sorted(walk_folder(path, (".json",))) if path.is_dir() else [path]
    images: list[MarkedImage] = []
    for file in files:
        with options.problems:
            if len(files) > 1 and not sniff(file):
                options.problems.note("other JSON files in the folder are ignored", file.name)
                continue
            images.append(_image(file, path, options))
    if not images:
        raise LabelError(f"{path}: none of its {len(files)} .json files is usable")
    return collect_marks(images, path, options, "group_id")


def sniff(path: Path) -> bool:
    """Returns whether a file, or one of the first files of a folder, is LabelMe's."""
    if path.is_dir():
        return any(map(sniff, walk_folder(path, (".json",))[:MAX_SNIFFED]))
    keys = json_start(path).keys
    return bool(keys & {"shapes", "imageData"}) and not keys & {"images", "annotations"}


def _image(file: Path, root: Path, options: ReadOptions) -> MarkedImage:
    content = read_json(file)
    if not isinstance(content, dict) or not isinstance(content.get("shapes"), list):
        raise LabelError(f"{file} is not LabelMe's: expected an object with a list of shapes")
    height, width = pixels(content.get("imageHeight")), pixels(content.get("imageWidth"))
    entry = ListedImage(
        _name(content, file, root, options), (height, width) if height is not None and width is not None else None
    )
    marks = []
    for i, shape in enumerate(content["shapes"]):
        with options.problems:
            if (mark := _mark(shape, f"{file}: shapes[{i}]", options)) is not None:
                marks.append(mark)
    return MarkedImage(entry, tuple(marks), str(file))


def _mark(shape: Any, record: str, options: ReadOptions) -> Mark | None:
    """The mark of a shape; None for a shape that is neither a point nor an outline, or not labeled."""
    if not isinstance(shape, dict) or not isinstance(shape.get("label"), str | int):
        raise LabelError(f"{record} needs a label, the name of the joint or of the category")
    points = _points(shape.get("points"), record)
    # Before version 4 all shapes are polygons, also a point.
    kind = shape.get("shape_type") or ("point" if len(points) == 1 else "polygon")
    if kind == "point" and len(points) != 1:
        raise LabelError(f"{record} is a point with {len(points)} places: expected one")
    if kind != "point" and kind not in OUTLINES:
        options.problems.note("shapes other than points, rectangles and polygons are ignored", f"{record} is a {kind}")
        return None
    group = shape.get("group_id")
    if isinstance(group, list | dict):
        raise LabelError(f"{record}: group_id must be a number or a text, got {group!r:.60}")
    # X-AnyLabeling marks an occluded point as difficult.
    stated = [{"occluded": shape.get("difficult"), "description": shape.get("description")}]
    stated += [shape[key] for key in ("flags", "attributes") if isinstance(shape.get(key), dict)]
    visibility = min(map(visibility_of, stated))
    if kind == "point" and visibility == 0:
        return None
    label = str(shape["label"]).strip()
    return Mark(label, points, kind == "point", None if group == "" else group, visibility == 1)


def _points(value: Any, record: str) -> NDArray[np.float64]:
    if not isinstance(value, list) or not value:
        raise LabelError(f"{record} needs points, got {value!r:.60}")
    if not all(isinstance(point, list) and len(point) == 2 for point in value):
        raise LabelError(f"{record}: each point must be [x, y], got {value!r:.60}")
    return np.array([[finite(number, f"{record}: a coordinate") for number in point] for point in value])


def _name(content: dict[str, Any], file: Path, root: Path, options: ReadOptions) -> str:
    """The image if it exists, else an embedded one, else the name that the file states.

    The name is relative to the file: `..` in it is dropped, and it is searched with fewer and fewer folders.
    """
    stated = content.get("imagePath")
    if not isinstance(stated, str) or not stated.strip():
        raise LabelError(f"{file} needs an imagePath, got {stated!r:.60}")
    parts = [part for part in PurePosixPath(stated.replace("\\", "/")).parts if part not in ("..", "/")]
    tails = ["/".join(parts[start:]) for start in range(len(parts))]
    folder = root if root.is_dir() else root.parent
    places = (file.parent, folder, folder / "images", folder.parent, folder.parent / "images")
    for tail in tails:  # the longest first
        for place in places if options.images is None else (options.images,):
            if is_file(place / tail):
                return str((place / tail).absolute())
    if isinstance(content.get("imageData"), str) and content["imageData"]:
        return _embedded(content["imageData"], file, root, options.frames)
    return "/".join(parts)


def _embedded(data: str, file: Path, root: Path, frames: Path | None) -> str:
    """Writes the image that a file contains, and returns its path."""
    if frames is None:
        raise LabelError(
            f"{file}: its image is in the file itself: cairn convert {root.name} labels.json writes it beside the "
            "labels, or give its folder with --images"
        )
    try:
        pixels_of = decode_image(base64.b64decode(data, validate=False))
    except (ImageError, binascii.Error, ValueError) as error:
        raise LabelError(f"{file}: its imageData {error}") from None
    folder = root if root.is_dir() else root.parent
    target = frames / file.relative_to(folder).with_suffix(".png")
    write_image(target, pixels_of)
    return str(target.absolute())
