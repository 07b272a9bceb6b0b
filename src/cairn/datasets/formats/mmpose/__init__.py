"""mmpose: its configurations as data sets, and its `dataset_info` as skeletons. Both are parsed and never executed.

    data_root = 'data/coco/'                                    # version 1
    train_dataloader = dict(dataset=dict(
        data_root=data_root, ann_file='annotations/train.json', data_prefix=dict(img='train/'),
        metainfo=dict(from_file='configs/_base_/datasets/coco.py')))

    data = dict(train=dict(ann_file=f'{data_root}/annotations/train.json', img_prefix=f'{data_root}/train/'))  # 0.x

The annotation files are in COCO format.

| module | content |
|---|---|
| python_file | the plain values that a Python file assigns |
| dataset_info | the skeleton |
| config | the annotation files of each split |
"""

from __future__ import annotations

from pathlib import Path

from cairn.datasets.formats.format import Format
from cairn.datasets.formats.mmpose.config import has_annotations, read_config
from cairn.datasets.formats.mmpose.dataset_info import read_dataset_info
from cairn.datasets.labels import SPLITS
from cairn.errors import CairnError

__all__ = ["FORMAT", "read_config", "read_dataset_info"]


def _sniff(path: Path) -> bool:
    if path.suffix != ".py" or not path.is_file():
        return False
    try:
        return has_annotations(path)
    except CairnError:  # not valid Python
        return False


FORMAT = Format(
    "mmpose", "mmpose's configuration (.py)", (".py",), _sniff, read_config, splits=SPLITS, selects_category=True
)
