"""The image records of a COCO file: ids, names, sizes and groups."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from operator import itemgetter
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from cairn.datasets.formats.coco.categories import MakeError
from cairn.datasets.formats.coco.ids import Id, Index, id_of, image_numbers
from cairn.datasets.problems import Problems
from cairn.errors import ImageError
from cairn.media.images import image_size
from cairn.structures.geometry import Size

GROUPS = ("video", "video_id", "vid_id", "video_name", "sequence", "subject", "subject_id")
"""Fields of an image that name the video or the subject that it belongs to."""

FRAMES = ("frame", "frame_id", "frame_index", "frame_idx")
"""Fields of an image that hold its frame number."""

IS_LABELED = "is_labeled"
"""Field of an image of PoseTrack: false for a frame that has people without annotations."""

IMAGE_FIELDS = ("id", "file_name", "width", "height", IS_LABELED, *GROUPS, *FRAMES)
IMAGE_FIELD_SET = frozenset(IMAGE_FIELDS)
GROUPED = frozenset((*GROUPS, *FRAMES))


class ImageRecord(NamedTuple):
    """One valid record.

    Attributes:
        position: Position in the file.
        number: Number of the image.
        name: File name.
        size: (height, width) as stated; None where it is not stated, or not valid.
        label: Name of the record in messages.
        fields: The record.
    """

    position: int
    number: int
    name: str
    size: Size | None
    label: str
    fields: dict[str, Any]


def reduced_images(records: list[Any], _: Callable[[Any], Any]) -> list[Any]:
    """Returns what is read of some records."""
    if set(map(type, records)) == {dict} and IMAGE_FIELD_SET.issuperset(chain.from_iterable(records)):
        return records
    return [
        {key: record[key] for key in IMAGE_FIELDS if key in record} if isinstance(record, dict) else record
        for record in records
    ]


def read_images(records: Sequence[Any], error: MakeError, problems: Problems) -> tuple[list[ImageRecord], Index]:
    """Returns the valid records, and an index that finds the position of any record.

    Raises:
        LabelError: A record is invalid. Names the file and the record.
    """
    usual = _usual_keys(records)
    keys: list[Id | None] = [*usual] or [None] * len(records)
    valid = list(range(len(usual)))
    seen: set[Id] = set()
    for i, record in enumerate([] if usual else records):
        with problems:
            if not isinstance(record, dict):
                raise error(f"images[{i}] must be an object, got {record!r:.40}")
            key = id_of(record.get("id"))
            if key is None and record.get("id") is not None:
                raise error(f"images[{i}] needs an id, got {record['id']!r:.40}")
            if key in seen:
                raise error(f"image id {key} occurs twice")
            if key is not None:
                seen.add(key)
            keys[i] = key
            name = record.get("file_name")
            if not isinstance(name, str) or not name:
                raise error(f"{_label(i, key)} needs a file_name, got {name!r:.80}")
            if key is None:
                problems.note("images without an id are found by their file name", f"images[{i}]")
            valid.append(i)
    if not valid:
        raise error("it lists no images")
    numbers = usual or image_numbers([keys[i] for i in valid])
    images = []
    for i, number in zip(valid, numbers, strict=True):
        fields, label = records[i], _label(i, keys[i])
        images.append(ImageRecord(i, number, fields["file_name"], _size(fields), label, fields))
    return images, Index(keys, lambda: _names(images))


def _usual_keys(records: Sequence[Any]) -> list[int]:
    """The ids of records that all have a number of their own and a name; empty for others."""
    try:
        keys, names = zip(*map(itemgetter("id", "file_name"), records), strict=True)
    except (KeyError, TypeError, ValueError):
        return []
    are_numbers = set(map(type, keys)) == {int} and len(set(keys)) == len(keys)
    return list(keys) if are_numbers and set(map(type, names)) == {str} and all(names) else []


def size_of(record: ImageRecord, path: Path, error: MakeError, problems: Problems) -> Size:
    """Returns (height, width) as stated, or of the image file where the record states none.

    Raises:
        LabelError: The image cannot be read either.
    """
    if record.size is not None:
        return record.size
    got = f"{record.fields.get('width')!r:.40} and {record.fields.get('height')!r:.40}"
    try:
        size = image_size(path)
    except ImageError as reason:
        raise error(f"{record.label} needs a width and a height in pixels, got {got}, and {reason}") from None
    problems.note("sizes that are not stated in pixels are read from the images", f"{record.label} has {got}")
    return size


def groups_and_frame(record: ImageRecord, path: Path) -> tuple[tuple[str, ...], int | None]:
    """Returns the groups of an image, and its frame number."""
    fields = record.fields
    if GROUPED.isdisjoint(fields):
        return (), None
    values = {key.removesuffix("_id").removesuffix("_name"): fields.get(key) for key in GROUPS if key in fields}
    groups = tuple(f"{key} {value}" for key, value in values.items() if isinstance(value, str) or _is_int(value))
    frame = next((fields[key] for key in FRAMES if _is_int(fields.get(key))), None)
    if frame is not None and not groups:  # frames of a video without a name: the folder identifies it
        groups = (f"frames in {path.parent}",)
    return groups, frame


def _label(position: int, key: Id | None) -> str:
    return f"images[{position}]" if key is None else f"image {key}"


def _names(images: Sequence[ImageRecord]) -> list[tuple[str, int]]:
    """File names, and those without a suffix, which some tools write as ids."""
    return [(name, image.position) for image in images for name in {image.name, PurePosixPath(image.name).stem}]


def _size(fields: dict[str, Any]) -> Size | None:
    """(height, width) in whole pixels; None where the record has none."""
    height, width = fields.get("height"), fields.get("width")
    if type(height) is type(width) is int and height > 0 and width > 0:
        return height, width
    height, width = _pixels(height), _pixels(width)
    return None if height is None or width is None else (height, width)


def _pixels(value: Any) -> int | None:
    """A side in pixels, also where it is written as 160.0 or as text."""
    key = id_of(value)
    if isinstance(key, str):
        key = int(key) if key.isascii() and key.isdigit() and len(key) < 10 else None
    return key if isinstance(key, int) and key > 0 else None


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
