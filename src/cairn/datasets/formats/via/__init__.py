"""VGG Image Annotator (https://www.robots.ox.ac.uk/~vgg/software/via): projects and exports of versions 1 to 3.

    {"a.jpg12345": {"filename": "a.jpg", "size": 12345, "file_attributes": {}, "regions": [
        {"shape_attributes": {"name": "point", "cx": 10, "cy": 20}, "region_attributes": {"joint": "nose", "id": "1"}},
        {"shape_attributes": {"name": "rect", "x": 2, "y": 4, "width": 88, "height": 66}, "region_attributes": ...}]}}

A project has this table under `_via_img_metadata`; a CSV has one row for each region. Points and circles are
keypoints; rectangles, polygons and ellipses are outlines of instances. `attributes` decides which attribute names the
joint, the instance and the category. Pixels count from 0.
"""

from __future__ import annotations

from cairn.datasets.formats.format import Format
from cairn.datasets.formats.via.reading import read_via, sniff

__all__ = ["FORMAT", "read_via"]

FORMAT = Format("via", "VGG Image Annotator's .json or .csv", (".json", ".csv"), sniff, read_via, selects_category=True)
