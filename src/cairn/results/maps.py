"""What the network made of each image, before anything was decoded: for those who decode themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from cairn.errors import OutputError
from cairn.files import atomic_write
from cairn.results import Detections, Writer

FOLDER = "cairn.maps"


class MapsWriter(Writer):
    """`cairn.maps/photo.npz` for each photo.

    Each output of the network by its name (for OpenPose's `heatmaps` (K or K + 1, h, w) and `pafs` (2L, h, w)) as
    float16, and `affine` (2, 3), float64: a cell (x, y) lies at affine @ (x, y, 1) in the image.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder / FOLDER

    def write(self, found: Detections) -> None:
        if found.maps is None:
            raise OutputError("there are no maps of the whole image to write")
        maps, to_image = found.maps
        # Sums of several stages may leave float16's range, and infinity says less than its largest number.
        arrays: dict[str, Any] = {name: np.clip(m, -65504, 65504).astype(np.float16) for name, m in maps.items()}
        with atomic_write(found.name.beside(self.folder, ".npz")) as beside:
            np.savez_compressed(beside, affine=to_image.matrix, **arrays)
