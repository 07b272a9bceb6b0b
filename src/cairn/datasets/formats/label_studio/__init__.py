"""Label Studio's own JSON and JSON-MIN (https://labelstud.io/guide/task_format): a list of tasks.

    [{"id": 1, "data": {"image": "/data/upload/1/0a1b2c3d-a.jpg"}, "annotations": [{"result": [
        {"id": "box1", "type": "rectanglelabels", "original_width": 640, "original_height": 480,
         "value": {"x": 1.5, "y": 2, "width": 30, "height": 40, "rotation": 0, "rectanglelabels": ["person"]}},
        {"id": "kp1", "type": "keypointlabels", "parentID": "box1", "original_width": 640, "original_height": 480,
         "value": {"x": 10, "y": 20, "width": 0.5, "keypointlabels": ["nose"]}}]}]}]

Coordinates are percent of the width and height of the image.
"""

from __future__ import annotations

from cairn.datasets.formats.format import Format
from cairn.datasets.formats.label_studio.reading import read_label_studio
from cairn.datasets.formats.label_studio.tasks import sniff
from cairn.datasets.formats.label_studio.writing import write_label_studio

__all__ = ["FORMAT", "read_label_studio", "write_label_studio"]

FORMAT = Format(
    "label_studio",
    "Label Studio's own .json",
    (".label_studio.json",),
    sniff,
    read_label_studio,
    lambda labels, path, split: write_label_studio(labels, path),
    relative=True,
    selects_category=True,
)
