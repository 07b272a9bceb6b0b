"""LabelMe's JSON (https://github.com/wkentaro/labelme), also of AnyLabeling and X-AnyLabeling: one file for each image.

    {"version": "5.4.1", "flags": {}, "imagePath": "a.jpg", "imageData": null, "imageHeight": 480, "imageWidth": 640,
     "shapes": [{"label": "nose", "points": [[10.5, 20.0]], "group_id": 1, "shape_type": "point", "flags": {}},
                {"label": "mouse", "points": [[2, 4], [90, 70]], "group_id": 1, "shape_type": "rectangle", ...}]}

The label of a point is its joint. Shapes with the same `group_id` are one instance, whose rectangle or polygon is its
bounding box and names its category. Pixels count from 0.
"""

from __future__ import annotations

from cairn.datasets.formats.format import Format
from cairn.datasets.formats.labelme.reading import read_labelme, sniff
from cairn.datasets.formats.labelme.writing import write_labelme

__all__ = ["FORMAT", "read_labelme", "write_labelme"]

FORMAT = Format(
    "labelme",
    "LabelMe's .json or a folder of them",
    (".labelme", ""),
    sniff,
    read_labelme,
    lambda labels, path, split: write_labelme(labels, path),
    selects_category=True,
)
