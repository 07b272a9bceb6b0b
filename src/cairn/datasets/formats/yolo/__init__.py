"""YOLO-pose folders (https://docs.ultralytics.com/datasets/pose): a YAML file, images, and a text file for each.

| file | content |
|---|---|
| data.yaml | `train: images/train`, `kpt_shape: [13, 3]`, `flip_idx: [...]`, `names: {0: fly}` |
| images/train/a.jpg | an image |
| labels/train/a.txt | a line per instance: class, box center x and y, width, height, then x, y, v of each joint |

All lengths are fractions of the width or height of the image. A line of class and box alone is a region to ignore.
Results of `yolo predict save_txt` are read as labels: their v is a confidence, and a confidence of the box and a track
ID may follow.

| module | part of the reader |
|---|---|
| data_yaml | classes, joint names, limbs and flip pairs |
| places | the images of each split |
| label_file | the instances of an image |
"""

from __future__ import annotations

from pathlib import Path

from cairn.datasets.containers.yaml_file import yaml_with
from cairn.datasets.formats.format import Format
from cairn.datasets.formats.yolo.places import SPLIT_KEYS
from cairn.datasets.formats.yolo.reading import missing_yaml, read_yolo
from cairn.datasets.formats.yolo.writing import write_yolo
from cairn.datasets.labels import SPLITS

__all__ = ["FORMAT", "missing_yaml", "read_yolo", "write_yolo"]


def _sniff(path: Path) -> bool:
    return yaml_with(path, "kpt_shape", SPLIT_KEYS) is not None


FORMAT = Format(
    "yolo",
    "a YOLO data.yaml or its folder",
    ("", ".yaml", ".yml"),
    _sniff,
    read_yolo,
    write_yolo,
    SPLITS,
    relative=True,
    selects_category=True,
)
