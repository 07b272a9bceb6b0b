"""Images that do not have the size that their labels state, so that keypoints are not where they were labeled."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePath
from typing import Any

from cairn.datasets.checks.findings import Finding, Level, examples, width_by_height
from cairn.datasets.labels import LabeledImage, Labels
from cairn.errors import ImageError
from cairn.machine import available_cores
from cairn.media.images import image_size
from cairn.structures.geometry import Size
from cairn.wording import counted

TOLERANCE = 1
"""Difference in pixels that is rounding: keypoints stay where they are."""

UNREADABLE: Size = (0, 0)
"""Size of an image that cannot be read, which is a problem of its own."""


def read_sizes(labels: Labels) -> tuple[Size, ...]:
    """Returns (height, width) of each image file as it is read, EXIF orientation applied, from its header alone."""
    with ThreadPoolExecutor(min(8, available_cores())) as pool:
        return tuple(pool.map(_size_of, labels))


def check_sizes(name: str, labels: Labels, sizes: Sequence[Size]) -> list[Finding]:
    """Returns findings about images of another size than in the labels.

    It is an error where keypoints are in the wrong place, and a warning where the image has no instances or differs by
    a pixel.

    Args:
        name: Name of the set.
        labels: The set.
        sizes: (height, width) of each image as read; (0, 0) for an unreadable image.
    """
    levels: tuple[Level, ...] = ("error", "warning")
    cases: dict[Level, list[dict[str, Any]]] = {level: [] for level in levels}
    for image, size in zip(labels, sizes, strict=True):
        if size not in (UNREADABLE, tuple(image.size)):
            cases["error" if differs(image, size) else "warning"].append(_case(image, size))
    findings = []
    for level in levels:
        if found := cases[level]:
            what = f"{len(found)} of {counted(len(labels), 'image')} of another size than in the labels"
            line = f"{name}: {what}: {examples([_line(case) for case in found], '; ')}"
            findings.append(Finding(level, "size", line, tuple(found)))
    return findings


def differs(image: LabeledImage, size: Size) -> bool:
    """Returns whether the instances of an image do not fit the pixels of its file.

    Args:
        image: The image as labeled.
        size: (height, width) of its file; (0, 0) where it cannot be read.
    """
    far = any(abs(one - other) > TOLERANCE for one, other in zip(image.size, size, strict=True))
    return size != UNREADABLE and far and len(image.annotation) > 0


def _size_of(image: LabeledImage) -> Size:
    try:
        return image_size(image.path)
    except ImageError:
        return UNREADABLE


def _case(image: LabeledImage, size: Size) -> dict[str, Any]:
    return {"image": str(image.path), "size_in_labels": list(image.size[::-1]), "size_of_file": list(size[::-1])}


def _line(case: dict[str, Any]) -> str:
    here, there = case["size_of_file"], case["size_in_labels"]
    turned = " (rotated, as by EXIF orientation)" if here == there[::-1] else ""
    return f"{PurePath(case['image']).name} is {width_by_height(here)}, in the labels {width_by_height(there)}{turned}"
