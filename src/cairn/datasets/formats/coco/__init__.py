"""COCO keypoint format (https://cocodataset.org/#format-data), which most annotation tools export.

CVAT, Label Studio, coco-annotator and others write variants of it; docs/formats.md lists the differences.
"""

from __future__ import annotations

import re
from pathlib import Path

from cairn.datasets.containers.text_file import first_bytes
from cairn.datasets.formats.coco.reading import read_coco, read_image_paths
from cairn.datasets.formats.coco.writing import write_coco
from cairn.datasets.formats.format import Format, ReadOptions
from cairn.datasets.labels import Labels

__all__ = ["FORMAT", "read_coco", "write_coco"]

START = re.compile(rb'\s*\{(?!\s*"root")')  # a JSON object, except MPII's


def _sniff(path: Path) -> bool:
    return START.match(first_bytes(path)) is not None


def _read(path: Path, options: ReadOptions) -> Labels:
    return read_coco(
        path,
        options.images,
        options.skeleton,
        options.missing_ok,
        options.problems,
        options.confidence,
        options.category,
    )


def _write(labels: Labels, path: Path, split: str) -> tuple[str, ...]:
    write_coco(labels, path)
    return ()


FORMAT = Format(
    "coco",
    "COCO keypoints (.json)",
    (".json",),
    _sniff,
    _read,
    _write,
    selects_category=True,
    heads=True,
    image_paths=read_image_paths,
)
