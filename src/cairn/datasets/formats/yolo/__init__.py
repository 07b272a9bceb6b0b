"""YOLO-pose folders (https://docs.ultralytics.com/datasets/pose): a YAML file, images, and a text file for each.

| file | content |
|---|---|
| data.yaml | `train: images/train`, `kpt_shape: [13, 3]`, `flip_idx: [...]`, `names: {0: fly}` |
| images/train/a.jpg | an image |
| labels/train/a.txt | a line per instance: class, box center x and y, width, height, then x, y, v of each joint |

All lengths are fractions of the width or height of the image.
"""

from __future__ import annotations

from pathlib import Path

from cairn.datasets.formats.format import Format
from cairn.datasets.formats.yaml_file import has_key
from cairn.datasets.formats.yolo.reading import read_yolo
from cairn.datasets.formats.yolo.writing import write_yolo
from cairn.datasets.labels import SPLITS

__all__ = ["FORMAT", "read_yolo", "write_yolo"]


def _sniff(path: Path) -> bool:
    return has_key(path, "kpt_shape")


FORMAT = Format(
    "yolo",
    "a YOLO data.yaml or its folder",
    ("", ".yaml", ".yml"),
    _sniff,
    read_yolo,
    write_yolo,
    SPLITS,
    relative=True,
)
