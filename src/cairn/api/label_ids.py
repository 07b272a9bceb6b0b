"""Image IDs of a label file, so that COCO results can be evaluated against it."""

from __future__ import annotations

import json
import os
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

from cairn.errors import LabelError
from cairn.results.coco import CATEGORY
from cairn.results.writer import LabelIds
from cairn.structures.geometry import Size
from cairn.structures.skeleton import Skeleton
from cairn.wording import counted

Tail = tuple[str, ...]
"""Parts of a path, the file name first."""


def read_label_ids(
    labels: Path,
    images: Sequence[Path],
    skeleton: Skeleton,
    notice: Callable[[str], None],
    classes: Sequence[str] = (),
) -> LabelIds:
    """Returns the IDs that a COCO label file gives to images.

    An image is the record whose name has the longest common tail with its path: the file name, then its folder, and
    so on. Names of other machines, with Windows separators, URL escapes or another Unicode form are understood.

    Args:
        labels: The label file.
        images: The images.
        skeleton: The keypoints of the detections.
        notice: Gets one line about images that the file lacks; they get no ID.
        classes: Names of the classes of the model, where it has several.

    Raises:
        LabelError: The file cannot be read, has none of the images, or an image could be either of two.
    """
    content = _read(labels)
    records = [row for row in content["images"] if _is_usable(row)]
    ids = [row["id"] for row in records]
    if len(set(ids)) < len(ids):
        raise LabelError(f"{labels}: image id {_first_repeated(ids)!r} occurs twice: image-ids needs one for each")
    owners = _matched(labels, images, [row["file_name"] for row in records])
    if images and not owners:
        raise LabelError(f"{labels} has none of the {len(images)} images by name: {images[0]} is not in it")
    if missing := [image for image in images if image not in owners]:
        notice(
            f"{labels} lacks {len(missing)} of {len(images)} images, the first is {missing[0]}: the COCO results leave "
            f"{'them' if len(missing) > 1 else 'it'} out"
        )
    found = {image: records[i] for image, i in owners.items()}
    sizes = {image: size for image, row in found.items() if (size := _size(row))}
    categories = _categories(labels, content.get("categories"), (len(skeleton), classes), notice)
    return LabelIds(labels, {image: row["id"] for image, row in found.items()}, sizes, categories)


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise LabelError(f"cannot read labels {path}: {error.strerror or error}") from None
    except (ValueError, RecursionError):
        raise LabelError(f"image-ids must be a COCO label file: {path} is not JSON") from None
    if not isinstance(content, dict) or not isinstance(content.get("images"), list):
        raise LabelError(f"image-ids must be a COCO label file: {path} has no list of images")
    return content


def _is_usable(row: Any) -> bool:
    number, name = (row.get("id"), row.get("file_name")) if isinstance(row, dict) else (None, None)
    return isinstance(number, int | float | str) and not isinstance(number, bool) and isinstance(name, str)


def _first_repeated(values: Sequence[Any]) -> Any:
    seen: set[Any] = set()
    return next(value for value in values if value in seen or seen.add(value))  # type: ignore[func-returns-value]


def _matched(labels: Path, images: Sequence[Path], names: Sequence[str]) -> dict[Path, int]:
    """Returns the index of the record of each image that has one. Raises LabelError where that is ambiguous."""
    tails = [_tail(name) for name in names]
    by_name: dict[str, list[int]] = defaultdict(list)
    for i, tail in enumerate(tails):
        by_name[tail[0]].append(i)
    best: dict[int, tuple[int, Path]] = {}  # record -> length of the common tail, image
    rivals: dict[int, Path] = {}
    for image in images:
        own = _tail(os.path.abspath(image))  # noqa: PTH100 (resolve() would follow links)
        lengths = {i: _common(own, tails[i]) for i in by_name.get(own[0], ())}
        longest = [i for i, length in lengths.items() if length == max(lengths.values())]
        longest = [i for i in longest if Path(names[i]).name == image.name] or longest
        if len(longest) > 1:
            one, other = names[longest[0]], names[longest[1]]
            raise LabelError(f"{labels}: {image} could be {one} or {other}: pass the folder that holds their folders")
        for i in longest:
            if i not in best or lengths[i] > best[i][0]:
                best[i] = lengths[i], image
                rivals.pop(i, None)
            elif lengths[i] == best[i][0]:
                rivals[i] = image
    for i, image in rivals.items():
        raise LabelError(f"{labels}: {names[i]} could be {best[i][1]} or {image}: detect in one folder at a time")
    return {image: i for i, (_, image) in best.items()}


def _tail(name: str) -> Tail:
    """Returns the parts of a name from its end, in one spelling: what differs between tools and systems is removed."""
    path = PurePosixPath(unicodedata.normalize("NFC", unquote(name)).replace("\\", "/"))
    *folders, file = [part for part in path.parts if part not in ("/", "..")] or [""]
    return (PurePosixPath(file).stem + PurePosixPath(file).suffix.lower(), *reversed(folders))


def _common(one: Tail, other: Tail) -> int:
    """Returns the number of equal parts at the end of two paths."""
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _size(row: Mapping[str, Any]) -> Size | None:
    height, width = row.get("height"), row.get("width")
    numbers = all(isinstance(side, int | float) and side > 0 for side in (height, width))
    return (round(height), round(width)) if numbers else None  # type: ignore[arg-type]


def _categories(
    labels: Path, categories: Any, model: tuple[int, Sequence[str]], notice: Callable[[str], None]
) -> tuple[int | None, ...]:
    """Returns the ID of the category of each class by its name; without classes, that of the category with keypoints.

    Of several categories with keypoints, it is the first with as many as the model, whose number of joints and names of
    classes are given.
    """
    joints, classes = model
    rows = [row for row in categories if isinstance(row, dict)] if isinstance(categories, list) else []
    rows = [row for row in rows if isinstance(row.get("id"), int)]
    by_name = {str(row.get("name")): int(row["id"]) for row in rows}
    if any(name in by_name for name in classes):
        if missing := [name for name in classes if name not in by_name]:
            notice(f"{labels} has no category {', '.join(missing)}: the COCO results skip such detections")
        return tuple(by_name.get(name) for name in classes)
    rows = [row for row in rows if row.get("keypoints")] or rows
    fitting = [row for row in rows if isinstance(own := row.get("keypoints"), list) and len(own) == joints] or rows
    if len(fitting) > 1 or (fitting and classes):
        names = ", ".join(str(row.get("name", row["id"])) for row in fitting[:3])
        notice(
            f"{labels} has {counted(len(fitting), 'category', 'categories')} with keypoints ({names}), and the "
            f"detections none of that name: they are written as {fitting[0].get('name', fitting[0]['id'])}"
        )
    return (int(fitting[0]["id"]) if fitting else CATEGORY,) * max(1, len(classes))
